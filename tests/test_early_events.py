"""Events arriving before their conversation: docs/requirements.md, Early events."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError

from chat.models import Conversation, Delivery, Message
from chat.upkeep import steps
from tests.conftest import M2, NOW, OTHER_C, C, M, make_event

pytestmark = pytest.mark.both_engines("kept in the log, applied in one transaction")

M3 = "3f2b8f0e-54f5-4f33-9f0e-1f2d3c4b5a69"

OPEN = make_event("NEW_CONVERSATION", id=C)


def message(id=M, second=42, **data):
    return make_event("NEW_MESSAGE", id=id, at=f"2025-02-21T10:20:{second:02}", **data)


def close(second=45):
    return make_event("CLOSE_CONVERSATION", id=C, at=f"2025-02-21T10:20:{second:02}")


def arrived():
    """Return the ids of the messages in the order of their arrival."""
    return [str(id) for id in Message.objects.order_by("arrival").values_list("id", flat=True)]


def log():
    """Return each row of the log: type, outcome or code, and the number of the replayed row."""
    rows = list(Delivery.objects.order_by("id"))
    number = {row.id: at for at, row in enumerate(rows)}
    return [(row.type, row.code or row.outcome, number.get(row.replays_id)) for row in rows]


def test_an_early_message_is_a_404_and_stored_when_its_conversation_arrives(post):
    assert post(message()).status_code == 404
    assert post(OPEN).json() == {"outcome": "applied", "type": "NEW_CONVERSATION", "id": C}
    stored = Message.objects.get()
    assert (str(stored.id), str(stored.conversation_id)) == (M, C)
    assert (stored.direction, stored.content) == ("RECEIVED", "Olá, tudo bem?")


def test_early_events_are_applied_in_the_order_of_their_timestamps(deliver):
    for event in (close(50), message(M3, 44), message(M, 42), message(M2, 43)):
        assert deliver(event).code == "conversation_not_found"
    deliver(OPEN)
    assert arrived() == [M, M2, M3]
    assert Conversation.objects.get().state == "CLOSED"
    assert not Message.objects.filter(late=True).exists()


def test_timestamps_are_compared_as_instants_and_not_as_texts(deliver):
    deliver(make_event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:42-03:00"))
    deliver(make_event("NEW_MESSAGE", id=M2, at="2025-02-21T11:20:42Z"))
    deliver(make_event("NEW_MESSAGE", id=M3, at="2025-02-21T11:20:42.5+05:00"))
    deliver(OPEN)
    assert arrived() == [M3, M2, M]


def test_early_messages_of_one_instant_are_applied_as_they_came(deliver):
    for id in (M3, M, M2):
        deliver(message(id, 42))
    deliver(OPEN)
    assert arrived() == [M3, M, M2]


@pytest.mark.parametrize("events", [[message(), close(42)], [close(42), message()]])
def test_of_a_message_and_a_close_of_one_instant_the_message_goes_first(deliver, events):
    for event in events:
        deliver(event)
    deliver(OPEN)
    assert arrived() == [M]
    assert Conversation.objects.get().state == "CLOSED"


def test_each_early_event_leaves_a_row_that_names_the_one_it_replays(deliver):
    for event in (close(), message(M2, 43), message(M, 42), OPEN):
        deliver(event)
    assert log() == [
        ("CLOSE_CONVERSATION", "conversation_not_found", None),
        ("NEW_MESSAGE", "conversation_not_found", None),
        ("NEW_MESSAGE", "conversation_not_found", None),
        ("NEW_CONVERSATION", "applied", None),
        ("NEW_MESSAGE", "applied", 2),
        ("NEW_MESSAGE", "applied", 1),
        ("CLOSE_CONVERSATION", "applied", 0),
    ]


def test_the_row_of_a_replay_has_the_body_that_came_and_the_request_that_applied_it(post):
    body = json.dumps(message(), indent=3).encode()
    early, opening = post(body), post(OPEN)
    replay = Delivery.objects.get(replays__isnull=False)
    assert bytes(replay.body) == body
    assert str(replay.request_id) == opening["X-Request-Id"]
    assert str(replay.replays.request_id) == early["X-Request-Id"]
    assert (str(replay.conversation_id), str(replay.message_id)) == (C, M)


def test_a_retry_after_the_conversation_arrived_is_a_duplicate(post):
    post(message())
    post(OPEN)
    again = post(message())
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    assert arrived() == [M]


def test_a_retry_of_an_early_close_is_a_duplicate(deliver):
    deliver(close())
    deliver(OPEN)
    assert deliver(close()).outcome == "duplicate"
    assert Conversation.objects.get().revision == 2


def test_a_retry_of_an_early_message_after_an_early_close_is_a_duplicate(deliver):
    for event in (message(), close(), OPEN):
        deliver(event)
    assert deliver(message()).outcome == "duplicate"


def test_an_early_message_delivered_many_times_is_one_message(deliver):
    for _ in range(3):
        deliver(message())
    deliver(OPEN)
    assert arrived() == [M]
    assert log()[4:] == [
        ("NEW_MESSAGE", "applied", 0),
        ("NEW_MESSAGE", "duplicate", 1),
        ("NEW_MESSAGE", "duplicate", 2),
    ]
    assert Conversation.objects.get().message_count == 1


def test_many_early_closes_close_at_the_first_of_their_times(deliver):
    for second in (47, 45, 46):
        deliver(close(second))
    deliver(OPEN)
    assert Conversation.objects.get().closed_at.second == 45
    assert [said for _, said, _ in log()[4:]] == ["applied", "duplicate", "duplicate"]


def test_an_early_message_written_after_an_early_close_is_refused_with_a_row(deliver):
    deliver(message(M2, 46))
    deliver(close(45))
    deliver(message(M, 44))
    deliver(OPEN)
    assert arrived() == [M]
    assert log()[4:] == [
        ("NEW_MESSAGE", "applied", 2),
        ("CLOSE_CONVERSATION", "applied", 1),
        ("NEW_MESSAGE", "conversation_closed", 0),
    ]
    assert deliver(message(M2, 46)).code == "conversation_closed"


def test_of_early_messages_under_one_id_the_first_by_timestamp_stays(deliver):
    deliver(message(M, 43, content="second"))
    deliver(message(M, 42, content="first"))
    deliver(OPEN)
    assert Message.objects.get().content == "first"
    assert log()[3:] == [("NEW_MESSAGE", "applied", 1), ("NEW_MESSAGE", "id_conflict", 0)]


def test_an_early_message_whose_id_was_taken_meanwhile_is_refused_with_a_row(deliver):
    deliver(message(M))
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    deliver(message(M, conversation_id=OTHER_C))
    assert deliver(OPEN).outcome == "applied"
    assert str(Message.objects.get().conversation_id) == OTHER_C
    assert log()[-1] == ("NEW_MESSAGE", "id_conflict", 0)


def test_a_message_id_that_is_taken_is_a_conflict_even_before_the_conversation(deliver):
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    deliver(message(M, conversation_id=OTHER_C))
    assert deliver(message(M)).code == "id_conflict"
    deliver(OPEN)
    assert len(log()) == 4


def test_early_events_of_other_conversations_wait_for_their_own(deliver):
    deliver(message(M))
    deliver(message(M2, conversation_id=OTHER_C))
    deliver(OPEN)
    assert arrived() == [M]
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    assert arrived() == [M, M2]


def test_malformed_early_events_are_not_applied(deliver):
    deliver(message(M, content=""))
    deliver(message(M2, direction="BOTH"))
    deliver(OPEN)
    assert arrived() == []
    assert len(log()) == 3


def test_a_redelivered_or_conflicting_conversation_applies_nothing_again(deliver):
    for event in (message(), OPEN):
        deliver(event)
    rows = len(log())
    deliver(OPEN)
    deliver(make_event("NEW_CONVERSATION", id=C, at="2025-02-22T00:00:00"))
    assert len(log()) == rows + 2
    assert Conversation.objects.get().revision == 2


def test_an_early_message_arrived_when_it_was_delivered(deliver):
    early = deliver(message())
    deliver(OPEN, after=timedelta(hours=3))
    first, _, replay = Delivery.objects.order_by("id")
    assert early.code == "conversation_not_found"
    assert Message.objects.get().received_at == first.received_at
    assert replay.received_at - first.received_at == timedelta(hours=3)


def test_ids_in_either_case_meet(deliver):
    deliver(message(M.upper(), conversation_id=C.upper()))
    deliver(OPEN)
    assert arrived() == [M]


def test_the_conversation_is_served_with_its_early_messages(post, client):
    for event in (message(M2, 43), close(45), message(M, 42), OPEN):
        post(event)
    served = client.get(f"/conversations/{C}").json()
    assert [line["id"] for line in served["messages"]] == [M, M2]
    assert (served["state"], served["closed_at"]) == ("CLOSED", "2025-02-21T10:20:45.000000Z")


def test_applied_message_deliveries_are_the_messages(deliver):
    events = [message(M), message(M), message(M2, 50), close(45), message(M3, 43)]
    for event in [*events, OPEN, *events]:
        deliver(event)
    applied = Delivery.objects.filter(type="NEW_MESSAGE", outcome="applied")
    assert sorted(str(id) for (id,) in applied.values_list("message_id")) == sorted([M, M3])
    assert sorted(arrived()) == sorted([M, M3])


# The window

JUST = timedelta(microseconds=1)


@pytest.mark.parametrize("hours", [1, 24, 72])
def test_what_came_within_the_hours_is_applied(deliver, settings, hours):
    settings.EARLY_EVENTS_HOURS = hours
    deliver(message())
    deliver(OPEN, after=timedelta(hours=hours) - JUST)
    assert arrived() == [M]


@pytest.mark.parametrize("hours", [1, 24, 72])
def test_what_came_before_the_hours_is_not(deliver, settings, hours):
    settings.EARLY_EVENTS_HOURS = hours
    deliver(message())
    deliver(OPEN, after=timedelta(hours=hours) + JUST)
    assert arrived() == []
    assert len(log()) == 2


def test_the_window_is_24_hours_unless_told_otherwise(deliver):
    deliver(message(M))
    deliver(message(M2), after=2 * JUST)
    deliver(OPEN, after=timedelta(hours=24) + JUST)
    assert arrived() == [M2]


def test_the_window_counts_from_the_delivery_and_not_from_the_timestamp(deliver):
    deliver(make_event("NEW_MESSAGE", id=M, at="1999-01-01T00:00:00"))
    deliver(make_event("NEW_MESSAGE", id=M2, at="2999-01-01T00:00:00"))
    deliver(OPEN)
    assert arrived() == [M, M2]


def test_zero_hours_turns_it_off(deliver, settings):
    settings.EARLY_EVENTS_HOURS = 0
    deliver(message())
    deliver(OPEN)
    assert arrived() == []
    assert deliver(message()).outcome == "applied"


@pytest.mark.django_db
def test_what_is_no_event_any_more_does_not_keep_its_conversation_out(post):
    """Change the body in the log, as if an upgrade now refused the event."""
    post(message())
    Delivery.objects.update(body=b'{"type": "NEW_MESSAGE"}')
    assert post(OPEN).status_code == 201
    assert log()[1:] == [
        ("NEW_CONVERSATION", "applied", None),
        ("NEW_MESSAGE", "invalid_event", 0),
    ]


# Many of them


def test_however_many_there_are_the_statements_stay_few(deliver, django_assert_max_num_queries):
    """Other writers wait while the early events are applied."""
    for second in range(42, 60):
        deliver(message(f"00000000-0000-4000-8000-{second:012}", second))
    with django_assert_max_num_queries(22):
        deliver(OPEN)
    assert Conversation.objects.get().message_count == Message.objects.count() == 18


@pytest.fixture(params=[1, 2, 3])
def few_at_once(request, monkeypatch):
    """Limit the early events applied by one transaction."""
    monkeypatch.setattr("chat.models.deliveries.EARLY_AT_ONCE", request.param)
    return request.param


def upkeep():
    assert steps.run("early", now=NOW).is_complete


def messages(count):
    return [message(numbered(number), number) for number in range(count)]


def numbered(number):
    return f"00000000-0000-4000-8000-{number:012}"


def test_the_opening_applies_as_many_as_a_transaction_takes(deliver, few_at_once):
    for early in reversed(messages(5)):
        deliver(early)
    assert deliver(OPEN).outcome == "applied"
    assert arrived() == [numbered(number) for number in range(few_at_once)]
    assert Conversation.objects.get().has_early_events


def test_the_bytes_of_a_transaction_have_a_bound_too(deliver, monkeypatch):
    size = len(json.dumps(message()))
    monkeypatch.setattr("chat.database.batches.BYTES_A_BATCH", 2 * size - 50)
    for early in messages(5):
        deliver(early)
    deliver(OPEN)
    assert Conversation.objects.get().message_count == 2


def test_upkeep_applies_the_rest_in_order(deliver, few_at_once):
    for early in reversed(messages(7)):
        deliver(early)
    deliver(OPEN)
    upkeep()
    assert arrived() == [numbered(number) for number in range(7)]
    assert not Conversation.objects.get().has_early_events
    assert not Message.objects.filter(late=True).exists()


def test_parts_go_by_the_same_rules(deliver, few_at_once):
    events = [message(M2, 43), message(M, 42), close(44), message(M, 42), message(M3, 46)]
    for event in events:
        deliver(event)
    deliver(OPEN)
    upkeep()
    assert arrived() == [M, M2]
    assert [said for _, said, _ in log()[6:]] == [
        "applied",
        "duplicate",
        "applied",
        "applied",
        "conversation_closed",
    ]
    assert Conversation.objects.get().wrote_after_closing_at is not None


def test_an_event_that_comes_meanwhile_waits_behind_them(deliver, few_at_once):
    for early in messages(9):
        deliver(early)
    deliver(OPEN)
    answer = deliver(message(M, 20))
    assert (answer.code, answer.refusal.retry) == ("conversation_not_found", True)
    assert "applied after them" in answer.refusal.detail
    assert M not in arrived()
    upkeep()
    assert arrived() == [*(numbered(number) for number in range(9)), M]


def test_each_later_event_applies_the_next(deliver, few_at_once):
    for early in messages(6):
        deliver(early)
    for _ in range(6):
        deliver(OPEN)
    assert arrived() == [numbered(number) for number in range(6)]
    assert deliver(message(M)).outcome == "applied"


def test_a_close_that_comes_meanwhile_shuts_none_of_them_out(deliver, few_at_once):
    """The close has an earlier timestamp, but arrived after the opening."""
    for early in messages(7):
        deliver(early)
    deliver(OPEN)
    assert deliver(close(0)).code == "conversation_not_found"
    upkeep()
    conversation = Conversation.objects.get()
    assert (conversation.message_count, conversation.state) == (7, "CLOSED")


def test_a_retry_meanwhile_is_a_duplicate_in_the_end(deliver, few_at_once):
    for early in messages(7):
        deliver(early)
    deliver(OPEN)
    last = messages(7)[-1]
    assert deliver(last).code == "conversation_not_found"
    upkeep()
    assert deliver(last).outcome == "duplicate"
    assert Conversation.objects.get().message_count == 7


def test_a_transaction_that_fails_leaves_the_rest_waiting(deliver, few_at_once, monkeypatch):
    for early in messages(7):
        deliver(early)
    deliver(OPEN)
    with monkeypatch.context() as broken:
        broken.setattr("chat.events.unit_of_work.insert", raising)
        with pytest.raises(OperationalError):
            deliver(message(M, 20))
    assert len(arrived()) == few_at_once
    upkeep()
    assert arrived() == [numbered(number) for number in range(7)]


def raising(*args, **kwargs):
    raise OperationalError("the server is gone")


def test_prune_keeps_what_waits(deliver, few_at_once):
    for early in messages(7):
        deliver(early)
    deliver(OPEN)
    call_command("prune", "--yes", "--days", "1", stdout=StringIO())
    upkeep()
    assert Conversation.objects.get().message_count == 7


def test_the_thread_says_that_messages_wait(deliver, client, few_at_once):
    for early in messages(7):
        deliver(early)
    deliver(OPEN)
    words = "earlier messages are still being added"
    address = f"/ui/{C}/?lang=en"
    assert words in client.get(address).content.decode()
    upkeep()
    assert words not in client.get(address).content.decode()


def test_the_404_says_that_the_event_is_kept(post, client):
    assert "kept" in post(make_event("NEW_MESSAGE", id=M)).json()["detail"]
    assert "kept" not in client.get(f"/conversations/{C}").json()["detail"]
