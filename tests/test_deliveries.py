"""The log of deliveries on the pages, and staff applying refused deliveries again."""

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client

from chat.database.keyset import cursor_of
from chat.events.ingest import replay
from chat.models import KEPT_OF_INVALID_BODY, SHOWN_OF_BODY, Conversation, Delivery, Message
from chat.refusals import OF_EVENTS
from chat.views.deliveries import DELIVERIES_PAGE
from chat.views.shown_bodies import readable
from tests.conftest import M2, NOW, OTHER_C, C, M, make_event
from tests.servers import assert_page, assert_problem

pytestmark = pytest.mark.both_engines("the log and its filters")

OPEN = make_event("NEW_CONVERSATION", id=C)
MESSAGE = make_event("NEW_MESSAGE", id=M, content="Olá *você*")
CLOSE = make_event("CLOSE_CONVERSATION", id=C)
LATER = timedelta(days=3)


@pytest.fixture
def get(db, client):
    """Get a page, in English unless told otherwise."""

    def get(address, language="en", **query):
        return client.get(address, query, headers={"accept-language": language})

    return get


@pytest.fixture
def every(deliver):
    """Deliveries with each outcome and each reason, in this order."""
    deliver(MESSAGE)  # conversation_not_found
    deliver(OPEN)  # applied together with the message
    deliver(MESSAGE)  # duplicate
    deliver(make_event("NEW_MESSAGE", id=M, content="other"))  # id_conflict
    deliver(CLOSE)  # applied
    deliver(make_event("NEW_MESSAGE", id=M2))  # conversation_closed
    deliver({"type": "OTHER"})  # invalid_event
    deliver(b"\xff not JSON")  # invalid_json
    return list(Delivery.objects.order_by("id"))


@pytest.fixture
def staff(django_user_model):
    """A browser logged in as staff, in English. Django's checks of forms are on."""
    client = Client(
        enforce_csrf_checks=True,
        raise_request_exception=False,
        headers={"accept-language": "en"},
    )
    client.force_login(django_user_model.objects.create_user("ana", is_staff=True))
    return client


def last(**of):
    return Delivery.objects.filter(**of).latest("id")


def address(delivery, end=""):
    return f"/ui/deliveries/{delivery.pk}/{end}"


def listed(answer):
    return [row.pk for row in answer.context["page"].rows]


def press(browser, delivery):
    """Press the button on the delivery's page. Return the resulting page."""
    page = browser.get(address(delivery)).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    return browser.post(
        address(delivery, "apply/"), {"csrfmiddlewaretoken": token}, follow=True
    ).content.decode()


# The list


def test_the_newest_delivery_is_on_top(get, every):
    assert listed(get("/ui/deliveries/")) == [row.pk for row in reversed(every)]


def test_a_row_says_what_was_refused_and_why(get, every):
    page = get("/ui/deliveries/").content.decode()
    for refusal in OF_EVENTS:
        assert page.count(f'<span class="reason">{refusal.reason}</span>') == 1


def test_a_row_leads_to_its_conversation_and_what_is_stored_to_its_message(get, every):
    page = get("/ui/deliveries/").content.decode()
    assert page.count(f'href="/ui/{C}/"') == len(every) - 2
    assert page.count(f'href="/ui/{C}/?message={M}"') == 2
    assert M2 in page
    assert f"?message={M2}" not in page


def test_a_row_names_what_it_replays_and_what_replays_it(get, every):
    early, _, replay = every[:3]
    rows = get("/ui/deliveries/").content.decode().split("<tr")
    of_early = next(row for row in rows if f'/{early.pk}/">{early.pk}</a></td>' in row)
    of_replay = next(row for row in rows if f'/{replay.pk}/">{replay.pk}</a></td>' in row)
    assert f'replayed by <a href="{address(replay)}">' in " ".join(of_early.split())
    assert f'replays <a href="{address(early)}">' in " ".join(of_replay.split())


def test_times_are_marked_up_in_utc(get, every):
    page = get("/ui/deliveries/").content.decode()
    assert page.count('<time datetime="2025-02-21T12:00:00Z"') == len(every)


