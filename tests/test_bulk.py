"""`ingest_many`: the same effects as `ingest` for one event after another, in few transactions."""

import gc
import json
from datetime import timedelta
from threading import Event, Thread
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat.events.bulk import ingest_many
from chat.events.ingest import (
    Envelope,
    Parsed,
    ingest,
    ingest_into,
    ingest_together,
    parse_body,
)
from chat.events.unit_of_work import UnitOfWork
from chat.models import Conversation, Delivery, Message, MessageWords
from tests.conftest import M2, NOW, OTHER_C, C, M, make_event

pytestmark = pytest.mark.both_engines("statements of many rows")

CONVERSATIONS = [f"{n}a41b347-8d80-4ce9-84ba-7af66f369f6a" for n in range(3)]
MESSAGES = [f"{n}9108c71-4dca-4af3-9f32-61bc745926e2" for n in range(6)]
WORDS = ["não", "pagamento", "olá", "1234"]

OPEN = make_event("NEW_CONVERSATION", id=C)
CLOSE = make_event("CLOSE_CONVERSATION", id=C)


def bodies(*events):
    return [(json.dumps(event).encode(), NOW) for event in events]


def load(*events, **options):
    """Deliver these events together at NOW. Return their outcomes or codes."""
    results = ingest_many(bodies(*events), **options)
    return [result.code or result.outcome.value for result in results]


# The same as one by one


def opening_or_close(type, second, id):
    return make_event(type, at=f"2025-02-21T10:20:{second:02}", id=id)


def text(second, **data):
    return make_event("NEW_MESSAGE", at=f"2025-02-21T10:20:{second:02}", **data)


conversation_ids = st.sampled_from(CONVERSATIONS)
openings = st.builds(
    opening_or_close, st.just("NEW_CONVERSATION"), st.sampled_from([0, 0, 1]), conversation_ids
)
closes = st.builds(
    opening_or_close, st.just("CLOSE_CONVERSATION"), st.integers(2, 4), conversation_ids
)
texts = st.builds(
    text,
    st.integers(1, 4),
    id=st.sampled_from(MESSAGES),
    conversation_id=conversation_ids,
    direction=st.sampled_from(["SENT", "RECEIVED"]),
    content=st.sampled_from(WORDS),
)
events = st.one_of(openings, texts, texts, texts, closes)
things_delivered = st.one_of(
    events.map(lambda event: json.dumps(event).encode()),
    st.sampled_from([b"{", b'{"type": "NEW_MESSAGE"}', json.dumps(OPEN).encode()]),
)
streams = st.lists(
    st.tuples(things_delivered, st.sampled_from([0, 0, 1, 30])), min_size=1, max_size=40
)


def with_times(stream):
    """Yield each body with its time of arrival, so many hours after the body before."""
    at = NOW
    for body, hours in stream:
        at += timedelta(hours=hours, seconds=1)
        yield body, at


def all_that_is_stored():
    """Return every visible column, and the hits of a search. Keys are numbers from one."""
    deliveries = list(Delivery.objects.order_by("id"))
    messages = list(Message.objects.order_by("arrival"))
    number = {delivery.id: n for n, delivery in enumerate(deliveries)}
    arrival = {message.arrival: n for n, message in enumerate(messages)}
    conversation_columns = [field.attname for field in Conversation._meta.concrete_fields]
    return {
        "conversations": list(Conversation.objects.order_by("id").values_list(*conversation_columns)),
        "messages": [columns(message, leave_out={"arrival"}) for message in messages],
        "deliveries": [
            (columns(row, leave_out={"id", "request_id", "replays_id"}), number.get(row.replays_id))
            for row in deliveries
        ],
        "hits": {
            word: [arrival[hit.pk] for hit in MessageWords.objects.search(word)] for word in WORDS
        },
    }  # fmt: skip


def columns(row, *, leave_out):
    names = [field.attname for field in row._meta.concrete_fields]
    values = [getattr(row, name) for name in names if name not in leave_out]
    return [bytes(value) if isinstance(value, memoryview) else value for value in values]


def forget_everything():
    with connection.cursor() as cursor:
        for table in ("messagewords", "message", "conversation", "delivery"):
            cursor.execute(f"DELETE FROM chat_{table}")


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(stream=streams, batch_size=st.integers(1, 45))
def test_it_stores_and_answers_what_one_by_one_would(db, stream, batch_size):
    forget_everything()
    one_by_one = [ingest(body, received_at=at) for body, at in with_times(stream)]
    expected = all_that_is_stored()
    forget_everything()
    together = list(ingest_many(with_times(stream), batch_size=batch_size))
    assert all_that_is_stored() == expected
    assert [(r.outcome, r.code, r.subject) for r in together] == [
        (r.outcome, r.code, r.subject) for r in one_by_one
    ]


