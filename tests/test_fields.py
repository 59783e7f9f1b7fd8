"""The members of an event: docs/requirements.md, Fields."""

import json
import re

import pytest

from chat.models import Conversation, Message
from tests.conftest import C, M, make_event

OPEN = make_event("NEW_CONVERSATION", id=C)


@pytest.fixture
def errors(deliver):
    """Return the errors of a delivery, by their pointer. A valid event has none."""

    def errors(event):
        refusal = deliver(event).refusal
        return {error.pointer: error.code for error in refusal.errors} if refusal else {}

    return errors


@pytest.fixture
def opened_at(errors):
    """Return the stored time of a timestamp, in UTC, or None for a refused one."""

    def opened_at(timestamp):
        found = errors(make_event("NEW_CONVERSATION", id=C, at=timestamp))
        assert found in ({}, {"/timestamp": "invalid_timestamp"})
        stored = Conversation.objects.first()
        return stored and stored.opened_at.isoformat(timespec="microseconds")[:-6]

    return opened_at


# Ids


@pytest.mark.parametrize(
    "id",
    [
        "6a41b347-8d80-4ce9-84ba-7af66f369f6a",
        "6A41B347-8D80-4CE9-84BA-7AF66F369F6A",
        "6a41B347-8d80-4cE9-84ba-7af66F369f6A",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "6a41b347-8d80-1ce9-04ba-7af66f369f6a",
    ],
)
def test_an_id_is_kept_and_shown_in_lower_case(post, client, id):
    answer = post(make_event("NEW_CONVERSATION", id=id)).json()
    assert answer["id"] == id.lower()
    assert str(Conversation.objects.get().id) == id.lower()
    assert client.get(f"/conversations/{id}").json()["id"] == id.lower()


NOT_IDS = {
    "empty": "",
    "no hyphens": "6a41b3478d804ce984ba7af66f369f6a",
    "braces": "{6a41b347-8d80-4ce9-84ba-7af66f369f6a}",
    "urn": "urn:uuid:6a41b347-8d80-4ce9-84ba-7af66f369f6a",
    "a space before": " 6a41b347-8d80-4ce9-84ba-7af66f369f6a",
    "a newline after": "6a41b347-8d80-4ce9-84ba-7af66f369f6a\n",
    "one short": "6a41b347-8d80-4ce9-84ba-7af66f369f6",
    "one long": "6a41b347-8d80-4ce9-84ba-7af66f369f6a0",
    "hyphens elsewhere": "6a41b34-78d80-4ce9-84ba-7af66f369f6a",
    "not hexadecimal": "6a41b347-8d80-4ce9-84ba-7af66f369f6g",
    "a full-width digit": "６a41b347-8d80-4ce9-84ba-7af66f369f6a",
    "an Arabic digit": "٦a41b347-8d80-4ce9-84ba-7af66f369f6a",
    "another hyphen": "6a41b347‐8d80‐4ce9‐84ba‐7af66f369f6a",
    "underscores": "6a41b347_8d80_4ce9_84ba_7af66f369f6a",
    "a NUL": "6a41b347-8d80-4ce9-84ba-7af66f369f6\0",
    "a surrogate": "6a41b347-8d80-4ce9-84ba-7af66f369f6\ud800",
    "a number": 5,
    "a long number": int("6" * 32),
    "true": True,
    "null": None,
    "a list": [C],
    "an object": {"id": C},
}


@pytest.mark.parametrize("id", NOT_IDS.values(), ids=NOT_IDS)
def test_nothing_else_is_an_id(errors, id):
    assert errors(make_event("NEW_CONVERSATION", id=id)) == {"/data/id": "invalid_id"}
    assert errors(make_event("CLOSE_CONVERSATION", id=id)) == {"/data/id": "invalid_id"}
    assert errors(make_event("NEW_MESSAGE", id=id, conversation_id=id)) == {
        "/data/id": "invalid_id",
        "/data/conversation_id": "invalid_id",
    }


