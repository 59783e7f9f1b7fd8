"""A delivery can be found by the ids and the time in a log, at the sender, or on a page."""

import json
import re
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection

from chat.events.ingest import ingest
from chat.models import Delivery, LogFilters, log
from chat.models.log import filtered_by_index
from chat.refusals import OF_EVENTS
from tests.conftest import M2, NOW, OTHER_C, C, M, id_of, make_event
from tests.servers import assert_problem
from tests.test_keyset import plans  # noqa: F401 - a fixture

pytestmark = pytest.mark.both_engines("indexes of ids and times")

OPEN = make_event("NEW_CONVERSATION", id=C)
MESSAGE = make_event("NEW_MESSAGE", id=M)
TRACE, EVENT = "0af7651916cd43dd8448eb211c80319c", "evt_5/a"


@pytest.fixture
def told(db):
    """Two attempts of a message, its opening an hour later, and a message without a conversation a day later."""
    attempt = {"caller_request_id": TRACE, "webhook_id": EVENT}
    orphan = make_event("NEW_MESSAGE", id=M2, conversation_id=OTHER_C)
    hours = {0: (MESSAGE, attempt), 0.1: (MESSAGE, attempt), 1: (OPEN, {}), 24: (orphan, {})}
    for number, (after, (event, ids)) in enumerate(hours.items(), start=1):
        at = NOW + timedelta(hours=after)
        body = json.dumps(event).encode()
        ingest(body, received_at=at, request_id=UUID(id_of(number)), **ids)


# The numbers of these deliveries. The opening applies the two attempts, with its own request id.
FIRST, AGAIN, OPENING, REPLAY, REPLAY_AGAIN, ORPHAN = range(1, 7)
MESSAGES = [REPLAY_AGAIN, REPLAY, AGAIN, FIRST]
AT = {name: f"2025-02-21T{hour}Z" for name, hour in {"noon": "12:00:00", "one": "13:00:00"}.items()}
BY_JSON = [
    ({"request_id": id_of(1)}, [FIRST]),
    ({"request_id": id_of(1).upper()}, [FIRST]),
    ({"request_id": id_of(3)}, [REPLAY_AGAIN, REPLAY, OPENING]),
    ({"request_id": TRACE}, [AGAIN, FIRST]),
    ({"request_id": "unheard of"}, []),
    ({"webhook_id": EVENT}, MESSAGES),
    ({"webhook_id": EVENT.upper()}, []),
    ({"message_id": M}, MESSAGES),
    ({"message_id": C}, []),
    ({"message_id": M, "outcome": "refused"}, [AGAIN, FIRST]),
    ({"message_id": M, "outcome": "applied", "type": "NEW_MESSAGE"}, [REPLAY]),
    ({"message_id": M, "code": "conversation_not_found"}, [AGAIN, FIRST]),
    ({"message_id": M, "received_from": AT["one"]}, [REPLAY_AGAIN, REPLAY]),
    ({"conversation": C, "received_to": AT["one"]}, [AGAIN, FIRST]),
    ({"received_from": AT["noon"], "received_to": AT["one"]}, [AGAIN, FIRST]),
    ({"received_from": AT["one"]}, [ORPHAN, REPLAY_AGAIN, REPLAY, OPENING]),
    ({"received_to": AT["one"], "outcome": "applied"}, []),
    ({"received_from": AT["noon"], "code": "conversation_not_found"}, [ORPHAN, AGAIN, FIRST]),
    ({"received_from": AT["noon"], "type": "NEW_CONVERSATION"}, [OPENING]),
]


def numbers(rows):
    first = Delivery.objects.earliest("id").pk
    return [row - first + 1 for row in rows]


def listed(client, **asked):
    answer = client.get("/deliveries", asked)
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.mark.parametrize(("asked", "found"), BY_JSON)
@pytest.mark.parametrize("limit", [1, 50])
def test_json_lists_what_has_an_id_or_came_in_a_time(client, told, asked, found, limit):
    rows, page = [], {"next": ""}
    while page["next"] is not None:
        cursor = {"cursor": page["next"]} if page["next"] else {}
        page = listed(client, limit=limit, **asked, **cursor)
        rows += [row["id"] for row in page["deliveries"]]
    assert numbers(rows) == found