# Cases that the random streams seldom reach


def test_what_came_early_in_the_same_batch_is_applied(db):
    message = make_event("NEW_MESSAGE", id=M)
    assert load(message, OPEN, CLOSE) == ["conversation_not_found", "applied", "applied"]
    assert str(Message.objects.get().id) == M
    assert Delivery.objects.get(replays__isnull=False).replays.code == "conversation_not_found"


def test_a_late_message_changes_who_waits(db):
    load(
        OPEN,
        make_event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:50"),
        make_event("NEW_MESSAGE", id=M2, at="2025-02-21T10:20:45"),
    )
    assert Conversation.objects.get().waiting_since.second == 45


def test_a_message_of_another_batch_is_a_duplicate(db):
    message = make_event("NEW_MESSAGE", id=M)
    assert load(OPEN, message, message, batch_size=2) == ["applied", "applied", "duplicate"]


def test_nothing_in_gives_nothing_out(db):
    assert load() == []


def test_an_ordinary_batch_costs_a_few_queries_however_long_it_is(
    db, django_assert_max_num_queries
):
    messages = [
        make_event("NEW_MESSAGE", id=f"{n:08}-4dca-4af3-9f32-61bc745926e2", at=at)
        for n in range(60)
        for at in [f"2025-02-21T10:21:{n:02}"]
    ]
    with django_assert_max_num_queries(16):
        assert set(load(OPEN, *messages, CLOSE)) == {"applied"}


def test_a_batch_over_many_stored_conversations_costs_no_more(db, django_assert_max_num_queries):
    ids = [f"{n:08}-8d80-4ce9-84ba-7af66f369f6a" for n in range(60)]
    load(*(make_event("NEW_CONVERSATION", id=id) for id in ids))
    messages = [
        make_event("NEW_MESSAGE", id=id.replace("a", "b"), conversation_id=id) for id in ids
    ]
    with django_assert_max_num_queries(16):
        assert set(load(*messages)) == {"applied"}
    assert list(Conversation.objects.values_list("message_count", flat=True)) == [1] * 60


def test_what_is_written_at_once_has_a_limit(transactional_db, monkeypatch):
    events = [OPEN, make_event("NEW_MESSAGE", id=M), make_event("NEW_MESSAGE", id=M2)]
    batch = [
        parse_body(Envelope(body=body, received_at=at, request_id=uuid4()))
        for body, at in bodies(*events)
    ]
    monkeypatch.setattr("chat.database.batches.BYTES_A_BATCH", 1)
    with CaptureQueriesContext(connection) as asked:
        ingest_together(lambda: batch)
    inserts = [query["sql"] for query in asked if "INSERT" in query["sql"]]
    assert len(inserts) == 1 + 2 + 2 + 3 + 1  # the changes have no text, and are written together


def test_a_batch_may_have_more_rows_than_a_statement_takes(db, monkeypatch):
    monkeypatch.setattr("chat.database.statements.MOST_ROWS", 2)
    first, *later = [
        make_event("NEW_MESSAGE", id=f"{n:08}-4dca-4af3-9f32-61bc745926e2", content=f"Texto {n}")
        for n in range(6)
    ]
    load(OPEN, first)
    assert load(*later, first) == ["applied"] * 5 + ["duplicate"]
    stored = Message.objects.order_by("arrival")
    assert [message.content for message in stored] == [f"Texto {n}" for n in range(6)]
    hits = [MessageWords.objects.search(str(n)).get() for n in range(6)]
    assert [hit.message_id for hit in hits] == [message.arrival for message in stored]
    assert Delivery.objects.count() == 8


def test_a_batch_ends_where_its_bodies_take_too_much_memory(db, monkeypatch):
    monkeypatch.setattr("chat.database.batches.BYTES_A_BATCH", 1)
    results = ingest_many(bodies(OPEN, CLOSE))
    next(results)
    assert Conversation.objects.get().state == "OPEN"


