"""The rules under contention: sixteen senders at once, each on its own connection."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.client import ClientHandler

from chat.database.locks import lock_ids
from chat.models import Conversation, Delivery, Message
from tests.conftest import M, make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("locks and constraints decide"),
]

SENDERS = 16
ROUNDS = pytest.mark.parametrize("round_", range(5))

# One handler for all senders: a new one loads slower than a request runs, and the race would be over.
HANDLER = ClientHandler(enforce_csrf_checks=False)


def send(event):
    """Send an event. Like a server, answer every exception."""
    client = Client(raise_request_exception=False)
    client.handler = HANDLER
    return client.post("/webhook/", json.dumps(event), content_type="application/json")


def at_once(events):
    """Return the answers' statuses and codes, in the order of the events."""
    start = Barrier(len(events))

    def send_with_the_others(event):
        try:
            connection.ensure_connection()
            start.wait(timeout=20)
            return send(event)
        finally:
            connection.close()

    connection.close()  # the pool has sixteen
    with ThreadPoolExecutor(len(events)) as senders:
        answers = list(senders.map(send_with_the_others, events))
    return [(answer.status_code, answer.json().get("code")) for answer in answers]


def tally(answers):
    return Counter(status for status, _ in answers)


def message(conversation_id, **data):
    return make_event(
        "NEW_MESSAGE", **{"id": str(uuid4()), "conversation_id": conversation_id} | data
    )


def stored_ids():
    return sorted(str(id) for id in Message.objects.values_list("id", flat=True))


def ids_of(events):
    return sorted(event["data"]["id"] for event in events)


def assert_the_log_agrees():
    applied = Delivery.objects.filter(type="NEW_MESSAGE", outcome="applied")
    assert sorted(applied.values_list("message_id")) == sorted(Message.objects.values_list("id"))
    for conversation in Conversation.objects.all():
        assert conversation.message_count == conversation.messages.count()
        closes = conversation.state == "CLOSED"
        assert conversation.revision == 1 + conversation.message_count + closes


@pytest.fixture
def conversation_id():
    return str(uuid4())


@pytest.fixture
def opened(conversation_id):
    send(make_event("NEW_CONVERSATION", id=conversation_id))
    return conversation_id


@ROUNDS
def test_one_of_many_equal_conversations_is_new(conversation_id, round_):
    answers = at_once([make_event("NEW_CONVERSATION", id=conversation_id)] * SENDERS)
    assert tally(answers) == {201: 1, 200: SENDERS - 1}
    assert Conversation.objects.get().revision == 1
    assert Delivery.objects.count() == SENDERS


@ROUNDS
def test_one_of_many_equal_messages_is_new(opened, round_):
    answers = at_once([message(opened)] * SENDERS)
    assert tally(answers) == {201: 1, 200: SENDERS - 1}
    assert Message.objects.count() == 1
    assert_the_log_agrees()


@ROUNDS
def test_of_many_contents_under_one_id_the_first_stays(opened, round_):
    events = [message(opened, id=M, content=f"text {n}") for n in range(SENDERS)]
    answers = at_once(events)
    assert tally(answers) == {201: 1, 409: SENDERS - 1}
    first = next(event for event, (status, _) in zip(events, answers, strict=True) if status == 201)
    assert Message.objects.get().content == first["data"]["content"]
    assert_the_log_agrees()


@ROUNDS
def test_of_one_message_id_in_many_conversations_the_first_stays(round_):
    """No row is locked by all senders: the constraint decides, and the losers then see the winner."""
    ids = [str(uuid4()) for _ in range(SENDERS)]
    for id in ids:
        send(make_event("NEW_CONVERSATION", id=id))
    answers = at_once([message(id, id=ids[0]) for id in ids])
    assert tally(answers) == {201: 1, 409: SENDERS - 1}
    assert Message.objects.count() == 1
    assert_the_log_agrees()


@ROUNDS
def test_different_messages_are_all_stored_and_counted(opened, round_):
    events = [message(opened, at=f"2025-02-21T10:20:{n:02}") for n in range(SENDERS)]
    assert tally(at_once(events)) == {201: SENDERS}
    assert stored_ids() == ids_of(events)
    assert Conversation.objects.get().last_message_at.second == SENDERS - 1
    assert_the_log_agrees()


@ROUNDS
def test_what_races_a_close_is_either_stored_or_told_that_it_is_closed(opened, round_):
    messages = [message(opened) for _ in range(SENDERS - 1)]
    close = make_event("CLOSE_CONVERSATION", id=opened)
    *answers, closing = at_once([*messages, close])
    taken = [event for event, (status, _) in zip(messages, answers, strict=True) if status == 201]
    assert closing == (200, None)
    assert set(answers) <= {(201, None), (400, "conversation_closed")}
    assert stored_ids() == ids_of(taken)
    assert Conversation.objects.get().state == "CLOSED"
    assert_the_log_agrees()


@ROUNDS
def test_one_of_many_closes_is_applied_and_its_time_stays(opened, round_):
    events = [
        make_event("CLOSE_CONVERSATION", id=opened, at=f"2025-02-21T10:20:{n:02}")
        for n in range(SENDERS)
    ]
    assert tally(at_once(events)) == {200: SENDERS}
    applied = Delivery.objects.get(type="CLOSE_CONVERSATION", outcome="applied")
    assert Conversation.objects.get().closed_at == applied.timestamp
    assert_the_log_agrees()


