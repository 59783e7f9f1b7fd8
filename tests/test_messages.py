"""`GET /messages` and `GET /messages/{id}`: hits of a search, all messages by pages, and one message."""

import json
from itertools import chain
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.database.statements import execute
from chat.events.bulk import ingest_many
from chat.models import HitFilters, begin_generation, find_messages
from chat.upkeep import erasure
from tests.conftest import NOW, OTHER_C, C, id_of, make_event
from tests.servers import assert_problem, errors_of, through_wsgi

pytestmark = pytest.mark.both_engines("two full-text engines give the same hits")


def get(path="/messages", **parameters):
    return through_wsgi("GET", f"{path}?{urlencode(parameters)}" if parameters else path)


def listed(**parameters):
    answer = get(**parameters)
    assert answer.status_code == 200, answer.content
    return answer.json()


def numbers(messages):
    return [int(message["id"][:8]) for message in messages]


def pages(**parameters):
    """Return the numbers of the messages of every page."""
    page = listed(**parameters)
    found = [numbers(page["messages"])]
    while page["next"]:
        page = listed(**parameters | {"cursor": page["next"]})
        found.append(numbers(page["messages"]))
    return found


def all_of(**parameters):
    return list(chain.from_iterable(pages(**parameters)))


@pytest.fixture
def told(deliver):
    """Two conversations taking turns. The second is closed, and the last message has the earliest time."""
    for conversation in (C, OTHER_C):
        deliver(make_event("NEW_CONVERSATION", id=conversation, at="2025-02-01T00:00:00Z"))
    for n, (conversation, day, direction, content) in enumerate(
        [
            (C, 10, "RECEIVED", "quero cancelar o plano"),
            (OTHER_C, 11, "RECEIVED", "bom dia"),
            (C, 12, "SENT", "o plano não se pode cancelar"),
            (OTHER_C, 13, "SENT", "Cancelado, como pediu"),
            (C, 14, "RECEIVED", "obrigada"),
            (C, 9, "RECEIVED", "cancelar o plano, por favor"),
        ]
    ):
        deliver(
            make_event(
                "NEW_MESSAGE",
                id=id_of(n),
                conversation_id=conversation,
                at=f"2025-02-{day:02}T12:00:00Z",
                direction=direction,
                content=content,
            )
        )
    deliver(make_event("CLOSE_CONVERSATION", id=OTHER_C, at="2025-02-20T00:00:00Z"))


# Filters

FILTERS = [
    ({"direction": "SENT"}, [3, 2], [3, 2]),
    ({"state": "OPEN"}, [5, 2, 0], [5, 4, 2, 0]),
    ({"state": "CLOSED"}, [3], [3, 1]),
    ({"from": "2025-02-12T12:00:00Z"}, [3, 2], [4, 3, 2]),
    ({"to": "2025-02-12T12:00:00Z"}, [5, 0], [5, 1, 0]),
    ({"from": "2025-02-10T09:00:00-03:00", "to": "2025-02-13T00:00:00Z"}, [2, 0], [2, 1, 0]),
    ({"conversation": OTHER_C.upper()}, [3], [3, 1]),
    ({"conversation": id_of(77)}, [], []),
    ({"conversation": C, "direction": "RECEIVED", "state": "OPEN"}, [5, 0], [4, 0, 5]),
    ({}, [5, 3, 2, 0], [5, 4, 3, 2, 1, 0]),
]


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize(("filters", "hits", "all_of_them"), FILTERS, ids=str)
def test_a_search_and_a_list_have_what_fits_and_all_of_it(told, filters, hits, all_of_them, limit):
    assert all_of(q="cancel", limit=limit, **filters) == hits
    assert all_of(limit=limit, **filters) == all_of_them


@pytest.mark.parametrize(
    ("q", "found"), [("CANCELAR o plano!", [5, 0]), ("plano cancelar", []), ("cancelar o pla", [])]
)
def test_an_exact_phrase_is_of_whole_words_side_by_side(told, q, found):
    assert pages(q=q, exact="true") == [found]
    assert pages(q=q) == [[5, 2, 0]]


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize(
    "filters",
    [
        {"q": "cancel", "exact": "true", "state": "OPEN"},
        {"state": "CLOSED"},
        {"conversation": C, "direction": "SENT"},
    ],
)
def test_a_page_looks_at_bounded_messages_and_says_that_there_are_more(
    told, monkeypatch, filters, limit
):
    whole = all_of(**filters)
    monkeypatch.setattr("chat.models.hits.HITS_A_PAGE", 1)
    assert [] in pages(limit=limit, **filters)
    assert all_of(limit=limit, **filters) == whole