def shown(client, **asked):
    answer = client.get("/ui/deliveries/", asked, headers={"accept-language": "en"})
    assert answer.status_code == 200, answer.content
    return numbers(row.pk for row in answer.context["page"].rows)


UNDRESSED = C.replace("-", "")
BY_PASTING = [
    (id_of(1), [FIRST]),
    (f' "{id_of(1)}",', [FIRST]),
    (id_of(1).replace("-", ""), [FIRST]),
    (TRACE, [AGAIN, FIRST]),
    (f"<{TRACE}>", [AGAIN, FIRST]),
    (EVENT, MESSAGES),
    (f"\u201c{EVENT}\u201d.", MESSAGES),
    (M, MESSAGES),
    (f"https://inbox.example/ui/{C}/?message={M}", MESSAGES),
    (C, [REPLAY_AGAIN, REPLAY, OPENING, AGAIN, FIRST]),
    (UNDRESSED, [REPLAY_AGAIN, REPLAY, OPENING, AGAIN, FIRST]),
    (UNDRESSED[-8:], [REPLAY_AGAIN, REPLAY, OPENING, AGAIN, FIRST]),
    (f"/conversations/{C}", [REPLAY_AGAIN, REPLAY, OPENING, AGAIN, FIRST]),
    ("' OR 1=1 --", []),
    (id_of(9), []),
]


@pytest.mark.parametrize(("pasted", "found"), BY_PASTING)
def test_the_page_takes_any_id_as_people_paste_it(client, told, pasted, found):
    assert shown(client, id=pasted) == found


def test_the_page_takes_times_of_its_own_zone_and_of_any_other(client, told):
    assert shown(client, received_from="2025-02-21T10:00", received_to="2025-02-21T10:00:01") == [
        *(REPLAY_AGAIN, REPLAY, OPENING)
    ]
    assert shown(client, received_to=AT["one"]) == [AGAIN, FIRST]


def test_an_address_of_0_1_0_still_names_a_conversation(client, told):
    assert shown(client, conversation=OTHER_C) == [ORPHAN]


def test_a_time_that_ends_before_it_begins_is_an_error_in_the_form(client, told):
    times = {"received_from": AT["one"], "received_to": AT["noon"]}
    answer = client.get("/ui/deliveries/", times, headers={"accept-language": "en"})
    assert answer.status_code == 400
    assert "The end is not after the start." in answer.content.decode()
    assert_problem(client.get("/deliveries", times), 400, "bad_request")


def test_at_most_one_id_is_asked_for(client, told):
    answer = client.get("/deliveries", {"message_id": M, "conversation": C})
    assert_problem(answer, 400, "bad_request")
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/message_id", "contradiction")


def test_a_row_and_a_delivery_lead_to_what_shares_their_ids(client, told):
    first = Delivery.objects.earliest("id")
    same = [f"?id={id_of(1)}", f"?id={EVENT.replace('/', '%2F')}"]
    for address, links in (
        ("/ui/deliveries/", same),
        (f"/ui/deliveries/{first.pk}/", [*same, f"?id={TRACE}", f"?id={C}", f"?id={M}"]),
    ):
        page = client.get(address).content.decode()
        assert set(links) <= set(re.findall(r'href="/ui/deliveries/(\?id=[^"]+)"', page))


# Bounds

ASKED = [
    LogFilters(),
    *(LogFilters(outcome=outcome) for outcome in ("applied", "refused")),
    LogFilters(outcome="applied", type="CLOSE_CONVERSATION"),
    LogFilters(code="conversation_not_found", outcome="refused"),
    LogFilters(received_from=NOW, received_to=NOW + timedelta(days=9)),
    LogFilters(received_from=NOW, outcome="refused", type="NEW_MESSAGE"),
    LogFilters(received_to=NOW + timedelta(days=9), code="conversation_not_found"),
    *(
        LogFilters(ids=(id,), columns=(column,), **others)
        for column, id in {
            "request_id": id_of(1),
            "caller_request_id": TRACE,
            "webhook_id": EVENT,
            "message_id": M,
            "conversation_id": C,
        }.items()
        for others in (
            {},
            {"outcome": "refused"},
            {"code": "conversation_not_found", "type": "NEW_MESSAGE", "received_from": NOW},
        )
    ),
]
INDEXES = {
    "request_id": "delivery_by_request",
    "caller_request_id": "delivery_by_caller",
    "webhook_id": "delivery_by_webhook",
    "message_id": "delivery_by_message",
    "conversation_id": "delivery_by_conversation",
}