@ROUNDS
def test_no_message_is_lost_between_its_early_arrival_and_its_conversation(conversation_id, round_):
    messages = [message(conversation_id) for _ in range(SENDERS - 1)]
    *answers, opening = at_once([*messages, make_event("NEW_CONVERSATION", id=conversation_id)])
    assert opening == (201, None)
    assert set(answers) <= {(201, None), (404, "conversation_not_found")}
    assert stored_ids() == ids_of(messages)
    assert_the_log_agrees()


@ROUNDS
def test_an_early_message_sent_twice_while_its_conversation_arrives_is_one(conversation_id, round_):
    early = message(conversation_id)
    send(early)
    opening = make_event("NEW_CONVERSATION", id=conversation_id)
    answers = at_once([early, opening] * (SENDERS // 2))
    assert set(tally(answers)) <= {200, 201, 404}
    assert tally(answers)[201] == 1
    assert stored_ids() == ids_of([early])
    assert_the_log_agrees()


@ROUNDS
def test_an_early_close_is_not_lost_either(conversation_id, round_):
    close = make_event("CLOSE_CONVERSATION", id=conversation_id)
    opening = make_event("NEW_CONVERSATION", id=conversation_id)
    answers = at_once([close, opening] * (SENDERS // 2))
    assert set(tally(answers)) <= {200, 201, 404}
    assert tally(answers)[201] == 1
    assert Conversation.objects.get().state == "CLOSED"
    applied = Delivery.objects.filter(type="CLOSE_CONVERSATION", outcome="applied")
    assert applied.count() == 1


@ROUNDS
def test_one_message_id_in_two_conversations_that_arrive_after_it_is_stored_once(round_):
    ids = [str(uuid4()) for _ in range(SENDERS)]
    for id in ids:
        send(message(id, id=ids[0]))
    answers = at_once([make_event("NEW_CONVERSATION", id=id) for id in ids])
    assert tally(answers) == {201: SENDERS}
    assert Message.objects.count() == 1
    assert Delivery.objects.filter(code="id_conflict").count() == SENDERS - 1
    assert_the_log_agrees()


@ROUNDS
def test_conversations_whose_early_messages_share_ids_both_open(round_):
    """Each transaction holds a row that the other needs: PostgreSQL ends one, and the service retries."""
    conversations, shared = [str(uuid4()), str(uuid4())], [str(uuid4()) for _ in range(6)]
    for number, id in enumerate(shared):
        for conversation, second in zip(conversations, (number, 9 - number), strict=True):
            send(message(conversation, id=id, at=f"2025-02-21T10:21:0{second}"))
    answers = at_once([make_event("NEW_CONVERSATION", id=id) for id in conversations])
    assert tally(answers) == {201: 2}
    assert stored_ids() == sorted(shared)
    assert_the_log_agrees()


@pytest.mark.postgresql
def test_a_conversation_opens_however_many_messages_came_before_it():
    """Each message id is locked, and PostgreSQL has room for some thousands of locks."""
    with transaction.atomic():
        lock_ids([uuid4() for _ in range(50_000)], of="message")


# More than one machine


@pytest.mark.postgresql
def test_sixty_four_writers_lose_nothing_and_wait_in_no_circle():
    """Each writer writes to every conversation, in an order of its own."""
    conversations = [str(uuid4()) for _ in range(4)]
    for id in conversations:
        send(make_event("NEW_CONVERSATION", id=id))

    def write(number):
        try:
            ids = conversations[number % 4 :] + conversations[: number % 4]
            return [send(message(id)).status_code for id in ids]
        finally:
            connection.close()

    connection.close()
    with ThreadPoolExecutor(64) as writers:
        answers = Counter(status for some in writers.map(write, range(64)) for status in some)
    assert answers == {201: 256}
    assert {row.message_count for row in Conversation.objects.all()} == {64}
    assert_the_log_agrees()


@pytest.mark.postgresql
def test_a_batch_that_waits_for_an_unknown_id_keeps_no_row_locked(opened):
    """The other batch may want the locked row next, and then both would wait for each other."""
    unknown = uuid4()

    def lock_both():
        try:
            with transaction.atomic():
                return [*Conversation.objects.all_locked({unknown, UUID(opened)})]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            lock_ids([unknown], of="conversation")
            waiting = other.submit(lock_both)
            while not is_waited_for():
                time.sleep(0.01)
            rows = Conversation.objects.select_for_update(nowait=True)
            assert rows.get(pk=opened)
        assert waiting.result(timeout=20) == [UUID(opened)]


def is_waited_for():
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return cursor.fetchone() != (0,)


@pytest.mark.postgresql
def test_two_conversations_never_wait_for_each_other(opened):
    other = str(uuid4())
    send(make_event("NEW_CONVERSATION", id=other))

    def write():
        try:
            return send(message(other)).status_code
        finally:
            connection.close()

    with transaction.atomic(), ThreadPoolExecutor(1) as elsewhere:
        assert Conversation.objects.locked(UUID(opened))
        # A request waiting for a lock would get a 503.
        assert elsewhere.submit(write).result(timeout=30) == 201