def test_pages_of_the_list_have_every_delivery_once(get, deliver):
    for n in range(2 * DELIVERIES_PAGE + 7):
        deliver(b"%d" % n)
    found, address = [], "/ui/deliveries/?outcome=refused"
    while address:
        page = get(address)
        found += listed(page)
        link = re.search(r'<a[^>]* href="(\?[^"]+)"[^>]*>Load older', page.content.decode())
        address = link and "/ui/deliveries/" + link[1].replace("&amp;", "&")
        assert not link or "outcome=refused" in link[1]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 2 * DELIVERIES_PAGE + 7


FILTERS = [
    {"outcome": "applied"},
    {"outcome": "duplicate"},
    {"outcome": "refused"},
    {"type": "NEW_CONVERSATION"},
    {"type": "NEW_MESSAGE", "outcome": "refused"},
    {"conversation": C},
    {"conversation": C.upper(), "outcome": "applied"},
    {"conversation": C, "code": "id_conflict"},
    {"conversation": OTHER_C},
    {"outcome": "refused", "code": "conversation_closed"},
    {"outcome": "applied", "code": "conversation_closed"},
    {"conversation": C, "outcome": "duplicate", "code": "id_conflict"},
    {"outcome": "applied", "type": "NEW_MESSAGE", "conversation": C},
    *({"code": refusal.code} for refusal in OF_EVENTS),
]
FIELDS = {"conversation": "conversation_id"}


@pytest.mark.parametrize("asked", FILTERS, ids=lambda asked: "-".join(asked.values()))
def test_a_filter_lists_exactly_what_has_all_that_it_names(get, every, asked):
    named = {FIELDS.get(name, name): value for name, value in asked.items()}
    expected = [
        row.pk
        for row in reversed(every)
        if all(
            str(getattr(row, name)) == value.replace(C.upper(), C) for name, value in named.items()
        )
    ]
    assert listed(get("/ui/deliveries/", **asked)) == expected
    rows = get("/deliveries", **asked).json()["deliveries"]
    assert [row["id"] for row in rows] == expected


def test_the_form_keeps_what_was_asked_for(get, every):
    page = get("/ui/deliveries/", outcome="refused", conversation=C).content.decode()
    assert '<option value="refused" selected>' in page
    assert f'value="{C}"' in page


HOSTILE = [
    {"outcome": "x"},
    {"outcome": "APPLIED"},
    {"outcome": "\0"},
    {"type": "OTHER"},
    {"type": "new_message"},
    {"code": "<script>alert(1)</script>"},
    {"received_from": "<script>alert(1)</script>"},
    {"received_from": "\0"},
    {"received_from": "1969-12-31T00:00:00"},
    {"received_to": "9999-12-31T23:59:59"},
    {"received_to": "0001-01-01T00:00:00Z"},
    {"received_to": "x" * 50_000},
    {"cursor": "x"},
    {"cursor": "\0"},
    {"cursor": "A" * 10_000},
    {"cursor": "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwXQ"},
    {"cursor": "Wy0xXQ"},
    {"cursor": "W10"},
    {"cursor": "WyJhIl0"},
]
ON_THE_PAGE = [*HOSTILE, *({"id": id} for id in ("\0" + C, "é", "«»", "x" * 256, "x" * 50_000))]
OF_MACHINES = [
    *HOSTILE,
    *({"conversation": id} for id in ("5", "\0" + C, "{" + C + "}", C.replace("-", ""))),
    *({"conversation": id} for id in ("' OR 1=1 --", "x" * 50_000)),
    {"message_id": C.replace("-", "")},
    *({"request_id": id} for id in ("", "x" * 65, "\0", "é")),
    *({"webhook_id": id} for id in ("", "a b", "x" * 256, "\0", "é\n")),
]


@pytest.mark.parametrize("asked", ON_THE_PAGE, ids=range(len(ON_THE_PAGE)))
def test_a_bad_filter_is_a_400_that_shows_the_form(get, every, asked):
    answer = get("/ui/deliveries/", **asked)
    assert_page(answer, 400)
    page = answer.content.decode()
    assert '<form class="page-form"' in page
    assert 'class="errorlist"' in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("asked", OF_MACHINES, ids=range(len(OF_MACHINES)))
