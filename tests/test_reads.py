"""Reads by machines: pages of conversations and messages, and transcripts. No request gets a 500."""

import csv
import json
import re
from base64 import urlsafe_b64encode
from datetime import timedelta
from io import BytesIO, StringIO
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from django.db import connection
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from chat.api import spreadsheets
from chat.api.reads import Transcript
from chat.api.schema import addresses
from chat.database.keyset import tag_of
from chat.events.bulk import ingest_many
from chat.events.ingest import Outcome
from chat.models import Conversation, Message, begin_generation, current_generation
from chat.upkeep import erasure
from realmate.postgresql.base import deadline
from tests.conftest import NOW, C, M, id_of, make_event
from tests.servers import assert_problem, errors_of, through_wsgi

pytestmark = pytest.mark.both_engines("every read of the API is SQL of its own")

LATEST, WAITING, NEWEST, OLDEST = "latest", "waiting", "newest", "oldest"
ORDERINGS = [LATEST, WAITING, NEWEST, OLDEST]


def get(path, **parameters):
    return through_wsgi("GET", f"{path}?{urlencode(parameters)}" if parameters else path)


def listed(**parameters):
    answer = get("/conversations", **parameters)
    assert answer.status_code == 200, answer.content
    return answer.json()


def ids(page):
    return [conversation["id"] for conversation in page["conversations"]]


def pages(**parameters):
    """Return the ids of every page, from the first to the last."""
    page = listed(**parameters)
    found = [ids(page)]
    while page["next"]:
        page = listed(**parameters | {"cursor": page["next"]})
        found.append(ids(page))
    return found


@pytest.fixture
def conversations(db):
    """Conversations: some at the same instant, some closed, some waiting, some empty."""
    events = [event for n in range(23) for event in events_of(n)]
    results = ingest_many((json.dumps(event).encode(), NOW) for event in events)
    assert {result.outcome for result in results} == {Outcome.APPLIED}


def events_of(n):
    yield make_event("NEW_CONVERSATION", id=id_of(n), at=f"2025-02-21T10:{n // 3:02}:00")
    if n % 3:
        about = {"conversation_id": id_of(n), "at": f"2025-02-21T11:{n // 4:02}:00"}
        direction = "SENT" if n % 5 == 0 else "RECEIVED"
        yield make_event(
            "NEW_MESSAGE", id=id_of(100 + n), direction=direction, content="pago", **about
        )
    if n % 4 == 0:
        yield make_event("CLOSE_CONVERSATION", id=id_of(n), at="2025-02-21T12:00:00")


# Conversations