# Timestamps


@pytest.mark.parametrize(
    ("timestamp", "kept"),
    [
        ("2025-02-21T10:20:41", "2025-02-21T10:20:41.000000"),
        ("2025-02-21T10:20:41Z", "2025-02-21T10:20:41.000000"),
        ("2025-02-21T10:20:41.3", "2025-02-21T10:20:41.300000"),
        ("2025-02-21T10:20:41.03Z", "2025-02-21T10:20:41.030000"),
        ("2025-02-21T10:20:41.349308", "2025-02-21T10:20:41.349308"),
        ("2025-02-21T10:20:41.3493089Z", "2025-02-21T10:20:41.349308"),
        ("2025-02-21T10:20:41.999999999", "2025-02-21T10:20:41.999999"),
        ("2025-02-21T23:59:59.999999999+00:00", "2025-02-21T23:59:59.999999"),
        ("2025-02-21T10:20:41-03:00", "2025-02-21T13:20:41.000000"),
        ("2025-02-21T10:20:41+05:45", "2025-02-21T04:35:41.000000"),
        ("2025-02-21T10:20:41-00:00", "2025-02-21T10:20:41.000000"),
        ("2025-02-21T10:20:41+23:59", "2025-02-20T10:21:41.000000"),
        ("2025-02-21T10:20:41-23:59", "2025-02-22T10:19:41.000000"),
        ("2024-02-29T00:00:00", "2024-02-29T00:00:00.000000"),
    ],
)
def test_a_timestamp_is_kept_in_utc_and_cut_to_microseconds(opened_at, timestamp, kept):
    assert opened_at(timestamp) == kept


NOT_TIMESTAMPS = [
    "",
    "now",
    "2025-02-21",
    "10:20:41",
    "2025-02-21T10:20",
    "2025-02-21 10:20:41",
    "2025-02-21t10:20:41",
    "2025-02-21T10:20:41z",
    "2025-02-21T10:20:41 Z",
    " 2025-02-21T10:20:41",
    "2025-02-21T10:20:41\n",
    "2025-02-21T10:20:41.",
    "2025-02-21T10:20:41,5",
    "2025-02-21T10:20:41.1234567890",
    "2025-02-21T10:20:41+03",
    "2025-02-21T10:20:41+0300",
    "2025-02-21T10:20:41+03:00:00",
    "2025-02-21T10:20:41+24:00",
    "2025-02-21T10:20:41+03:60",
    "2025-02-21T10:20:41−03:00",
    "2025-02-21T10:20:41Z+03:00",
    "20250221T102041",
    "2025-2-21T10:20:41",
    "25-02-21T10:20:41",
    "02025-02-21T10:20:41",
    "+2025-02-21T10:20:41",
    "2025-W08-5T10:20:41",
    "2025-052T10:20:41",
    "２０２５-02-21T10:20:41",
    "2025-02-21T10:20:4١",
    "2025-00-21T10:20:41",
    "2025-13-21T10:20:41",
    "2025-02-29T10:20:41",
    "2025-02-00T10:20:41",
    "2025-02-21T24:00:00",
    "2025-02-21T10:60:41",
    "2025-02-21T10:20:60",
    "2016-12-31T23:59:60Z",
    "2025-02-21T10:20:41\0",
    "2025-02-21T10:20:41\ud800",
    1740133241,
    1740133241.5,
    True,
    None,
    ["2025-02-21T10:20:41"],
    {},
]


@pytest.mark.parametrize("timestamp", NOT_TIMESTAMPS, ids=ascii)
def test_nothing_else_is_a_timestamp(opened_at, timestamp):
    assert opened_at(timestamp) is None