def test_a_bad_parameter_is_a_problem_that_names_it_and_repeats_nothing(get, every, asked):
    answer = get("/deliveries", **asked)
    assert_problem(answer, 400, "bad_request")
    ((name, value),) = asked.items()
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/{name}"}
    assert len(value) < 3 or json.dumps(value)[1:-1] not in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=1e2", "/limit"),
        ("limit=" + "9" * 5000, "/limit"),
        ("limit=", "/limit"),
        ("outcome=", "/outcome"),
        ("cursor=", "/cursor"),
        ("outcome=applied&outcome=refused", "/outcome"),
        ("outcom=applied", ""),
        ("%ff=%ff", ""),
    ],
)
def test_nothing_that_a_machine_asks_is_ignored(db, client, query, pointer):
    answer = client.get(f"/deliveries?{query}")
    assert_problem(answer, 400, "bad_request")
    assert {error["pointer"] for error in answer.json()["errors"]} == {pointer}


def test_a_cursor_before_the_first_delivery_is_an_empty_page(get, every):
    before = cursor_of(Delivery(id=0), ("-id",))
    answer = get("/ui/deliveries/", cursor=before)
    assert answer.status_code == 200
    assert "No delivery matches" in answer.content.decode()


def test_an_empty_log_and_a_filter_without_match_say_what_to_do_next(get, deliver):
    assert "Point the sender at /webhook/" in get("/ui/deliveries/").content.decode()
    deliver(OPEN)
    page = get("/ui/deliveries/", outcome="refused").content.decode()
    assert "No delivery matches" in page
    assert 'href="/ui/deliveries/">Show all' in page


# JSON


def test_a_delivery_as_json_has_all_but_its_body(get, every):
    early, opening, replay = every[:3]
    rows = {row["id"]: row for row in get("/deliveries").json()["deliveries"]}
    assert rows[replay.pk] == {
        "id": replay.pk,
        "received_at": "2025-02-21T12:00:00.000000Z",
        "type": "NEW_MESSAGE",
        "conversation_id": C,
        "message_id": M,
        "timestamp": "2025-02-21T10:20:41.349308Z",
        "outcome": "applied",
        "code": None,
        "request_id": str(opening.request_id),
        "caller_request_id": None,
        "webhook_id": None,
        "replays": early.pk,
        "replayed_by": [],
    }
    assert rows[early.pk]["replayed_by"] == [replay.pk]
    assert rows[early.pk]["code"] == "conversation_not_found"
    assert rows[every[-1].pk]["type"] is None


def test_pages_of_json_have_every_delivery_once(get, every):
    found, cursor = [], {}
    while cursor is not None:
        page = get("/deliveries", limit=3, **cursor).json()
        found += [row["id"] for row in page["deliveries"]]
        cursor = page["next"] and {"cursor": page["next"]}
    assert found == [row.pk for row in reversed(every)]


def test_json_lists_as_many_as_asked_for_and_fifty_otherwise(get, deliver):
    for n in range(101):
        deliver(b"%d" % n)
    for asked, count in (({}, 50), ({"limit": 1}, 1), ({"limit": 100}, 100)):
        page = get("/deliveries", **asked).json()
        assert len(page["deliveries"]) == count
        assert page["next"]


def test_head_has_what_get_has_but_the_body(every, client):
    answer = client.head("/deliveries")
    assert (answer.status_code, answer.content) == (200, b"")


# Queries


def test_queries_of_the_list_do_not_grow_with_it(
    get, deliver, generation, django_assert_num_queries
):
    deliver(MESSAGE)
    deliver(OPEN)
    for n in range(70):
        replay(Delivery.objects.earliest("id"), at=NOW)
        deliver(b"%d" % n)
    for address, count in (("/ui/deliveries/", 2), ("/deliveries", 3)):
        with django_assert_num_queries(count) as queries:
            get(address)
        assert not any('"body"' in query["sql"] for query in queries)


def test_a_bad_filter_asks_the_database_nothing(get, django_assert_num_queries):
    with django_assert_num_queries(0):
        get("/ui/deliveries/", id="é")
        get("/deliveries", conversation="5")
        get("/ui/deliveries/5x/")


def test_queries_of_one_delivery(get, every, django_assert_num_queries):
    with django_assert_num_queries(2) as queries:
        get(address(every[0]))
    assert not any('"body",' in query["sql"] for query in queries)


# One delivery


