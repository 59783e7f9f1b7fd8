"""The answer to each delivery, and its changes: docs/requirements.md, every rule through both doors."""

import json
from collections import namedtuple

import pytest
from django.db import DatabaseError, OperationalError, connection

from chat.events.ingest import ingest
from chat.models import CHANGED_BY_WRITING_AFTER_CLOSING, Conversation, Delivery, Message
from tests.conftest import M2, NOW, OTHER_C, C, M, make_event

pytestmark = pytest.mark.both_engines("constraints and locks decide, through every door")

LATER = "2025-02-21T10:20:45.349308"

OPEN = make_event("NEW_CONVERSATION", id=C)
OPEN_OTHER = make_event("NEW_CONVERSATION", id=OTHER_C)
MESSAGE = make_event("NEW_MESSAGE", id=M)
CLOSE = make_event("CLOSE_CONVERSATION", id=C, at=LATER)

STATUS = {
    "invalid_json": 400,
    "invalid_event": 400,
    "id_conflict": 409,
    "conversation_not_found": 404,
    "conversation_closed": 400,
}

Answer = namedtuple("Answer", "said errors")


@pytest.fixture(params=["ingest", "webhook"])
def door(request, deliver, post):
    """One of the two doors, with the same form of answer: outcome or code, and the errors."""

    def through_ingest(event):
        result = deliver(event)
        errors = result.refusal.errors if result.refusal else ()
        return Answer(result.code or str(result.outcome), [error.pointer for error in errors])

    def through_webhook(event):
        # Django's client sends no type with an empty body, unless given as a server's variable.
        response = post(event, CONTENT_TYPE="application/json")
        answer = response.json()
        if response.status_code < 300:
            made = answer["outcome"] == "applied" and answer["type"] != "CLOSE_CONVERSATION"
            assert response.status_code == (201 if made else 200)
            return Answer(answer["outcome"], [])
        assert response.status_code == STATUS[answer["code"]]
        assert response["Content-Type"] == "application/problem+json"
        return Answer(answer["code"], [error["pointer"] for error in answer.get("errors", [])])

    return {"ingest": through_ingest, "webhook": through_webhook}[request.param]


def tables():
    """Return all stored rows, except the log and the note of a refusal."""
    noted = dict.fromkeys(CHANGED_BY_WRITING_AFTER_CLOSING)
    return [
        [row | noted for row in Conversation.objects.order_by("id").values()],
        list(Message.objects.order_by("id").values()),
    ]


def last_delivery():
    return Delivery.objects.order_by("id").last()


def logged():
    """Return the last row of the log: type, ids, outcome and code."""
    row = last_delivery()
    ids = [str(id) if id else None for id in (row.conversation_id, row.message_id)]
    return row.type, *ids, row.outcome, row.code


# Applied


def test_a_new_conversation_is_stored_open(door):
    assert door(OPEN).said == "applied"
    conversation = Conversation.objects.get()
    assert (str(conversation.id), conversation.state, conversation.closed_at) == (C, "OPEN", None)
    assert conversation.opened_at.isoformat() == "2025-02-21T10:20:41.349308+00:00"
    assert logged() == ("NEW_CONVERSATION", C, None, "applied", "")


def test_a_message_is_stored_in_its_conversation(door):
    door(OPEN)
    assert door(MESSAGE).said == "applied"
    message = Message.objects.get()
    assert (str(message.id), str(message.conversation_id)) == (M, C)
    assert (message.direction, message.content) == ("RECEIVED", "Olá, tudo bem?")
    assert message.timestamp.isoformat() == "2025-02-21T10:20:41.349308+00:00"
    assert logged() == ("NEW_MESSAGE", C, M, "applied", "")


def test_a_close_closes_and_keeps_the_messages(door):
    door(OPEN)
    door(MESSAGE)
    assert door(CLOSE).said == "applied"
    conversation = Conversation.objects.get()
    assert conversation.state == "CLOSED"
    assert conversation.closed_at.isoformat() == "2025-02-21T10:20:45.349308+00:00"
    assert Message.objects.count() == 1
    assert logged() == ("CLOSE_CONVERSATION", C, None, "applied", "")