def test_a_page_costs_the_same_queries_however_much_there_is(told, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):  # one for the generation of the cursors
        listed(q="plano", exact="true", state="OPEN")
    with django_assert_max_num_queries(3):
        listed(state="OPEN")


@pytest.mark.sqlite
@pytest.mark.parametrize("query", ["plano", None])
def test_filters_only_judge_what_a_page_looks_at(db, query):
    """As SQL conditions, these filters would make SQLite read all messages of all open conversations."""
    ids = [id_of(n) for n in range(300)]
    events = [make_event("NEW_CONVERSATION", id=id) for id in ids]
    events += [make_event("NEW_MESSAGE", id=id, conversation_id=id, content="plano") for id in ids]
    assert len(list(ingest_many((json.dumps(event).encode(), NOW) for event in events))) == 600
    with CaptureQueriesContext(connection) as seen:
        find_messages(query, HitFilters(state="OPEN", direction="SENT"), size=50)
    plans = [execute(f"EXPLAIN QUERY PLAN {captured['sql']}") for captured in seen]
    assert [first[-1].split()[1] for first in plans if first] == [
        "chat_messagewords" if query else "chat_message"
    ]


def test_the_page_of_people_finds_the_same(told, client):
    text = client.get("/ui/search/", {"q": "cancel", "state": "OPEN"}).content.decode()
    places = [text.index(f"?message={id_of(n)}") for n in pages(q="cancel", state="OPEN")[0]]
    assert places == sorted(places)
    assert text.count("?message=") == len(places)


# The fields of a hit


def test_a_hit_says_where_it_is_and_which_words_were_found(told):
    [hit] = listed(q="PLANO nao", direction="SENT")["messages"]
    marks = hit.pop("marks")
    assert hit == {
        "id": id_of(2),
        "conversation_id": C,
        "direction": "SENT",
        "timestamp": "2025-02-12T12:00:00.000000Z",
        "url": f"http://localhost/ui/{C}/?message={id_of(2)}",
        "snippet": "o plano não se pode cancelar",
    }
    found = [hit["snippet"][mark["start"] : mark["end"]] for mark in marks]
    assert found == ["plano", "não"]


def test_its_url_leads_to_the_message(told, client):
    for hit in listed()["messages"]:
        page = client.get(hit["url"].removeprefix("http://localhost"))
        assert f'id="message-{hit["id"]}"' in page.content.decode()


def test_marks_count_characters_also_after_emoji_and_left_out_words(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(
        make_event(
            "NEW_MESSAGE", id=id_of(1), content=f"{'palavra ' * 40}👍🏽 não, boleto {'x ' * 99}"
        )
    )
    [hit] = listed(q="boleto")["messages"]
    [mark] = hit["marks"]
    assert hit["snippet"].startswith("…")
    assert hit["snippet"].endswith("…")
    assert hit["snippet"][mark["start"] : mark["end"]] == "boleto"


def test_without_words_the_snippet_is_the_beginning(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(1), content="início " * 100))
    [hit] = listed()["messages"]
    assert hit["snippet"].startswith("início início")
    assert len(hit["snippet"]) < 200
    assert hit["marks"] == []


def test_a_list_reads_only_the_beginnings_of_long_texts(deliver, monkeypatch):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(1), content="boleto " + "x" * 50_000))
    seen = []
    monkeypatch.setattr("chat.api.hits.snippet", lambda text, terms: seen.append(text) or [])
    listed(q="boleto")
    assert len(seen[0]) == 10_000


def test_an_erased_message_is_empty_in_the_list_and_not_found(told):
    erasure.erase(UUID(C), at=NOW)
    assert numbers(listed(q="cancel")["messages"]) == [3]
    erased = [hit for hit in listed()["messages"] if hit["conversation_id"] == C]
    assert {(hit["snippet"], len(hit["marks"])) for hit in erased} == {("", 0)}
    assert get(f"/messages/{id_of(0)}").json()["content"] == ""