def test_a_row_says_what_the_inbox_shows(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    at = "2025-02-21T10:20:42.349308"
    deliver(make_event("NEW_MESSAGE", id=M, at=at, content="Olá,\ntudo bem?"))
    assert listed() == {
        "conversations": [
            {
                "id": C,
                "state": "OPEN",
                "opened_at": "2025-02-21T10:20:41.349308Z",
                "closed_at": None,
                "needs_reply": True,
                "waiting_since": f"{at}Z",
                "activity_at": f"{at}Z",
                "updated_at": "2025-02-21T12:00:00.000000Z",
                "erased_at": None,
                "wrote_after_closing_at": None,
                "dealt_with_at": None,
                "message_count": 1,
                "last_message": {
                    "direction": "RECEIVED",
                    "preview": "Olá, tudo bem?",
                    "timestamp": f"{at}Z",
                },
            }
        ],
        "next": None,
    }


def test_a_closed_conversation_without_messages_has_no_last_one(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-21T12:00:00"))
    (row,) = listed()["conversations"]
    assert (row["state"], row["closed_at"]) == ("CLOSED", "2025-02-21T12:00:00.000000Z")
    assert (row["last_message"], row["message_count"]) == (None, 0)
    assert (row["needs_reply"], row["waiting_since"]) == (False, None)


def test_nothing_is_an_empty_list(db):
    assert listed() == {"conversations": [], "next": None}


ORDER = {
    LATEST: ("-activity_at", "-id"),
    WAITING: ("waits_from", "-activity_at", "-id"),
    NEWEST: ("-opened_at", "-id"),
    OLDEST: ("opened_at", "id"),
}


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize("limit", [1, 4, 23, 100])
def test_every_order_has_each_conversation_once(conversations, ordering, limit):
    found = pages(ordering=ordering, limit=limit)
    rows = Conversation.objects.order_by(*ORDER[ordering])
    assert [id for page in found for id in page] == [str(row.id) for row in rows]
    assert all(len(page) == limit for page in found[:-1])


def test_without_parameters_it_is_the_latest_fifty(deliver):
    for n in range(51):
        deliver(make_event("NEW_CONVERSATION", id=id_of(n)))
    assert pages() == pages(ordering=LATEST, limit=50)
    assert list(map(len, pages())) == [50, 1]


def name_of(value) -> str:
    """Return an id equal in every process, unlike the name of a function."""
    return str(value)[:60] if isinstance(value, dict) else "fits"


NARROWED = [
    ({"state": "OPEN"}, lambda row: row["state"] == "OPEN"),
    ({"state": "CLOSED"}, lambda row: row["state"] == "CLOSED"),
    ({"needs_reply": "true"}, lambda row: row["needs_reply"]),
    ({"needs_reply": "false"}, lambda row: not row["needs_reply"]),
    (
        {"state": "OPEN", "needs_reply": "false"},
        lambda row: row["state"] == "OPEN" and not row["needs_reply"],
    ),
    ({"state": "OPEN", "needs_reply": "true"}, lambda row: row["needs_reply"]),
    ({"state": "CLOSED", "needs_reply": "false"}, lambda row: row["state"] == "CLOSED"),
]


@pytest.mark.parametrize("ordering", [LATEST, NEWEST, OLDEST])
@pytest.mark.parametrize(("parameters", "fits"), NARROWED, ids=name_of)
def test_a_filter_lists_what_fits_and_all_of_it(conversations, parameters, fits, ordering):
    fitting = [row["id"] for row in listed(ordering=ordering)["conversations"] if fits(row)]
    found = pages(ordering=ordering, limit=3, **parameters)
    assert 0 < len(fitting) < 23
    assert [id for page in found for id in page] == fitting


def test_a_conversation_that_arrives_between_two_pages_moves_nothing(conversations, deliver):
    page = listed(limit=5)
    deliver(make_event("NEW_CONVERSATION", id=id_of(99), at="2025-02-21T11:59:00"))
    assert listed(cursor=page["next"], limit=100)["conversations"][0]["id"] not in ids(page)
    assert id_of(99) not in [id for found in pages(cursor=page["next"], limit=5) for id in found]


# Search


def test_a_search_lists_the_conversations_of_its_hits_by_arrival(deliver):
    for n in range(3):
        deliver(make_event("NEW_CONVERSATION", id=id_of(n)))
    for number, n in enumerate([0, 1, 0, 2, 2, 1]):
        about = {"conversation_id": id_of(n), "content": "Não paguei" if n != 2 else "sim"}
        deliver(make_event("NEW_MESSAGE", id=id_of(100 + number), **about))
    assert pages(q="nao pag") == [[id_of(1), id_of(0)]]
    assert pages(q="sim") == [[id_of(2)]]
    assert pages(q="zzz") == [[]]


@pytest.mark.parametrize("limit", [1, 4, 100])
@pytest.mark.parametrize(("parameters", "fits"), NARROWED, ids=name_of)
def test_a_search_is_narrowed_too(conversations, limit, parameters, fits):
    everything = listed(limit=100, q="pag")["conversations"]
    fitting = [row["id"] for row in everything if fits(row)]
    found = pages(q="pag", limit=limit, **parameters)
    assert [id for page in found for id in page] == fitting
    assert fitting


def test_a_page_of_a_search_has_a_conversation_once_and_no_page_misses_one(deliver):
    for n in range(4):
        deliver(make_event("NEW_CONVERSATION", id=id_of(n)))
    for number, n in enumerate([3, 0, 1, 1, 2, 2, 2, 0, 1, 2]):
        deliver(
            make_event(
                "NEW_MESSAGE", id=id_of(100 + number), conversation_id=id_of(n), content="pago"
            )
        )
    for limit in range(1, 5):
        found = pages(q="pago", limit=limit)
        assert all(len(page) == len(set(page)) for page in found)
        assert {id for page in found for id in page} == {id_of(n) for n in range(4)}
    assert pages(q="pago", limit=2)[0] == [id_of(2), id_of(1)]


def test_a_page_of_a_search_looks_at_bounded_hits_and_says_that_there_are_more(
    conversations, monkeypatch
):
    monkeypatch.setattr("chat.models.words.HITS_A_PAGE", 2)
    found = pages(q="pago", limit=100, state="CLOSED")
    assert [] in found
    assert [id for page in found for id in page] == [id_of(n) for n in (20, 16, 8, 4)]


def test_hits_that_end_at_the_bound_have_no_next_page(conversations, monkeypatch):
    monkeypatch.setattr("chat.models.words.HITS_A_PAGE", 15)
    assert len(pages(q="pago", limit=100)) == 1


# Parameters


def cursor(*values):
    """Return a cursor made by hand, valid except for its order."""
    tagged = [tag_of(Conversation, ("-activity_at", "-id")), *values]
    return urlsafe_b64encode(json.dumps(tagged).encode()).decode().rstrip("=")


AT = "2025-02-21T10:20:41+00:00"
HOSTILE = [str(10**20), "\0", "é", "", " ", "null", "[]", "' OR 1=1 --", "9" * 5_000, "%ED%A0%80"]

BAD = {
    "limit": [*HOSTILE, "0", "-1", "101", "1.5", "1e1", "٣", "+5", "05", " 5", "5\n", "true"],
    "cursor": [
        *HOSTILE,
        "====",
        "A" * 10_000,
        "W" * 200,
        "W1tbW1tbW1tbW1s",
        cursor(),
        cursor(AT),
        cursor(AT, "x"),
        cursor(AT, id_of(1), 5),
        cursor(5, id_of(1)),
        cursor([[AT]], [[id_of(1)]]),
        cursor({"a": AT}, None),
        cursor(cursor(AT, id_of(1)), id_of(1)),
        cursor("9999-12-31T23:59:59-12:00", id_of(1)),
        cursor("0001-01-01T00:00:00+14:00", id_of(1)),
        cursor("\0", "\ud800"),
    ],
    "state": [*HOSTILE, "open", "OPEN ", "ALL", "OPEN,CLOSED"],
    "needs_reply": [*HOSTILE, "True", "1", "yes", "0"],
    "updated_since": [*HOSTILE, "2025", "yesterday", "2025-02-21", "0001-01-01T00:00:00"],
    "ordering": [*HOSTILE, "-latest", "activity_at", "LATEST", "latest,newest"],
    "q": ["", " ", "***", "👍", "\0", "x" * 1_001, " ".join(map(str, range(33)))],
}
BAD_VALUES = [(name, value) for name, values in BAD.items() for value in values]


@pytest.mark.parametrize(
    ("name", "value"), BAD_VALUES, ids=[f"{n}-{ascii(v)[:40]}" for n, v in BAD_VALUES]
)
def test_a_bad_value_is_refused_by_name(db, name, value):
    values = [value]
    if name == "cursor" and value:
        values.append(f"{current_generation()}.{value}")
    for value in values:
        ((pointer, _),) = errors_of(get("/conversations", **{name: value}))
        assert pointer == f"/{name}"


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_cursor_of_one_order_is_refused_by_another(conversations, ordering):
    cursors = {other: listed(ordering=other, limit=1)["next"] for other in ORDERINGS}
    for other, cursor in cursors.items():
        if other == ordering:
            listed(ordering=ordering, cursor=cursor)
        else:
            answer = get("/conversations", ordering=ordering, cursor=cursor)
            assert errors_of(answer) == [("/cursor", "invalid_cursor")]


@pytest.mark.parametrize("path", ["/conversations", "/deliveries"])
def test_a_cursor_of_another_generation_has_expired(conversations, path):
    cursor = get(path, limit=1).json()["next"]
    assert get(path, limit=1, cursor=cursor).status_code == 200
    begin_generation()
    assert_problem(get(path, limit=1, cursor=cursor), 410, "cursor_expired")


# Updates


def test_what_changed_since_a_time_comes_in_the_order_of_the_updates(deliver):
    for number in (3, 1, 2):
        deliver(make_event("NEW_CONVERSATION", id=id_of(number)), after=timedelta(minutes=number))
    deliver(make_event("CLOSE_CONVERSATION", id=id_of(1)), after=timedelta(minutes=9))
    since = (NOW + timedelta(minutes=3)).isoformat()
    assert pages(updated_since=since, limit=1) == [[id_of(3)], [id_of(1)]]
    assert pages(updated_since=since, limit=1, state="CLOSED") == [[id_of(1)]]
    assert pages(updated_since=since, needs_reply="true") == [[]]
    row = listed(updated_since=since)["conversations"][1]
    assert row["updated_at"] == "2025-02-21T12:09:00.000000Z"
    assert row["erased_at"] is None


def test_an_erasure_is_an_update(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    erasure.erase(UUID(C), at=NOW + timedelta(days=1))
    [row] = listed(updated_since=(NOW + timedelta(days=1)).isoformat())["conversations"]
    assert row["erased_at"] == row["updated_at"]


@pytest.mark.parametrize("other", [{"q": "pago"}, {"ordering": LATEST}])
def test_updates_have_an_order_of_their_own(db, other):
    answer = get("/conversations", updated_since="2025-02-21T10:00:00Z", **other)
    [(_, code)] = errors_of(answer)
    assert code == "contradiction"


# ETags


@pytest.mark.parametrize("path", ["/conversations", "/deliveries"])
def test_an_unchanged_list_is_not_sent_again(client, deliver, path):
    deliver(make_event("NEW_CONVERSATION", id=C))
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    assert client.get(path, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_a_restore_cannot_repeat_the_etag_of_a_conversation(client, deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    etag = client.get(f"/conversations/{C}")["ETag"]
    begin_generation()
    answer = client.get(f"/conversations/{C}", headers={"If-None-Match": etag})
    assert (answer.status_code, answer["ETag"] != etag) == (200, True)


SURROGATE = "%ED%A0%80"


@pytest.mark.parametrize("name", [*BAD, "before", "after", "around"])
@pytest.mark.parametrize("value", [SURROGATE, "%FF", "%00", "%", "%ZZ"])
def test_bytes_that_are_no_text_are_refused_or_find_nothing(db, deliver, name, value):
    deliver(make_event("NEW_CONVERSATION", id=C))
    path = "/conversations" if name in BAD else f"/conversations/{C}/messages"
    answer = through_wsgi("GET", f"{path}?{name}={value}")
    if name == "q" and value == "%ZZ":
        assert answer.json() == {"conversations": [], "next": None}
    else:
        assert [pointer for pointer, _ in errors_of(answer)] == [f"/{name}"]


@pytest.mark.parametrize(
    "text", ["NEAR(", "a OR b", 'b" OR "a', "a" * 1_000, "nao\0", "\\a", "words:a", "x*"]
)
def test_a_hostile_search_finds_nothing(conversations, text):
    assert listed(q=text)["conversations"] == []


def test_a_cursor_of_a_search_is_none_of_an_order_and_the_other_way_round(conversations):
    searched, ordered = listed(q="pago", limit=1)["next"], listed(limit=1)["next"]
    assert errors_of(get("/conversations", cursor=searched)) == [("/cursor", "invalid_cursor")]
    answer = get("/conversations", q="pago", cursor=ordered)
    assert errors_of(answer) == [("/cursor", "invalid_cursor")]


@pytest.mark.parametrize("values", [(-1,), (2**63,), (1.5,), (True,), (None,), ("1",), ([1],), ()])
def test_a_made_up_cursor_of_a_search_is_refused(conversations, values):
    answer = get("/conversations", q="pago", cursor=cursor(*values))
    assert errors_of(answer) == [("/cursor", "invalid_cursor")]


CONTRADICTIONS = [
    ({"state": "CLOSED", "needs_reply": "true"}, "/needs_reply"),
    ({"state": "CLOSED", "ordering": WAITING}, "/ordering"),
    ({"needs_reply": "false", "ordering": WAITING}, "/ordering"),
    ({"q": "pago", "ordering": LATEST}, "/ordering"),
    ({"q": "pago", "ordering": OLDEST}, "/ordering"),
]


@pytest.mark.parametrize(("parameters", "pointer"), CONTRADICTIONS, ids=str)
def test_what_makes_no_sense_together_is_refused(db, parameters, pointer):
    answer = get("/conversations", **parameters)
    assert errors_of(answer) == [(pointer, "contradiction")]


@pytest.mark.parametrize(
    "path", ["/conversations", f"/conversations/{C}/messages"], ids=["list", "messages"]
)
def test_an_unknown_parameter_is_refused_and_not_repeated_to_the_client(deliver, path):
    deliver(make_event("NEW_CONVERSATION", id=C))
    answer = get(path, needs_replay="true", limit="5")
    assert errors_of(answer) == [("", "unknown_parameter")]
    assert b"replay" not in answer.content
    assert b"limit" in answer.content


def test_a_parameter_given_twice_is_refused(db):
    for query in ("limit=5&limit=5", "limit=5&limit=", "limit=5&limit[]=6&limit=7"):
        answer = through_wsgi("GET", f"/conversations?{query}")
        assert errors_of(answer)[0] == ("/limit", "repeated")


def test_everything_that_is_wrong_is_said_at_once(db):
    query = "limit=0&state=x&needs_reply=x&ordering=x&q=%20&updated_since=x&cursor=&y=z&limit=1"
    errors = errors_of(through_wsgi("GET", f"/conversations?{query}"))
    assert {pointer for pointer, _ in errors} == {*(f"/{name}" for name in BAD), ""}


def test_more_parameters_than_anyone_needs_are_refused(db):
    query = "&".join(f"p{n}=1" for n in range(5_000))
    assert_problem(through_wsgi("GET", f"/conversations?{query}"), 400, "bad_request")


# Messages


@pytest.fixture
def thread(deliver):
    """Twelve messages, three at each instant. The last to arrive is the first in time."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    for n in range(12):
        at = f"2025-02-21T11:{n // 3:02}:00" if n < 11 else "2025-02-21T10:30:00"
        deliver(make_event("NEW_MESSAGE", id=id_of(n), at=at, content=f"{n}"))
    return [id_of(11), *map(id_of, range(11))]


def stretch(**parameters):
    answer = get(f"/conversations/{C}/messages", **parameters)
    assert answer.status_code == 200, answer.content
    page = answer.json()
    page["messages"] = [message["id"] for message in page["messages"]]
    return page


def page_of(messages, has_older, has_newer):
    return {"messages": messages, "has_older": has_older, "has_newer": has_newer}


def test_a_message_of_a_page_says_when_it_came_and_whether_late(thread):
    message = get(f"/conversations/{C}/messages", limit=12).json()["messages"][0]
    assert message == {
        "id": id_of(11),
        "direction": "RECEIVED",
        "content": "11",
        "timestamp": "2025-02-21T10:30:00.000000Z",
        "received_at": "2025-02-21T12:00:00.000000Z",
        "late": True,
    }


def test_pages_of_a_thread(thread):
    assert stretch() == page_of(thread, False, False)
    assert stretch(limit=4) == page_of(thread[-4:], True, False)
    assert stretch(limit=4, before=thread[5]) == page_of(thread[1:5], True, True)
    assert stretch(limit=5, before=thread[5]) == page_of(thread[:5], False, True)
    assert stretch(limit=4, after=thread[5]) == page_of(thread[6:10], True, True)
    assert stretch(limit=6, after=thread[5]) == page_of(thread[6:], True, False)
    assert stretch(limit=5, around=thread[5]) == page_of(thread[3:8], True, True)
    assert stretch(limit=1, around=thread[5].upper()) == page_of([thread[5]], True, True)
    assert stretch(before=thread[0]) == page_of([], False, True)
    assert stretch(after=thread[-1]) == page_of([], True, False)
    assert stretch(around=thread[0]) == page_of(thread, False, False)


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_a_thread_is_read_in_both_directions_without_gap_or_repeat(thread, limit):
    page = stretch(limit=limit)
    upward = page["messages"]
    while page["has_older"]:
        page = stretch(limit=limit, before=upward[0])
        upward = page["messages"] + upward
    downward, page = [thread[0]], {"has_newer": True}
    while page["has_newer"]:
        page = stretch(limit=limit, after=downward[-1])
        downward += page["messages"]
    assert upward == downward == thread


def test_a_conversation_without_messages_has_an_empty_page(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    assert stretch() == page_of([], False, False)


@pytest.mark.parametrize("name", ["before", "after", "around"])
@pytest.mark.parametrize("value", [*HOSTILE, "abc", f"urn:uuid:{M}", M.replace("-", ""), f"{M}\n"])
def test_what_is_no_id_of_a_message_is_refused(thread, name, value):
    answer = get(f"/conversations/{C}/messages", **{name: value})
    assert errors_of(answer) == [(f"/{name}", "invalid_id")]


@pytest.mark.parametrize("name", ["before", "after", "around"])
def test_a_message_of_another_conversation_is_none_of_this(thread, deliver, name):
    deliver(make_event("NEW_CONVERSATION", id=id_of(77)))
    deliver(make_event("NEW_MESSAGE", id=M, conversation_id=id_of(77)))
    for id in (M, C):
        answer = get(f"/conversations/{C}/messages", **{name: id})
        assert errors_of(answer) == [(f"/{name}", "unknown_message")]


@pytest.mark.parametrize("names", [("before", "after"), ("before", "around"), ("after", "around")])
def test_one_place_at_a_time(thread, names):
    answer = get(f"/conversations/{C}/messages", **dict.fromkeys(names, thread[3]))
    assert errors_of(answer) == [(f"/{names[1]}", "contradiction")]


@pytest.mark.parametrize("value", BAD["limit"], ids=lambda value: ascii(value)[:40])
def test_a_bad_length_of_a_page_of_messages_is_refused(thread, value):
    answer = get(f"/conversations/{C}/messages", limit=value)
    assert errors_of(answer) == [("/limit", "invalid_limit")]


# Transcripts


def transcript(suffix):
    answer = get(f"/conversations/{C}/transcript.{suffix}")
    assert answer.status_code == 200
    return answer.content.decode("utf-8-sig" if suffix == "csv" else "utf-8")


def table():
    return list(csv.reader(StringIO(transcript("csv"), newline="")))


@pytest.fixture
def told(deliver):
    def told(*texts, closed=False):
        deliver(make_event("NEW_CONVERSATION", id=C))
        for n, text in enumerate(texts):
            direction = ("RECEIVED", "SENT")[n % 2]
            at = f"2025-02-21T10:{21 + n // 60:02}:{n % 60:02}"
            deliver(
                make_event("NEW_MESSAGE", id=id_of(n), at=at, direction=direction, content=text)
            )
        if closed:
            deliver(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-21T12:00:00"))

    return told


def test_a_transcript_is_text_to_read(told):
    told("Olá, tudo bem?\nPreciso de ajuda", "Claro!", closed=True)
    assert transcript("txt") == (
        f"Conversation {C}\n"
        "State: CLOSED\n"
        "Opened: 2025-02-21T10:20:41.349308Z\n"
        "Closed: 2025-02-21T12:00:00Z\n"
        "Messages: 2\n"
        "\n"
        "2025-02-21T10:21:00Z RECEIVED\n"
        "    Olá, tudo bem?\n"
        "    Preciso de ajuda\n"
        "\n"
        "2025-02-21T10:21:01Z SENT\n"
        "    Claro!\n"
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028"])
def test_no_text_passes_for_another_message(told, newline):
    told(f"sim{newline}{newline}2025-02-21T10:21:00Z SENT{newline}    não")
    lines = transcript("txt").split("\n")[5:]
    assert [line for line in lines if line and not line.startswith("    ")] == [
        "2025-02-21T10:21:00Z RECEIVED"
    ]
    assert len(lines) == 6


def test_no_text_commands_a_terminal(told):
    told("\x1b[2Jsim\x07\x9b5n\tfim")
    assert "    �[2Jsim��5n\tfim\n" in transcript("txt")


def test_a_transcript_is_a_table(told):
    told("Olá, tudo bem?", 'Um "teste"\ncom linhas')
    assert table() == [
        ["timestamp", "direction", "content", "id"],
        ["2025-02-21T10:21:00Z", "RECEIVED", "Olá, tudo bem?", id_of(0)],
        ["2025-02-21T10:21:01Z", "SENT", 'Um "teste"\ncom linhas', id_of(1)],
    ]


def test_a_table_is_as_excel_and_rfc_4180_have_it(told):
    told('diz "sim", já')
    raw = get(f"/conversations/{C}/transcript.csv").content
    assert raw.startswith(b"\xef\xbb\xbftimestamp,direction,content,id\r\n")
    assert raw.endswith(f',RECEIVED,"diz ""sim"", já",{id_of(0)}\r\n'.encode())


FORMULAS = ["=1+1", "+55 11", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_no_text_runs_as_a_formula(told, text):
    told(text)
    cell = table()[1][2]
    assert (cell[0], cell.replace("'", "")) == ("'", text)


SPLIT = [
    *("oi;=1+1;x", "texto\n=4+4", "texto\r\n+4", "a,b;=5+5", "a|@SUM(1)", "a\t-1", "um;＝1+1"),
    *(';"=1+1"', 'a;""=2', "a,,=3", ";;+4", "=1;=2;=3", "\n\n=1", "a;\t=1", "\t;=1", "x\r=1"),
]


@pytest.mark.parametrize("text", SPLIT, ids=ascii)
def test_no_part_of_a_text_runs_as_a_formula_wherever_a_spreadsheet_splits_it(told, text):
    told(text)
    raw = through_wsgi("GET", f"/conversations/{C}/transcript.csv").content.decode()
    for cell in re.split("[,;|\t\r\n]", raw):
        assert not re.match('"*[=+\\-@＝＋－＠]', cell)


@pytest.mark.parametrize("text", ["a; b", "sim, não", "1;2", "a;'=1", "a-b;c", "ok\n- item"])
def test_a_text_that_is_split_elsewhere_stays_readable(told, text):
    told(text)
    assert table()[1][2].replace("'", "") == text.replace("'", "")


# The workbook


def workbook():
    """Return the rows of each sheet. None stands for an empty cell."""
    content = get(f"/conversations/{C}/transcript.xlsx").content
    return [
        [tuple(cell and unescape(cell) for cell in row) for row in sheet.values]
        for sheet in load_workbook(BytesIO(content))
    ]


TEXTS = [*FORMULAS[:4], *SPLIT[:5], "0012", "1e5", "TRUE", "2025-02-21", "https://example.org"]
TEXTS += ["_x0041_", "<b>&amp;", " ok ", "linha\noutra", "'=1", "🙂", "é"]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_text_is_a_text_in_a_workbook(told, text):
    told(text)
    [[head, row]] = workbook()
    assert head == ("timestamp", "direction", "content", "id")
    text = text.replace("\r\n", "\n")
    assert row == ("2025-02-21T10:21:00Z", "RECEIVED", text, id_of(0))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\r\nb\rc", "a\nb\nc"), ("a\x07b\x1b", "a\ufffdb\ufffd"), ("\uffff", "\ufffd")],
)
def test_a_workbook_shows_what_xml_has_no_sign_for(told, text, shown):
    told(text)
    assert workbook()[0][1][2] == shown


@pytest.mark.parametrize("sign", ["a", "é", "🙂"])
@pytest.mark.parametrize("length", [16_383, 16_384, 32_767, 32_768, 100_000])
def test_a_long_text_goes_on_in_further_cells(told, sign, length):
    told(sign * length)
    [[_, (_, _, first, id, *others)]] = workbook()
    cells = [first, *(each for each in others if each)]
    assert id == id_of(0)
    assert "".join(cells) == sign * length
    assert all(len(cell.encode("utf-16-le")) // 2 <= 32_767 for cell in cells)


def test_many_messages_go_on_in_another_sheet(told, monkeypatch):
    monkeypatch.setattr(spreadsheets, "ROWS_OF_A_SHEET", 3)
    told("um", "dois", "três")
    assert [[row[2] for row in sheet] for sheet in workbook()] == [
        ["content", "um", "dois"],
        ["content", "três"],
    ]


@pytest.mark.parametrize("text", ["sim = não", "'=1", "R$ 5", " ok", "1+1", "\u2028", "a\r\nb"])
def test_any_other_text_is_in_the_table_as_it_was_written(told, text):
    told(f"x{text}", f"{text}x")
    assert [row[2] for row in table()[1:]] == [f"x{text}", f"{text}x"]


@pytest.mark.parametrize(("suffix", "type"), [("txt", "plain"), ("csv", "csv")])
def test_a_transcript_is_a_file_to_keep(told, suffix, type):
    told("sim")
    for method in ("GET", "HEAD"):
        answer = through_wsgi(method, f"/conversations/{C.upper()}/transcript.{suffix}")
        assert answer.status_code == 200
        assert answer["Content-Type"] == f"text/{type}; charset=utf-8"
        named = f'attachment; filename="conversation-{C}.{suffix}"'
        assert answer["Content-Disposition"] == named
        assert bool(answer.content) == (method == "GET")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_every_message_is_in_it_once_wherever_the_chunks_end(told, monkeypatch, count):
    monkeypatch.setattr("chat.models.messages.CHUNK", 3)
    told(*(f"texto {n}" for n in range(count)))
    assert [row[3] for row in table()[1:]] == [id_of(n) for n in range(count)]
    assert transcript("txt").count("texto") == count


def test_messages_of_one_instant_are_in_it_once_in_the_order_of_arrival(
    deliver, monkeypatch, client
):
    monkeypatch.setattr("chat.models.messages.CHUNK", 2)
    deliver(make_event("NEW_CONVERSATION", id=C))
    for n in (5, 3, 9, 1, 7):
        deliver(make_event("NEW_MESSAGE", id=id_of(n)))
    assert [row[3] for row in table()[1:]] == [id_of(n) for n in (5, 3, 9, 1, 7)]


def test_a_transcript_is_streamed_chunk_by_chunk(
    told, monkeypatch, client, django_assert_num_queries
):
    monkeypatch.setattr("chat.models.messages.CHUNK", 2)
    told(*"abcdefgh")
    with django_assert_num_queries(2):
        answer = client.get(f"/conversations/{C}/transcript.txt")
    assert answer.streaming
    with django_assert_num_queries(3):
        assert len(list(answer.streaming_content)) == 5


def test_no_chunk_waits_for_the_database_without_end(told, monkeypatch):
    """Each chunk has a deadline of its own, because all chunks together take as long as their reader."""
    told()
    asked = (f"{deadline()}\n" for _ in range(5))
    monkeypatch.setattr(Transcript, "write", staticmethod(lambda conversation: asked))
    first, second, *others = transcript("txt").split()
    assert first == second  # both are ready before the answer begins
    assert len({first, *others}) == 4
    assert "None" not in others
    assert deadline() is None


def test_a_message_that_arrives_while_a_transcript_is_read_does_no_harm(
    told, deliver, monkeypatch, client
):
    monkeypatch.setattr("chat.models.messages.CHUNK", 2)
    told(*"abcd")
    answer = client.get(f"/conversations/{C}/transcript.csv")
    deliver(make_event("NEW_MESSAGE", id=M, at="2025-02-21T11:00:00", content="e"))
    deliver(make_event("NEW_MESSAGE", id=id_of(99), at="2025-02-21T10:20:50", content="f"))
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert [row[2] for row in csv.reader(StringIO(text, newline=""))][1:] == list("abcde")


def test_a_torn_database_is_a_503_before_the_file_begins(transactional_db, deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE chat_message RENAME TO away")
    try:
        for path in ("transcript.txt", "transcript.csv", "transcript.xlsx", "messages"):
            answer = through_wsgi("GET", f"/conversations/{C}/{path}")
            assert_problem(answer, 503, "try_again")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO chat_message")


# All of them

OF_A_CONVERSATION = ["", "/messages", "/transcript.txt", "/transcript.csv", "/transcript.xlsx"]


@pytest.mark.parametrize("end", ["", "/"], ids=["bare", "slash"])
@pytest.mark.parametrize("path", OF_A_CONVERSATION)
@pytest.mark.parametrize("id", ["abc", M, quote("\0"), SURROGATE, "9" * 5_000, f"{C}x", "%2e%2e"])
def test_an_unknown_conversation_is_a_404(db, id, path, end):
    answer = through_wsgi("GET", f"/conversations/{id}{path}{end}")
    assert_problem(answer, 404, "conversation_not_found")


@pytest.mark.parametrize(
    "path", ["/conversations", *(f"/conversations/{C}{end}" for end in OF_A_CONVERSATION)]
)
def test_only_its_reader_keeps_an_answer_and_asks_again(told, path):
    told("sim")
    for asked in (path, path.replace(C, M)):
        control = get(asked)["Cache-Control"]
        assert set(control.split(", ")) == {"private", "no-cache"}


@pytest.mark.parametrize(
    "path",
    [
        "/conversations",
        "/deliveries",
        "/changes",
        f"/conversations/{C}",
        *(f"/conversations/{C}{end}" for end in OF_A_CONVERSATION),
    ],
)
def test_a_browser_keeps_nothing_that_may_be_erased(told, admin_client, path):
    told("sim")
    answer = admin_client.get(path)
    assert answer.status_code == 200
    assert set(answer["Cache-Control"].split(", ")) == {"private", "no-store"}


@pytest.mark.parametrize("path", ["/conversations", f"/conversations/{C}/messages"])
def test_head_of_a_page_has_what_get_has_but_the_body(told, client, path):
    told("sim")
    head, page = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Length"] == page["Content-Length"] == str(len(page.content))


QUERIES = [
    ("/conversations", 2),
    ("/conversations?state=OPEN&ordering=waiting&limit=100", 2),
    ("/conversations?q=ola", 3),
    ("/conversations?q=ola&state=OPEN&limit=100", 3),
    ("/conversations?q=zzz", 2),
    (f"/conversations/{C}/messages", 2),
    (f"/conversations/{C}/messages?before={M}", 3),
    (f"/conversations/{C}/messages?after={M}", 3),
    (f"/conversations/{C}/messages?around={M}", 4),
    (f"/conversations/{C}/transcript.txt", 2),
    (f"/conversations/{C}/transcript.csv", 2),
    ("/conversations?limit=x", 0),
    (f"/conversations/{C}/messages?limit=x", 0),
    ("/conversations/abc/messages", 0),
]


def test_queries_do_not_grow(transactional_db, generation, deliver, django_assert_num_queries):
    def assert_constant():
        for path, count in QUERIES:
            with django_assert_num_queries(count):
                through_wsgi("GET", path)

    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    assert_constant()
    for n in range(60):
        deliver(make_event("NEW_CONVERSATION", id=id_of(n)))
        deliver(make_event("NEW_MESSAGE", id=id_of(100 + n), conversation_id=id_of(n)))
        deliver(make_event("NEW_MESSAGE", id=id_of(200 + n)))
    assert_constant()


def explained(query):
    sql, params = query
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return str(cursor.fetchall())


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "path",
    [
        "/conversations?state=OPEN",
        "/conversations?needs_reply=true&ordering=waiting",
        "/conversations?needs_reply=false",
        "/conversations?ordering=newest",
        "/conversations?ordering=oldest",
        "/conversations?q=ola",
        "/conversations?q=ola&state=OPEN",
        f"/conversations/{C}/messages?around={M}",
        f"/conversations/{C}/transcript.csv",
    ],
)
def test_a_page_is_read_from_an_index(told, deliver, django_assert_max_num_queries, path):
    told(*"ab")
    deliver(make_event("NEW_MESSAGE", id=M))
    with django_assert_max_num_queries(5) as captured:
        assert through_wsgi("GET", path).status_code == 200
    for query in captured.captured_queries:
        assert "TEMP B-TREE" not in explained((query["sql"], []))
    assert Message.objects.count() == 3


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("fraction", ["", ".000001", ".999999"])
def test_who_waits_in_the_last_second_of_all_times_waits_too(client, deliver, fraction, late):
    deliver(make_event("NEW_CONVERSATION", id=C))
    last = f"2999-12-31T23:59:59{fraction}Z"
    if late:
        deliver(make_event("NEW_MESSAGE", id=M, at=last, direction="SENT"))
        deliver(make_event("NEW_MESSAGE", id=id_of(3), at="2999-12-31T23:59:59Z"))
    deliver(make_event("NEW_MESSAGE", id=id_of(2), at=last))
    [row] = client.get("/conversations").json()["conversations"]
    waits = row["waiting_since"] is not None
    for ordering in ("latest", "waiting", "oldest"):
        answer = client.get(f"/conversations?ordering={ordering}&needs_reply=true")
        assert bool(answer.json()["conversations"]) == waits
    answer = client.get("/conversations?needs_reply=false")
    assert bool(answer.json()["conversations"]) != waits
    assert waits


# Links and parameters


@pytest.mark.parametrize("path", ["/conversations", "/deliveries"])
def test_the_next_page_has_an_address_in_a_header(conversations, path):
    answer = get(path, limit=10)
    assert (
        answer["Link"]
        == f'<http://localhost{path}?{next_query(limit=10, answer=answer)}>; rel="next"'
    )
    seen = []
    while link := answer["Link"]:
        seen += answer.json()[path[1:]]
        answer = through_wsgi("GET", link[len("<http://localhost") : -len('>; rel="next"')])
        assert answer.status_code == 200
    seen += answer.json()[path[1:]]
    assert len({row["id"] for row in seen}) == len(seen) > 20
    assert answer.json()["next"] is None


def next_query(*, answer, **parameters):
    return urlencode(parameters | {"cursor": answer.json()["next"]})


def test_changes_always_have_a_next_address(conversations):
    answer = get("/changes", limit=2)
    assert (
        answer["Link"]
        == f'<http://localhost/changes?limit=2&after={answer.json()["next"]}>; rel="next"'
    )
    last = get("/changes", after="now")
    assert last["Link"].endswith(f'?after={last.json()["next"]}>; rel="next"')


TO_READ = [path for path, view in addresses() if "get" in view.http_method_names]
# The webhook accepts any query too, because a refusal would do harm.
TAKING_ANYTHING = {"/healthz", "/readyz"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", TO_READ)
def test_every_address_refuses_unknown_parameters(conversations, path, method):
    answer = through_wsgi(method, f"{path.replace('{id}', id_of(1))}?unknown=5")
    if path in TAKING_ANYTHING:
        assert answer.status_code == 200
    elif method == "HEAD":
        assert answer.status_code == 400
    else:
        assert errors_of(answer) == [("", "unknown_parameter")]
        assert answer.json()["errors"][0]["detail"].startswith("This address takes ")


def test_the_webhook_takes_an_event_with_any_parameter(post):
    assert post(make_event("NEW_CONVERSATION", id=C), path="/webhook/?from=crm").status_code == 201