def index_of(asked):
    if asked.ids:
        return INDEXES[asked.columns[0]]
    if asked.has_bounds:
        return "delivery_by_arrival"
    by = "code" if asked.code else "outcome" if asked.outcome else None
    return f"delivery_by_{by}" if by else "SCAN chat_delivery|PRIMARY KEY|chat_delivery_pkey"


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_a_page_is_read_from_one_index_in_its_order(a_new_log, told, plans, asked):  # noqa: F811
    rows, others = filtered_by_index(Delivery.objects.all(), asked)
    for plan in plans(rows.filter(others), asked.ordering):
        assert re.search(index_of(asked), plan)
        assert not re.search("TEMP B-TREE|Sort", plan)


@pytest.fixture
def a_new_log(db):
    """Empty the table and its statistics, because PostgreSQL's planner picks any index for a few rows."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE chat_delivery CASCADE")
            cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'chat_delivery'::regclass")


@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("looked_at", [1, 2, 3, 10])
@pytest.mark.parametrize(
    "asked",
    [
        LogFilters(type="NEW_MESSAGE"),
        LogFilters(type="CLOSE_CONVERSATION"),
        LogFilters(outcome="refused", type="NEW_MESSAGE"),
        LogFilters(received_from=NOW, outcome="refused"),
        LogFilters(ids=(C,), outcome="duplicate"),
    ],
    ids=str,
)
def test_pages_that_look_at_few_rows_have_every_match_once(
    told, monkeypatch, asked, looked_at, size
):
    whole = Delivery.objects.page(asked, size=50)
    assert not whole.next
    monkeypatch.setattr(log, "LOOKED_AT", looked_at)
    found, page = [], None
    while page is None or page.next:
        page = Delivery.objects.page(asked, size=size, cursor=page.next if page else "")
        assert len(page.rows) <= min(size, looked_at)
        found += page.rows
    assert found == whole.rows


def test_a_page_without_a_match_leads_on(client, told, monkeypatch):
    monkeypatch.setattr(log, "LOOKED_AT", 2)
    asked = {"type": "NEW_CONVERSATION"}
    page = client.get("/ui/deliveries/", asked, headers={"accept-language": "en"})
    assert "Older ones may." in page.content.decode()
    assert 'rel="next"' in page.content.decode()
    answer = listed(client, **asked)
    assert answer["deliveries"] == []
    assert answer["next"]


# The admin


@pytest.mark.parametrize(("pasted", "found"), BY_PASTING)
def test_the_admin_finds_by_the_same_ids(admin_client, told, pasted, found):
    answer = admin_client.get("/admin/chat/delivery/", {"q": pasted})
    if pasted == UNDRESSED[-8:]:
        found = []  # a short id has no column
    assert numbers(row.pk for row in answer.context["cl"].result_list) == found


@pytest.mark.parametrize("place", ["conversation", "message", "delivery"])
@pytest.mark.parametrize("pasted", [C, "não-é-id", "\0", "%00", "x" * 10_000])
def test_a_search_of_the_admin_compares_whole_ids(
    admin_client, told, place, pasted, django_assert_max_num_queries
):
    with django_assert_max_num_queries(20) as queries:
        answer = admin_client.get(f"/admin/chat/{place}/", {"q": pasted})
    assert answer.status_code == 200
    of_ids = [query["sql"] for query in queries if f"chat_{place}" in query["sql"]]
    assert not any(word in sql for sql in of_ids for word in ("LIKE", "UPPER", "DISTINCT"))
    assert not any('"chat_delivery"."body"' in sql for sql in of_ids)


def test_the_admin_filters_by_code(admin_client, told):
    answer = admin_client.get("/admin/chat/delivery/", {"code": OF_EVENTS[0].code})
    assert answer.status_code == 200
    answer = admin_client.get("/admin/chat/delivery/", {"code": "conversation_not_found"})
    assert len(answer.context["cl"].result_list) == 3