@pytest.mark.parametrize(
    ("timestamp", "kept"),
    [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000"),
        ("1969-12-31T23:59:59.999999999Z", None),
        ("1969-12-31T21:00:00-03:00", "1970-01-01T00:00:00.000000"),
        ("1969-12-31T20:59:59-03:00", None),
        ("1970-01-01T02:59:59+03:00", None),
        ("1970-01-01T03:00:00+03:00", "1970-01-01T00:00:00.000000"),
        ("2999-12-31T23:59:59.999999Z", "2999-12-31T23:59:59.999999"),
        ("3000-01-01T00:00:00Z", None),
        ("3000-01-01T02:59:59+03:00", "2999-12-31T23:59:59.000000"),
        ("3000-01-01T03:00:00+03:00", None),
        ("2999-12-31T21:00:00-03:00", None),
        ("0000-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59-23:59", None),
    ],
)
def test_the_years_1970_to_2999_are_judged_in_utc(opened_at, timestamp, kept):
    assert opened_at(timestamp) == kept


@pytest.mark.parametrize(
    ("zone", "timestamp", "kept"),
    [
        ("America/Sao_Paulo", "2025-02-21T10:20:41", "2025-02-21T13:20:41.000000"),
        ("America/Sao_Paulo", "2018-12-01T10:00:00", "2018-12-01T12:00:00.000000"),  # summer
        ("America/Sao_Paulo", "2025-02-21T10:20:41Z", "2025-02-21T10:20:41.000000"),
        ("America/Sao_Paulo", "2025-02-21T10:20:41+01:00", "2025-02-21T09:20:41.000000"),
        ("America/Sao_Paulo", "1969-12-31T21:00:00", "1970-01-01T00:00:00.000000"),
        ("America/Sao_Paulo", "1969-12-31T20:59:59", None),
        ("America/Sao_Paulo", "2999-12-31T21:00:00", None),
        ("Asia/Tokyo", "1970-01-01T08:59:59", None),
        ("Asia/Tokyo", "3000-01-01T08:59:59", "2999-12-31T23:59:59.000000"),
        ("Asia/Kathmandu", "2025-02-21T10:20:41", "2025-02-21T04:35:41.000000"),
        # A clock change skips one hour, and repeats another.
        ("Europe/Lisbon", "2025-03-30T01:30:00", "2025-03-30T01:30:00.000000"),
        ("Europe/Lisbon", "2025-10-26T01:30:00", "2025-10-26T00:30:00.000000"),
        ("UTC", "0001-01-01T00:00:00", None),
        ("Asia/Tokyo", "0001-01-01T00:00:00", None),
        ("America/Sao_Paulo", "9999-12-31T23:59:59", None),
    ],
)
def test_without_an_offset_it_is_read_in_the_event_time_zone(
    opened_at, settings, zone, timestamp, kept
):
    settings.EVENT_TIME_ZONE = zone
    assert opened_at(timestamp) == kept


def test_the_zone_of_events_is_utc_by_default_whatever_the_zone_of_display_is(opened_at, settings):
    settings.TIME_ZONE = settings.DISPLAY_TIME_ZONE = "Asia/Tokyo"
    assert opened_at("2025-02-21T10:20:41") == "2025-02-21T10:20:41.000000"