def test_results_come_after_the_commit_and_nothing_is_asked_for_ahead(db):
    asked = []

    def deliveries():
        for delivery in bodies(OPEN, CLOSE, OPEN):
            asked.append(delivery)
            yield delivery

    results = ingest_many(deliveries(), batch_size=2)
    assert (asked, Conversation.objects.count()) == ([], 0)
    next(results)
    assert (len(asked), Conversation.objects.get().state) == (2, "CLOSED")


KEPT_BY_A_BATCH = Message, Delivery, Envelope, Parsed


@pytest.fixture
def count_in_memory():
    """Count the bytes that a batch keeps in memory. The garbage collector is off, so nothing is freed meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield lambda: sum(isinstance(each, KEPT_BY_A_BATCH) for each in gc.get_objects())
    finally:
        gc.enable()


def test_results_keep_no_batch_in_memory(db, count_in_memory):
    """The tracebacks of refusals would keep the rows and the bodies of the batch."""
    before = count_in_memory()
    early = make_event("NEW_MESSAGE", id=M2, conversation_id=OTHER_C)
    after_closing = make_event("NEW_MESSAGE", id=M2)
    events = bodies(OPEN, make_event("NEW_MESSAGE", id=M), CLOSE, early, after_closing, {"type": 1})
    results = list(ingest_many([*events, (b"{", NOW)]))
    assert count_in_memory() == before
    assert [result.code for result in results[3:]] == [
        *("conversation_not_found", "conversation_closed", "invalid_event", "invalid_json")
    ]


# Among other writers


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_race_that_a_constraint_decides_is_run_again_one_by_one():
    """Another conversation's transaction stores the message's id, while the batch waits for that transaction."""
    load(make_event("NEW_CONVERSATION", id=OTHER_C))
    theirs = make_event("NEW_MESSAGE", id=M, conversation_id=OTHER_C, content="theirs")
    ours = make_event("NEW_MESSAGE", id=M, content="ours")
    stored, may_commit = Event(), Event()
    writer = Thread(target=store_and_wait, args=(theirs, stored, may_commit))
    writer.start()
    assert stored.wait(10)
    loading = []
    loader = Thread(target=lambda: loading.extend(load_on_its_own_connection(OPEN, ours, CLOSE)))
    loader.start()
    wait_until_someone_waits_for_a_transaction()
    may_commit.set()
    writer.join(10)
    loader.join(10)
    assert loading == ["applied", "id_conflict", "applied"]
    assert [message.content for message in Message.objects.all()] == ["theirs"]
    assert Delivery.objects.count() == 5  # and no row of the batch rolled back


def store_and_wait(event, stored, may_commit):
    body, at = bodies(event)[0]
    parsed = parse_body(Envelope(body=body, received_at=at, request_id=uuid4()))
    try:
        with transaction.atomic():
            work = UnitOfWork([parsed.event.subject])
            ingest_into(work, parsed)
            work.write()
            stored.set()
            may_commit.wait(10)
    finally:
        connection.close()


def load_on_its_own_connection(*events):
    try:
        return load(*events)
    finally:
        connection.close()


def wait_until_someone_waits_for_a_transaction():
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with connection.cursor() as cursor:
        for _ in range(1000):
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    pytest.fail("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_what_the_database_cannot_do_is_raised_and_what_was_committed_stays():
    results = ingest_many(bodies(OPEN, CLOSE), batch_size=1)
    next(results)
    with connection.execute_wrapper(refuse_to_insert), pytest.raises(OperationalError):
        next(results)
    assert Conversation.objects.get().state == "OPEN"
    assert Delivery.objects.count() == 1


def refuse_to_insert(execute, sql, params, many, context):
    if sql.startswith("INSERT"):
        raise OperationalError("disk is full")
    return execute(sql, params, many, context)


@pytest.mark.parametrize("batch_size", [1, 10])
def test_of_a_text_refused_in_both_directions_the_customers_counts_in_any_batch(
    db, event, batch_size
):
    events = [
        event("NEW_CONVERSATION", id=C),
        event("CLOSE_CONVERSATION", id=C),
        event("NEW_MESSAGE", id=M, direction="SENT"),
        event("NEW_MESSAGE", id=M, direction="RECEIVED"),
        event("NEW_MESSAGE", id=M, direction="SENT"),
        event("NEW_MESSAGE", id=M, direction="RECEIVED"),
    ]
    bodies = [(json.dumps(each).encode(), NOW) for each in events]
    list(ingest_many(bodies, batch_size=batch_size))
    assert Conversation.objects.get().wrote_after_closing_count == 1