def test_events_of_one_conversation_leave_the_others_alone(door):
    door(OPEN_OTHER)
    before = Conversation.objects.filter(id=OTHER_C).values().get()
    for event in (OPEN, MESSAGE, CLOSE):
        door(event)
    assert Conversation.objects.filter(id=OTHER_C).values().get() == before


def test_the_answer_names_what_was_made(post):
    answers = [post(event).json() for event in (OPEN, MESSAGE, CLOSE)]
    assert answers == [
        {"outcome": "applied", "type": "NEW_CONVERSATION", "id": C},
        {"outcome": "applied", "type": "NEW_MESSAGE", "id": M},
        {"outcome": "applied", "type": "CLOSE_CONVERSATION", "id": C},
    ]


def test_a_duplicate_is_answered_with_the_same_words(post):
    post(OPEN)
    answer = post(OPEN)
    assert answer.json() == {"outcome": "duplicate", "type": "NEW_CONVERSATION", "id": C}


def test_a_message_may_have_the_id_of_its_conversation(door):
    door(OPEN)
    assert door(make_event("NEW_MESSAGE", id=C)).said == "applied"
    assert door(make_event("NEW_CONVERSATION", id=M)).said == "applied"
    assert str(Message.objects.get().id) == C


def test_a_close_before_its_opening_is_accepted(door):
    door(OPEN)
    assert door(make_event("CLOSE_CONVERSATION", id=C, at="1970-01-01T00:00:00")).said == "applied"
    assert Conversation.objects.get().closed_at.year == 1970


def test_a_message_older_than_its_conversation_is_accepted(door):
    door(OPEN)
    assert door(make_event("NEW_MESSAGE", id=M, at="1999-12-31T23:59:59")).said == "applied"


# Duplicates


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("event", [OPEN, MESSAGE], ids=["conversation", "message"])
def test_a_redelivery_is_a_duplicate_whatever_the_state_is_now(door, event, closed):
    for first in (OPEN, MESSAGE, CLOSE)[: 3 if closed else 2]:
        door(first)
    before = tables()
    assert door(event).said == "duplicate"
    assert tables() == before
    assert logged()[0] == event["type"]
    assert logged()[3:] == ("duplicate", "")


def test_a_second_close_keeps_the_first_closed_at(door):
    door(OPEN)
    door(CLOSE)
    before = tables()
    assert door(CLOSE).said == "duplicate"
    assert door(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-21T09:00:00")).said == (
        "duplicate"
    )
    assert tables() == before
    assert logged() == ("CLOSE_CONVERSATION", C, None, "duplicate", "")