def test_times_are_shown_in_utc_with_six_digits_and_z(post, client):
    post(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:20:41.120-03:00"))
    post(make_event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:42-03:00"))
    post(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-21T10:20:43.000001234-03:00"))
    shown = client.get(f"/conversations/{C}").json()
    times = [shown["opened_at"], shown["closed_at"], shown["messages"][0]["timestamp"]]
    assert times == [
        "2025-02-21T13:20:41.120000Z",
        "2025-02-21T13:20:43.000001Z",
        "2025-02-21T13:20:42.000000Z",
    ]


# Direction


@pytest.mark.parametrize("direction", ["SENT", "RECEIVED"])
def test_a_direction_is_kept(errors, direction):
    assert errors(OPEN) == {}
    assert errors(make_event("NEW_MESSAGE", id=M, direction=direction)) == {}
    assert Message.objects.get().direction == direction


@pytest.mark.parametrize(
    "direction",
    [
        "",
        "sent",
        "Received",
        "SENT ",
        " SENT",
        "BOTH",
        "SENТ",
        "SENT\0",
        "\ud800",
        1,
        None,
        ["SENT"],
    ],
    ids=ascii,
)
def test_nothing_else_is_a_direction(errors, direction):
    event = make_event("NEW_MESSAGE", id=M, direction=direction)
    assert errors(event) == {"/data/direction": "unknown_value"}


# Content

CONTENTS = {
    "spaces around": "  Olá  ",
    "newlines": "\nOlá,\r\n\r\ntudo bem?\r",
    "tabs and controls": "\ta\x01b\x1b[31m\x7f\x85c",
    "emoji": "👍🏽 👩‍👩‍👧‍👦 🇧🇷",
    "composed": "Ol\u00e1",
    "decomposed": "Ola\u0301",
    "right to left": "\u202eabc\u202c שלום",
    "zero width": "\u200b",
    "a byte order mark": "\ufeffOlá",
    "non-characters": "\ufffe\uffff\U0010ffff",
    "a replacement character": "\ufffd",
    "markup": "<script>alert('x')</script> &amp; {{ 7 }} %s",
    "quotes": "'; DROP TABLE chat_message; -- \"\\",
    "an escaped NUL, as text": "\\u0000",
    "long": "ação " * 100_000,
}


@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "raw"])
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_content_is_kept_and_shown_byte_for_byte(post, client, content, escaped):
    post(OPEN)
    event = make_event("NEW_MESSAGE", id=M, content=content)
    assert post(json.dumps(event, ensure_ascii=escaped).encode()).status_code == 201
    assert Message.objects.get().content == content
    assert client.get(f"/conversations/{C}").json()["messages"][0]["content"] == content
    assert post(event).json()["outcome"] == "duplicate"


BLANK = [
    "",
    " ",
    "\n",
    " \t\r\n\v\f ",
    "\u00a0",
    "\u2003\u2009",
    "\u3000",
    "\u2028\u2029",
    "\x1c\x85",
]


@pytest.mark.parametrize("content", BLANK, ids=ascii)
def test_blank_content_is_refused(errors, content):
    assert errors(make_event("NEW_MESSAGE", id=M, content=content)) == {"/data/content": "blank"}


@pytest.mark.parametrize("content", ["a\0b", "\0", "a\ud800", "\udfffa", "\udc00\ud800"], ids=ascii)
def test_a_nul_or_a_lone_surrogate_is_refused(errors, content):
    found = errors(make_event("NEW_MESSAGE", id=M, content=content))
    assert found == {"/data/content": "invalid_text"}


@pytest.mark.parametrize("content", [5, 1.5, True, None, ["Olá"], {"text": "Olá"}], ids=repr)
def test_content_that_is_no_string_is_refused(errors, content):
    found = errors(make_event("NEW_MESSAGE", id=M, content=content))
    assert found == {"/data/content": "not_a_string"}


# Everything around them

UNKNOWN = [5, None, [1, [2, {"a": "b"}]], {"id": "x"}, "\0", "\ud800", 1e300, int("9" * 400)]


@pytest.mark.parametrize("value", UNKNOWN, ids=ascii)
@pytest.mark.parametrize(
    "name", ["agent", "", "ID", "\0", "\ud800", "__class__", "model_config"], ids=ascii
)
def test_unknown_members_are_ignored_at_every_level(errors, name, value):
    assert errors(make_event("NEW_CONVERSATION", **{"id": C, name: value}) | {name: value}) == {}
    assert errors(make_event("NEW_MESSAGE", **{"id": M, name: value}) | {name: value}) == {}
    assert errors(make_event("CLOSE_CONVERSATION", **{"id": C, name: value}) | {name: value}) == {}
    assert Conversation.objects.get().state == "CLOSED"
    assert Message.objects.get().content == "Olá, tudo bem?"


def test_members_of_a_message_are_unknown_in_a_conversation(errors):
    event = make_event("NEW_CONVERSATION", id=C, content=5, direction="x", conversation_id=None)
    assert errors(event) == {}


def test_a_byte_order_mark_is_accepted(deliver):
    assert deliver(b"\xef\xbb\xbf" + json.dumps(OPEN).encode()).outcome == "applied"


def test_whitespace_around_and_inside_the_json_is_accepted(deliver):
    assert deliver(b" \r\n\t" + json.dumps(OPEN, indent=4).encode() + b"\n").outcome == "applied"


def test_escaped_names_and_values_are_what_they_stand_for(deliver):
    body = json.dumps(OPEN).replace("type", "\\u0074ype").replace("NEW", "\\u004eEW")
    assert deliver(body.encode()).outcome == "applied"


# Errors


@pytest.mark.parametrize("data", [None, 5, "x", [], [{"id": C}], True], ids=repr)
@pytest.mark.parametrize("type", ["NEW_CONVERSATION", "NEW_MESSAGE", "CLOSE_CONVERSATION", "NEWS"])
def test_data_must_be_an_object(errors, type, data):
    found = errors({"type": type, "timestamp": "2025-02-21T10:20:41", "data": data})
    assert found.pop("/type", "unknown_value") == "unknown_value"
    assert found == {"/data": "not_an_object"}


def test_all_errors_are_told_at_once(errors):
    assert errors({}) == {"/type": "missing", "/timestamp": "missing", "/data": "missing"}
    assert errors({"type": "NEW_MESSAGE", "timestamp": "x", "data": {}}) == {
        "/timestamp": "invalid_timestamp",
        "/data/id": "missing",
        "/data/direction": "missing",
        "/data/content": "missing",
        "/data/conversation_id": "missing",
    }
    assert errors(make_event("NEW_MESSAGE", id=1, direction=2, content="", conversation_id=4)) == {
        "/data/id": "invalid_id",
        "/data/direction": "unknown_value",
        "/data/content": "blank",
        "/data/conversation_id": "invalid_id",
    }
    assert errors({"type": "NEWS\ud800", "timestamp": 5, "data": 5}) == {
        "/type": "unknown_value",
        "/timestamp": "invalid_timestamp",
        "/data": "not_an_object",
    }


def test_the_answer_lists_them_with_words_of_ours(post):
    answer = post(make_event("NEW_MESSAGE", id="Rex", content=" ", direction="Rex")).json()
    assert [set(error) for error in answer["errors"]] == [{"pointer", "code", "detail"}] * 3
    assert {error["pointer"] for error in answer["errors"]} == {
        "/data/id",
        "/data/direction",
        "/data/content",
    }


@pytest.mark.parametrize(
    "value", ["Zanzibar", "Zanzibar\0", "Zanzibar\ud800", ["Zanzibar"]], ids=ascii
)
@pytest.mark.parametrize(
    "member", ["id", "direction", "conversation_id", "type", "timestamp", "data"]
)
def test_input_is_never_echoed(post, member, value):
    event = make_event("NEW_MESSAGE", id=M)
    place = event if member in event else event["data"]
    place[member] = value
    place["Zanzibar"] = value
    answer = post(event)
    assert answer.status_code == 400
    assert b"Zanzibar" not in answer.content


@pytest.mark.both_engines("the database makes the texts")
@pytest.mark.parametrize("path", ["", f"/{C}", f"/{C}/messages"])
def test_every_time_of_the_json_has_six_digits(post, client, path):
    post(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:20:41"))
    post(make_event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:42.5"))
    post(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-21T10:20:43"))
    served = client.get(f"/conversations{path}").content.decode()
    times = re.findall(r'"(\d{4}-[^"]*)"', served)
    assert times
    assert all(re.fullmatch(r".{19}\.\d{6}Z", time) for time in times)
