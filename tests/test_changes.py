"""The table of changes: one row for each change of a conversation, in an order that never changes."""

import json
from datetime import timedelta
from threading import Barrier, Thread
from uuid import UUID

import pytest
from django.db import connections, transaction

from chat.events.bulk import ingest_many
from chat.events.ingest import apply_again
from chat.models import Change, Conversation, Delivery, current_generation
from chat.upkeep import erasure
from tests.conftest import NOW, C, make_event

pytestmark = pytest.mark.both_engines("the order of changes is made by each engine in its own way")

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
OPEN = make_event("NEW_CONVERSATION", id=C)
CLOSE = make_event("CLOSE_CONVERSATION", id=C)
SECOND = timedelta(seconds=1)


def numbered(number):
    """Return an id ending with the number."""
    return f"49108c71-4dca-4af3-9f32-61bc745926{number:02}"


def message(number, **values):
    return make_event("NEW_MESSAGE", id=numbered(number), conversation_id=C, **values)


def happened():
    """Return the changes with a place, in their order, in short form."""
    Change.objects.place()
    return [
        (change.type, str(change.message_id)[-2:] if change.message_id else None)
        for change in Change.objects.placed()
    ]


# Events with a change, and events without


def test_each_event_that_is_applied_is_a_change(deliver):
    for event in (OPEN, message(1), message(2), CLOSE):
        deliver(event)
    assert happened() == [("opened", None), ("message", "01"), ("message", "02"), ("closed", None)]


def test_a_change_says_when_it_was_stored_and_of_which_conversation(deliver):
    deliver(OPEN)
    deliver(message(1, at="2025-01-01T00:00:00"), after=SECOND)
    change = Change.objects.get(type="message")
    assert (change.at, str(change.conversation_id)) == (NOW + SECOND, C)
    assert Conversation.objects.get().updated_at == NOW + SECOND


def test_redeliveries_and_refusals_are_no_changes(deliver):
    deliver(OPEN)
    deliver(message(1))
    before = happened()
    deliver(OPEN)
    deliver(message(1))
    deliver(message(1, content="Another text"))
    deliver(make_event("CLOSE_CONVERSATION", id=D))
    deliver(b"{")
    assert happened() == before


def test_a_customer_who_writes_after_closing_is_one_change_a_text(deliver):
    another = message(1, content="Another text")
    for event in (OPEN, CLOSE, message(1), message(1), message(2), message(1), another, another):
        deliver(event)
    assert happened()[2:] == [("wrote_after_closing", id) for id in ("01", "02", "01")]


def test_a_redelivery_in_the_same_transaction_is_no_second_change(transactional_db):
    list(ingest_many((body_of(event), NOW) for event in (OPEN, CLOSE, message(1), message(1))))
    assert happened()[2:] == [("wrote_after_closing", "01")]


def test_an_agent_who_writes_after_closing_is_no_change(deliver):
    for event in (OPEN, CLOSE, message(1, direction="SENT")):
        deliver(event)
    assert len(happened()) == 2


def test_early_events_are_changes_after_the_opening_in_the_order_of_their_effect(deliver):
    deliver(message(2, at="2025-02-21T10:00:02"))
    deliver(message(1, at="2025-02-21T10:00:01"))
    assert happened() == []
    deliver(OPEN, after=SECOND)
    assert happened() == [("opened", None), ("message", "01"), ("message", "02")]
    assert {change.at for change in Change.objects.all()} == {NOW + SECOND}


def test_a_replay_is_a_change_of_the_time_of_the_replay(deliver):
    deliver(message(1))
    deliver(OPEN, after=timedelta(days=3))
    early = Delivery.objects.get(message_id=numbered(1))
    apply_again(early, at=NOW + timedelta(days=4))
    assert Change.objects.get(type="message").at == NOW + timedelta(days=4)
    assert Conversation.objects.get().updated_at == NOW + timedelta(days=4)


def test_an_erasure_is_a_change_also_of_an_unknown_conversation(deliver):
    deliver(OPEN)
    for id in (C, D):
        erasure.erase(UUID(id), at=NOW + SECOND)
    assert happened() == [("opened", None), ("erased", None), ("erased", None)]
    assert {row.updated_at for row in Conversation.objects.all()} == {NOW + SECOND}


def test_received_messages_are_counted(deliver):
    deliver(OPEN)
    for number, direction in enumerate(["RECEIVED", "SENT", "RECEIVED"]):
        deliver(message(number, direction=direction))
    found = Conversation.objects.get()
    assert (found.received_count, found.message_count) == (2, 3)


def body_of(event):
    return json.dumps(event).encode()


# Places


@pytest.fixture
def elsewhere():
    """Runs in a thread, and so on a connection, of its own."""
    threads = []

    def run(target, *arguments):
        thread = Thread(target=closing_connections, args=(target, *arguments))
        threads.append(thread)
        thread.start()
        return thread

    yield run
    for thread in threads:
        thread.join()


def closing_connections(target, *arguments):
    try:
        target(*arguments)
    finally:
        connections.close_all()


def change(number):
    return Change(type="opened", conversation_id=numbered(number), at=NOW)


def places():
    return {str(row.conversation_id)[-2:]: row.place for row in Change.objects.placed()}


def test_places_grow_by_one_and_stay(deliver):
    for number in range(1, 4):
        deliver(make_event("NEW_CONVERSATION", id=numbered(number)))
        Change.objects.place()
        assert places() == {
            f"{seen:02}": Change.objects.bounds()[0] + seen - 1 for seen in range(1, number + 1)
        }


def test_nothing_has_happened_yet(db):
    assert (Change.objects.place(), Change.objects.bounds()) == (0, (1, 0))


@pytest.mark.postgresql
def test_a_row_that_is_committed_late_gets_a_later_place(transactional_db, elsewhere):
    inserted, commit = Barrier(2), Barrier(2)

    def hold():
        with transaction.atomic():
            change(1).save()
            inserted.wait()
            commit.wait()

    holding = elsewhere(hold)
    inserted.wait()
    change(2).save()
    assert (Change.objects.place(), places()) == (1, {"02": 1})
    commit.wait()
    holding.join()
    assert (Change.objects.place(), places()) == (1, {"02": 1, "01": 2})
    assert list(Change.objects.order_by("id").values_list("position", flat=True)) == [2, 1]


@pytest.mark.postgresql
def test_who_places_waits_for_the_one_who_does(transactional_db, elsewhere):
    """Otherwise a reader could see place 2 before place 1."""
    change(1).save()
    placed, commit = Barrier(2), Barrier(2)

    def hold():
        with transaction.atomic():
            Change.objects.place()
            placed.wait()
            commit.wait()

    holding = elsewhere(hold)
    placed.wait()
    change(2).save()
    counts = []
    waiting = elsewhere(lambda: counts.append(Change.objects.place()))
    waiting.join(0.3)
    assert (waiting.is_alive(), places()) == (True, {})
    commit.wait()
    holding.join()
    waiting.join()
    assert (counts, places()) == ([1], {"01": 1, "02": 2})


@pytest.mark.postgresql
def test_many_rows_get_their_places_some_at_a_time(db, monkeypatch):
    monkeypatch.setattr("chat.models.changes.PLACED_AT_ONCE", 2)
    Change.objects.bulk_create(change(number) for number in range(5))
    assert [Change.objects.place() for _ in range(4)] == [2, 2, 1, 0]
    assert places() == {f"{number:02}": number + 1 for number in range(5)}


# Generations


def test_a_new_database_has_a_generation(transactional_db):
    assert current_generation() == current_generation()