def test_the_senders_own_request_id_is_kept_beside_ours(post, get):
    answer = post(make_event("NEW_CONVERSATION", id=C), headers={"X-Request-Id": "trace <1>"})
    kept = last()
    assert answer["X-Request-Id"] == str(kept.request_id)
    assert kept.caller_request_id == "trace <1>"
    (row,) = get("/deliveries").json()["deliveries"]
    assert row["request_id"] == str(kept.request_id)
    assert row["caller_request_id"] == "trace <1>"
    page = get(address(kept)).content.decode()
    assert "<code>trace &lt;1&gt;</code>" in page
    assert "The sender’s request id" in page


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        *(("x" * 64, "x" * 64), ("x" * 65, None), ("", None), ("a\tb", None), ("é", None)),
        *(("a\0b", None), ("a\x7fb", None), (" ~", " ~")),
    ],
)
def test_a_request_id_that_no_log_would_take_is_left(post, sent, kept):
    post(make_event("NEW_CONVERSATION", id=C), headers={"X-Request-Id": sent})
    assert last().caller_request_id == kept


def test_a_delivery_shows_its_columns(get, every):
    page = get(address(every[0])).content.decode()
    for shown in (C, M, "conversation_not_found", "NEW_MESSAGE", str(every[0].request_id)):
        assert shown in page
    assert '<time datetime="2025-02-21T10:20:41Z"' in page
    assert f'<a href="{address(every[2])}">' in page


NUMBERS = ["0", "007", "-1", "+1", "1.0", "x", "٣", "9" * 18, "9" * 19, "1" + "0" * 20, "9" * 5000]


@pytest.mark.parametrize("number", NUMBERS, ids=range(len(NUMBERS)))
def test_a_number_that_no_delivery_has_is_a_404_page(get, staff, every, number):
    assert_page(get(f"/ui/deliveries/{number}/"), 404)
    staff.handler.enforce_csrf_checks = False
    assert_page(staff.post(f"/ui/deliveries/{number}/apply/"), 404)


def test_the_body_is_for_staff(get, agent, staff, every):
    refused = last(code="id_conflict")
    assert "other" in staff.get(address(refused)).content.decode()
    agent.logout()
    page = get(address(refused)).content.decode()
    assert "other" not in page.replace("another", "")
    assert f'href="/admin/login/?next={address(refused)}"' in page


def test_an_agent_who_is_not_staff_sees_no_body(agent, every):
    page = agent.get(address(last(code="id_conflict"))).content.decode()
    assert "raw-body" not in page
    assert "Apply again" not in page


def test_the_body_is_shown_as_text_and_never_as_html(staff, deliver):
    deliver(b"\xff\x00\n<script>alert(1)</script>")
    page = staff.get(address(last())).content.decode()
    assert "\\xff\\x00\n&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_long_body_is_cut_with_a_note(staff, deliver):
    deliver(make_event("NEW_MESSAGE", id=M, content="a" * (SHOWN_OF_BODY - 9) + "é" * 200_000))
    page = staff.get(address(last())).content.decode()
    assert "Only the first 64.0\xa0KB are shown." in page
    assert len(page) < 2 * SHOWN_OF_BODY


def test_an_empty_body_says_so(staff, deliver):
    deliver(b"")
    assert "It was empty." in staff.get(address(last())).content.decode()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"a":"\xc3\xa9","b":[1]}', '{\n  "a": "é",\n  "b": [\n    1\n  ]\n}'),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b"[NaN]", "[NaN]"),
        (b"[1e999]", "[1e999]"),
        (b"[" * 16_000, "[" * 16_000),
        (b'"\\ud800"', '"\\ud800"'),
        (b'"\xe2\x80', '"\\xe2\\x80'),
        (b"9" * 5000, "9" * 5000),
        (b"\r\n\t\x1b[31m", "\r\n\t\\x1b[31m"),
    ],
    ids=range(9),
)
def test_a_body_is_laid_out_when_that_keeps_it_the_same(body, shown):
    assert readable(body) == shown
    readable(body).encode()


def test_laying_out_does_not_multiply_a_long_body():
    deep = b"[" * 400 + b"1," * 30_000 + b"1" + b"]" * 400
    assert readable(deep) == deep.decode()


# Apply again