# Pages and parameters


def test_the_next_page_has_an_address_in_a_header(told):
    answer = get(q="cancel", limit=1)
    path = answer["Link"][len("<http://localhost") : -len('>; rel="next"')]
    assert numbers(through_wsgi("GET", path).json()["messages"]) == [3]


def test_a_list_is_a_304_until_it_differs(told, deliver):
    etag = get(q="obrigada")["ETag"]
    unchanged = through_wsgi("GET", "/messages?q=obrigada", HTTP_IF_NONE_MATCH=etag)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    deliver(make_event("NEW_MESSAGE", id=id_of(9), content="muito obrigada"))
    assert get(q="obrigada")["ETag"] != etag


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"exact": "true"}, ("/exact", "contradiction")),
        ({"exact": "false", "q": "x"}, ("/exact", "unknown_value")),
        ({"from": "2025-02-12T12:00:00Z", "to": "2025-02-12T12:00:00Z"}, ("/to", "contradiction")),
        ({"from": "2025-02-12"}, ("/from", "invalid_timestamp")),
        ({"direction": "received"}, ("/direction", "unknown_value")),
        ({"state": "open"}, ("/state", "unknown_value")),
        ({"conversation": "x"}, ("/conversation", "invalid_id")),
        ({"q": "***"}, ("/q", "no_words")),
        ({"q": "***", "exact": "true"}, ("/q", "no_words")),
        ({"limit": "101"}, ("/limit", "invalid_limit")),
        ({"cursor": "x"}, ("/cursor", "invalid_cursor")),
        ({"count": "true"}, ("", "unknown_parameter")),
        ({"since": "2025-02-12T12:00:00Z"}, ("", "unknown_parameter")),
    ],
    ids=str,
)
def test_a_bad_parameter_is_refused_by_name(told, parameters, error):
    assert errors_of(get(**parameters)) == [error]


def test_a_cursor_of_one_order_is_refused_by_another_and_by_another_generation(told):
    cursor = listed(limit=1)["next"]
    answer = get(conversation=C, cursor=cursor)
    assert errors_of(answer) == [("/cursor", "invalid_cursor")]
    begin_generation()
    assert_problem(get(cursor=cursor), 410, "cursor_expired")


# One message


def test_a_message_is_read_by_its_id(told):
    for form in (id_of(3), id_of(3).upper(), f"{id_of(3)}/"):
        assert get(f"/messages/{form}").json() == {
            "id": id_of(3),
            "conversation_id": OTHER_C,
            "direction": "SENT",
            "timestamp": "2025-02-13T12:00:00.000000Z",
            "url": f"http://localhost/ui/{OTHER_C}/?message={id_of(3)}",
            "content": "Cancelado, como pediu",
        }


@pytest.mark.parametrize("id", [id_of(77), C, "x", "\0", id_of(3).replace("-", ""), "0" * 5_000])
def test_an_unknown_or_malformed_id_is_not_found(told, id):
    assert_problem(get(f"/messages/{id}"), 404, "not_found")


def test_a_message_is_a_304_until_it_is_erased(told):
    path = f"/messages/{id_of(0)}"
    etag = get(path)["ETag"]
    unchanged = through_wsgi("GET", path, HTTP_IF_NONE_MATCH=etag)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert through_wsgi("GET", path, HTTP_IF_MATCH='"another"').status_code == 412
    erasure.erase(UUID(C), at=NOW)
    assert through_wsgi("GET", path, HTTP_IF_NONE_MATCH=etag).status_code == 200


@pytest.mark.parametrize("path", ["/messages", "/messages/", f"/messages/{id_of(0)}"])
def test_head_says_what_get_says_without_the_body(told, client, path):
    answer, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Type", "ETag", "Cache-Control", "Content-Length"):
        assert head[name] == answer[name]


@pytest.mark.parametrize("path", ["/messages?q=cancel", f"/messages/{id_of(0)}"])
def test_a_reader_needs_a_login_or_a_token(told, settings, path):
    settings.LOGIN_REQUIRED = True
    assert_problem(through_wsgi("GET", path), 401, "not_authenticated")