def test_the_same_instant_with_another_offset_is_a_duplicate(door):
    door(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:20:41.5Z"))
    door(make_event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:41.5Z"))
    assert door(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T07:20:41.500-03:00")).said == (
        "duplicate"
    )
    assert door(make_event("NEW_MESSAGE", id=M, at="2025-02-21T15:50:41.5+05:30")).said == (
        "duplicate"
    )


def test_what_differs_past_the_sixth_decimal_is_a_duplicate(door):
    door(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:20:41.123456"))
    again = make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:20:41.123456789")
    assert door(again).said == "duplicate"


def test_ids_in_upper_case_are_the_same_ids(door):
    door(make_event("NEW_CONVERSATION", id=C.upper()))
    assert door(OPEN).said == "duplicate"
    assert door(make_event("NEW_MESSAGE", id=M, conversation_id=C.upper())).said == "applied"
    assert door(make_event("NEW_MESSAGE", id=M.upper())).said == "duplicate"
    assert door(make_event("CLOSE_CONVERSATION", id=C.upper())).said == "applied"


def test_unknown_members_do_not_make_a_message_another_one(door):
    door(OPEN)
    door(MESSAGE)
    assert door(make_event("NEW_MESSAGE", id=M, agent="Ana")).said == "duplicate"


# Conflicts

CHANGES = {
    "text": {"content": "Olá, tudo bem? "},
    "case of text": {"content": "olá, tudo bem?"},
    "normal form of text": {"content": "Ola\u0301, tudo bem?"},
    "direction": {"direction": "SENT"},
    "conversation": {"conversation_id": OTHER_C},
    "unknown conversation": {"conversation_id": "77777777-7777-4777-8777-777777777777"},
    "time": {"at": "2025-02-21T10:20:41.349309"},
    "offset": {"at": "2025-02-21T10:20:41.349308-03:00"},
}


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_message_id_with_anything_else_is_a_conflict(door, change, closed):
    for first in (OPEN, OPEN_OTHER, MESSAGE, CLOSE)[: 4 if closed else 3]:
        door(first)
    before = tables()
    assert door(make_event("NEW_MESSAGE", id=M, **change)).said == "id_conflict"
    assert tables() == before
    assert logged() == (
        "NEW_MESSAGE",
        change.get("conversation_id", C),
        M,
        "refused",
        "id_conflict",
    )


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_a_conversation_id_with_another_time_is_a_conflict(door, closed):
    for first in (OPEN, CLOSE)[: 2 if closed else 1]:
        door(first)
    before = tables()
    assert door(make_event("NEW_CONVERSATION", id=C, at=LATER)).said == "id_conflict"
    assert tables() == before
    assert logged() == ("NEW_CONVERSATION", C, None, "refused", "id_conflict")


def test_a_conflict_with_a_message_elsewhere_comes_before_the_closed_conversation(door):
    for first in (OPEN_OTHER, OPEN, MESSAGE):
        door(first)
    door(make_event("CLOSE_CONVERSATION", id=OTHER_C))
    assert door(make_event("NEW_MESSAGE", id=M, conversation_id=OTHER_C)).said == "id_conflict"


# Unknown and closed conversations


@pytest.mark.parametrize("event", [MESSAGE, CLOSE], ids=["message", "close"])
def test_what_belongs_to_an_unknown_conversation_is_not_found(door, event):
    assert door(event).said == "conversation_not_found"
    assert tables() == [[], []]
    message_id = event["data"]["id"] if event is MESSAGE else None
    assert logged() == (event["type"], C, message_id, "refused", "conversation_not_found")


@pytest.mark.parametrize(
    "at",
    ["2025-02-21T10:20:43", LATER, "2025-02-21T10:20:46", "1980-01-01T00:00:00"],
    ids=["before the close", "with it", "after it", "before the opening"],
)
def test_a_closed_conversation_takes_no_message(door, at):
    door(OPEN)
    door(CLOSE)
    before = tables()
    assert door(make_event("NEW_MESSAGE", id=M, at=at)).said == "conversation_closed"
    assert tables() == before
    assert logged() == ("NEW_MESSAGE", C, M, "refused", "conversation_closed")


def test_a_closed_conversation_never_opens_again(door):
    door(OPEN)
    door(CLOSE)
    door(OPEN)
    door(make_event("NEW_CONVERSATION", id=C, at="2025-02-22T00:00:00"))
    assert door(MESSAGE).said == "conversation_closed"
    assert Conversation.objects.get().state == "CLOSED"


def test_a_refused_message_may_be_applied_later_elsewhere(door):
    for first in (OPEN, CLOSE, MESSAGE):
        door(first)
    door(OPEN_OTHER)
    assert door(make_event("NEW_MESSAGE", id=M, conversation_id=OTHER_C)).said == "applied"
    assert str(Message.objects.get().conversation_id) == OTHER_C


def test_an_event_once_malformed_may_be_applied_later(door):
    assert door(make_event("NEW_CONVERSATION", id=C, at="yesterday")).said == "invalid_event"
    assert door(OPEN).said == "applied"


def test_a_conflict_once_refused_is_compared_with_what_is_stored_and_not_with_the_log(door):
    door(make_event("NEW_MESSAGE", id=M, content="first", conversation_id=OTHER_C))
    door(OPEN)
    assert door(make_event("NEW_MESSAGE", id=M, content="second")).said == "applied"


# Malformed

NOT_JSON = {
    "empty": b"",
    "only a space": b" ",
    "only a byte order mark": b"\xef\xbb\xbf",
    "words": b"type=NEW_CONVERSATION",
    "cut short": json.dumps(OPEN).encode()[:-1],
    "two values": json.dumps(OPEN).encode() + b"\n" + json.dumps(OPEN).encode(),
    "not UTF-8": json.dumps(OPEN).encode().replace(b"NEW", b"N\xcbW"),
    "UTF-16": json.dumps(OPEN).encode("utf-16"),
    "an encoded surrogate": b'{"a": "\xed\xa0\x80"}',
    "an overlong form": b'{"a": "\xc0\xaf"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": -Infinity}',
    "a leading zero": b'{"a": 01}',
    "single quotes": b"{'a': 1}",
    "a trailing comma": b'{"a": 1,}',
    "a comment": b'{"a": 1} // so',
    "a raw newline in a string": b'{"a": "\n"}',
    "a no-break space": '{"a":\u00a01}'.encode(),
    "a duplicate key": b'{"type": "NEW_CONVERSATION", "type": "NEW_CONVERSATION"}',
    "a duplicate key, escaped": b'{"type": 1, "t\\u0079pe": 1}',
    "a duplicate key, deeper": b'{"a": [{"b": {"c": 1, "c": 1}}]}',
    "1,000 lists": b"[" * 1_000 + b"]" * 1_000,
    "1,000 objects": b'{"a":' * 999 + b"{}" + b"}" * 999,
    "1,000 of both in an event": b'{"type":"x","a":' + b"[" * 999 + b"]" * 999 + b"}",
    "200,000 lists": b"[" * 200_000,
    "a NUL": b"\x00",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused_and_recorded(door, body):
    assert door(body) == ("invalid_json", [])
    assert tables() == [[], []]
    assert logged() == (None, None, None, "refused", "invalid_json")
    assert bytes(last_delivery().body) == body[: 64 * 1024]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"true", b"null", b"1e999", b"9" * 5_000])
def test_json_that_is_no_object_is_not_an_event(door, body):
    assert door(body) == ("invalid_event", [""])
    assert logged() == (None, None, None, "refused", "invalid_event")


@pytest.mark.parametrize(
    "type", ["", "new_message", "NEW_MESSAGE ", "DELETE", 5, None, ["NEW_MESSAGE"], "\0", "\ud800"]
)
def test_an_unknown_type_is_refused_and_recorded_without_it(door, type):
    assert door(make_event(type, id=C)) == ("invalid_event", ["/type"])
    assert logged() == (None, None, None, "refused", "invalid_event")


@pytest.mark.parametrize("event", [OPEN, MESSAGE, CLOSE], ids=lambda event: event["type"])
def test_every_member_is_needed(door, event):
    door(OPEN_OTHER)
    before = tables()
    for member in event:
        left = {name: value for name, value in event.items() if name != member}
        assert door(left) == ("invalid_event", [f"/{member}"])
    for member in event["data"]:
        left = {name: value for name, value in event["data"].items() if name != member}
        assert door(event | {"data": left}) == ("invalid_event", [f"/data/{member}"])
    assert tables() == before


def test_all_errors_of_a_malformed_event_are_named_at_once(door):
    event = make_event(
        "NEW_MESSAGE", id=5, content=" ", direction="sent", conversation_id="x", at=0
    )
    assert sorted(door(event).errors) == [
        "/data/content",
        "/data/conversation_id",
        "/data/direction",
        "/data/id",
        "/timestamp",
    ]


def test_the_log_keeps_what_can_be_read_of_a_malformed_event(door):
    door(make_event("NEW_MESSAGE", id=M.upper(), content=""))
    assert logged() == ("NEW_MESSAGE", C, M, "refused", "invalid_event")
    door(make_event("NEW_MESSAGE", id="x", content=""))
    assert logged() == ("NEW_MESSAGE", C, None, "refused", "invalid_event")
    door(make_event("CLOSE_CONVERSATION", id=5))
    assert logged() == ("CLOSE_CONVERSATION", None, None, "refused", "invalid_event")


def test_malformed_comes_before_every_other_check(door):
    for first in (OPEN, MESSAGE, CLOSE):
        door(first)
    before = tables()
    assert door(make_event("NEW_MESSAGE", id=M, direction="BOTH")).said == "invalid_event"
    assert door(make_event("NEW_MESSAGE", id=M2, content="")).said == "invalid_event"
    assert door(make_event("NEW_CONVERSATION", id=C, at="2025-02-30T00:00:00")).said == (
        "invalid_event"
    )
    assert tables() == before


# The log


def test_every_delivery_leaves_one_row_with_its_body(door):
    bodies = [json.dumps(event, indent=1).encode() for event in (OPEN, MESSAGE, CLOSE, OPEN)]
    bodies += [b"\xef\xbb\xbf" + bodies[0], b"{", b"{}"]
    for body in bodies:
        door(body)
    rows = Delivery.objects.order_by("id")
    assert [bytes(row.body) for row in rows] == bodies
    assert not rows.filter(replays__isnull=False).exists()


@pytest.mark.parametrize("event", [OPEN, MESSAGE, b"{", b"{}"], ids=["201", "404", "400", "400b"])
def test_the_row_carries_the_request_id_of_the_answer(post, event):
    response = post(event)
    assert str(last_delivery().request_id) == response["X-Request-Id"]
    if response.status_code >= 400:
        assert response.json()["request_id"] == response["X-Request-Id"]


def test_the_row_says_when_the_body_was_read_and_what_the_event_says(deliver):
    deliver(OPEN)
    row = last_delivery()
    assert row.received_at == NOW
    assert row.timestamp.isoformat() == "2025-02-21T10:20:41.349308+00:00"


def test_a_valid_body_is_kept_whole_and_an_invalid_one_to_64_kib(door):
    long = make_event("NEW_MESSAGE", id=M, content="á" * 100_000)
    door(OPEN)
    door(long)
    assert json.loads(bytes(last_delivery().body)) == long
    door(long | {"type": "NEWS"})
    assert len(bytes(last_delivery().body)) == 64 * 1024


def test_applied_message_deliveries_are_the_messages(door):
    events = [MESSAGE, OPEN, MESSAGE, make_event("NEW_MESSAGE", id=M, content="other")]
    events += [
        make_event("NEW_MESSAGE", id=M2),
        CLOSE,
        MESSAGE,
        make_event("NEW_MESSAGE", id=C),
    ]
    for event in events:
        door(event)
    applied = Delivery.objects.filter(type="NEW_MESSAGE", outcome="applied")
    assert sorted(applied.values_list("message_id")) == sorted(Message.objects.values_list("id"))
    assert applied.count() == 2


# Events failing in the database are neither stored nor logged


def fail_to(write):
    """Let one kind of statement fail, as in a full database."""

    def fail(execute, sql, params, many, context):
        if sql.startswith(write):
            raise OperationalError("database or disk is full")
        return execute(sql, params, many, context)

    return connection.execute_wrapper(fail)


@pytest.mark.parametrize(
    ("write", "events"),
    [
        ('INSERT INTO "chat_conversation"', [OPEN]),
        ('INSERT INTO "chat_message"', [OPEN, MESSAGE]),
        ('UPDATE "chat_conversation"', [OPEN, MESSAGE]),
        ('UPDATE "chat_conversation"', [OPEN, CLOSE]),
        ('INSERT INTO "chat_delivery"', [OPEN]),
        ('INSERT INTO "chat_delivery"', [OPEN, MESSAGE]),
        ('INSERT INTO "chat_delivery"', [OPEN, CLOSE]),
    ],
)
def test_an_effect_and_its_row_are_stored_together_or_not_at_all(deliver, write, events):
    *first, last = events
    for event in first:
        deliver(event)
    before = tables(), Delivery.objects.count()
    with fail_to(write), pytest.raises(DatabaseError):
        deliver(last)
    assert (tables(), Delivery.objects.count()) == before
    assert deliver(last).outcome == "applied"


@pytest.mark.django_db(transaction=True)
def test_a_full_database_is_a_503_that_leaves_nothing(post):
    with fail_to('INSERT INTO "chat_delivery"'):
        for event in (OPEN, MESSAGE, b"{"):
            response = post(event)
            assert (response.status_code, response.json()["code"]) == (503, "try_again")
            assert int(response["Retry-After"]) > 0
    assert tables() == [[], []]
    assert not Delivery.objects.exists()


def test_a_request_id_is_made_where_there_is_none(db):
    ingest(json.dumps(OPEN).encode(), received_at=NOW)
    assert last_delivery().request_id.version == 4