def edit(delivery, event):
    """Change the body in the log, as if an upgrade now accepted the event refused before."""
    Delivery.objects.filter(pk=delivery.pk).update(body=json.dumps(event).encode())


@pytest.fixture
def came_too_early(deliver):
    """A message delivered so early that its conversation came after EARLY_EVENTS_HOURS."""
    deliver(MESSAGE)
    deliver(OPEN, after=LATER)
    return Delivery.objects.earliest("id")


def test_what_came_too_early_is_applied_again(staff, came_too_early):
    page = press(staff, came_too_early)
    assert "Applied: it has taken effect now." in page
    message = Message.objects.get()
    assert (str(message.id), message.content) == (M, "Olá *você*")
    assert f'<a href="{address(last())}">' in page


def test_what_is_applied_again_is_as_old_as_its_delivery_and_logged_as_of_now(
    staff, came_too_early
):
    press(staff, came_too_early)
    replay = last()
    assert Message.objects.get().received_at == came_too_early.received_at == NOW
    assert replay.received_at - NOW > timedelta(days=30)
    assert replay.replays == came_too_early
    assert replay.request_id != came_too_early.request_id
    assert bytes(replay.body) == bytes(came_too_early.body)


def test_the_webhook_id_of_what_is_applied_again_stays(came_too_early):
    Delivery.objects.filter(pk=came_too_early.pk).update(webhook_id="msg_1")
    replay(Delivery.objects.get(pk=came_too_early.pk), at=NOW)
    assert last().webhook_id == "msg_1"


def test_what_was_applied_meanwhile_is_a_duplicate(staff, deliver, came_too_early):
    deliver(MESSAGE, after=LATER)
    assert "It had taken effect already" in press(staff, came_too_early)
    assert Message.objects.count() == 1
    assert last().outcome == "duplicate"


def test_what_is_refused_again_says_why_and_may_be_tried_once_more(staff, deliver):
    deliver(MESSAGE)
    page = press(staff, Delivery.objects.get())
    assert "Refused again: The conversation was not known." in page
    assert "Apply again" in page


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (CLOSE, "The conversation was closed."),
        (make_event("NEW_MESSAGE", id=M, content="x"), "The id already stands for something else"),
    ],
)
def test_a_reason_that_stays_settles_it(staff, deliver, came_too_early, then, reason):
    deliver(then, after=LATER)
    page = press(staff, came_too_early)
    assert f"Refused again: {reason}" in page
    assert "Apply again" not in page
    assert Message.objects.filter(content="Olá *você*").count() == 0


@pytest.mark.parametrize("body", [b"{", b'{"type": "OTHER"}', b"[]"])
def test_what_a_newer_version_takes_for_an_event_is_applied_again(staff, deliver, body):
    deliver(body)
    edit(last(), OPEN)
    assert "Applied" in press(staff, last())
    assert str(Conversation.objects.get().id) == C


def test_what_is_still_no_event_is_refused_again(staff, deliver):
    deliver(b"{")
    page = press(staff, last())
    assert "Refused again: The body is not valid JSON." in page
    assert [row.code for row in Delivery.objects.all()] == ["invalid_json"]


def test_an_opening_that_is_applied_again_brings_what_came_for_it_in_the_meantime(staff, deliver):
    deliver({"type": "NEW_CONVERSATION"})
    opening = last()
    deliver(MESSAGE, after=LATER)
    edit(opening, OPEN)
    press(staff, opening)
    assert Message.objects.get().received_at == NOW + LATER


def test_an_older_replay_does_not_turn_back_when_the_customer_wrote_after_closing(
    deliver, came_too_early
):
    deliver(CLOSE, after=LATER)
    deliver(make_event("NEW_MESSAGE", id=M2, at="2025-02-23T00:00:00"), after=LATER)
    noted = Conversation.objects.get().wrote_after_closing_at
    replay(came_too_early, at=NOW + 2 * LATER)
    assert Conversation.objects.get().wrote_after_closing_at == noted > NOW


def test_an_event_that_was_refused_again_is_still_applied_once_when_its_conversation_comes(deliver):
    deliver(MESSAGE)
    early = last()
    replay(early, at=NOW)
    deliver(OPEN)
    assert [replay.outcome for replay in early.replayed_by.all()] == ["applied"]
    assert Delivery.objects.count() == 3


def worth():
    return set(Delivery.objects.worth_applying_again())


def test_only_what_may_go_otherwise_is_worth_applying_again(every):
    assert worth() == set(every[-2:])


def test_a_replay_is_not_worth_it_but_what_it_replays(deliver):
    deliver(MESSAGE)
    early = last()
    replay(early, at=NOW)
    assert worth() == {early}


def test_what_a_replay_has_settled_is_not_worth_it(came_too_early):
    assert worth() == {came_too_early}
    replay(came_too_early, at=NOW)
    assert worth() == set()


@pytest.mark.parametrize(("size", "kept"), [(-1, True), (0, False), (1, False)])
def test_an_invalid_body_that_may_be_cut_is_not_worth_it(deliver, size, kept):
    deliver(b"x" * (KEPT_OF_INVALID_BODY + size))
    assert bool(worth()) is kept


def test_a_long_event_that_came_too_early_is_worth_it(deliver):
    deliver(make_event("NEW_MESSAGE", id=M, content="a" * KEPT_OF_INVALID_BODY))
    assert worth() == {last()}


def test_what_is_not_worth_it_has_no_button_and_nothing_is_done(staff, every):
    staff.handler.enforce_csrf_checks = False
    for delivery in every[:-2]:
        assert "Apply again" not in staff.get(address(delivery)).content.decode()
        page = staff.post(address(delivery, "apply"), follow=True).content.decode()
        assert "applying this again cannot help" in page
    assert Delivery.objects.count() == len(every)


def test_the_list_has_a_button_for_each_that_is_worth_it(staff, agent, every):
    page = staff.get("/ui/deliveries/").content.decode()
    buttons = re.findall(r'action="/ui/deliveries/(\d+)/apply/?"', page)
    assert [int(number) for number in buttons] == [every[-1].pk, every[-2].pk]
    assert "Apply again" not in agent.get("/ui/deliveries/").content.decode()


def test_a_button_of_the_list_applies_and_shows_what_came_of_it(staff, came_too_early):
    page = staff.get("/ui/deliveries/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(.*?)"', page)[1]
    form = {"csrfmiddlewaretoken": token}
    answer = staff.post(address(came_too_early, "apply/"), form, follow=True)
    assert "Applied: it has taken effect now." in answer.content.decode()


def test_applying_again_leads_back_to_the_delivery(staff, came_too_early):
    staff.handler.enforce_csrf_checks = False
    answer = staff.post(address(came_too_early, "apply/"))
    assert (answer.status_code, answer["Location"]) == (302, address(came_too_early))


def test_a_notice_speaks_the_readers_language_and_is_shown_once(staff, came_too_early):
    assert "message-box--success" in press(staff, came_too_early)
    assert "message-box--success" not in staff.get(address(came_too_early)).content.decode()


# Permissions


def test_a_form_of_another_site_is_a_403_page(staff, came_too_early, debug_off_and_on):
    answer = staff.post(address(came_too_early, "apply/"))
    assert_page(answer, 403)
    assert b"CSRF" not in answer.content
    assert not Message.objects.exists()


def test_one_who_is_not_staff_applies_nothing(agent, came_too_early, debug_off_and_on):
    assert_page(agent.post(address(came_too_early, "apply/")), 403)
    agent.logout()
    assert_page(agent.post(address(came_too_early, "apply/")), 403)
    assert not Message.objects.exists()


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_a_wrong_method_is_told_so_before_anything_else(staff, came_too_early, method):
    answer = getattr(staff, method)(address(came_too_early, "apply/"))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert not Message.objects.exists()


def test_a_broken_database_is_a_503_page_that_leaves_nothing(
    staff, came_too_early, transactional_db
):
    staff.handler.enforce_csrf_checks = False
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE chat_message RENAME TO away")
    try:
        assert_page(staff.post(address(came_too_early, "apply/")), 503)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO chat_message")
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize("where", ["/ui/deliveries/", "/ui/deliveries/{}/"])
def test_pages_have_one_heading_and_nothing_inside_that_runs(staff, every, where):
    page = staff.get(where.format(every[0].pk)).content.decode()
    assert page.count("<h1>") == 1
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", page)
