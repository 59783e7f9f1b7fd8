"""`ingest`: one body in, its effect and its log row written in one durable transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, IntegrityError, connection

from chat.database.batches import taking_turns
from chat.database.group_commit import GroupCommit
from chat.database.migrated import WrongSchema, writing
from chat.database.readiness import note_failure, note_write
from chat.database.statements import new
from chat.events.payloads import Event, NewConversation, parse
from chat.events.rules import Outcome, apply, note_writing_after_closing
from chat.events.unit_of_work import UnitOfWork
from chat.models import KEPT_OF_INVALID_BODY, Delivery, ids_in
from chat.refusals import ConversationClosed, InvalidPayload, Refusal, ReplayCannotHelp, Subject

# A constraint decides a race. The loser runs again, and then finds the winner's row.
ATTEMPTS = 3

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A body, its arrival time and its ids. The log keeps all of these."""

    body: bytes
    received_at: datetime
    request_id: UUID
    webhook_id: str = ""
    caller_request_id: str | None = None
    replays: Delivery | None = None
    # Stands in for `replays` where its row is in another database.
    original_received_at: datetime | None = None

    @property
    def delivered_at(self) -> datetime:
        """When the event first arrived. A replay counts from the arrival of its original."""
        if self.original_received_at:
            return self.original_received_at
        return self.replays.received_at if self.replays else self.received_at


@dataclass(frozen=True, slots=True)
class Parsed:
    """An event with its envelope, or an envelope and the reason why its body is not an event."""

    event: Event | InvalidPayload
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a delivery. `refusal` is set exactly if the outcome is REFUSED.

    `text_digest` is set only for the first delivery of a text refused after closing.
    """

    outcome: Outcome
    subject: Subject
    refusal: Refusal | None = None
    text_digest: str = ""

    @property
    def code(self) -> str:
        """The refusal's code, or an empty string."""
        return self.refusal.code if self.refusal else ""


def ingest(
    body: bytes,
    *,
    received_at: datetime,
    request_id: UUID | None = None,
    webhook_id: str = "",
    caller_request_id: str | None = None,
    replays: Delivery | None = None,
) -> Result:
    """Apply one event and log it. Both are durable when this returns.

    Raises Django's `Error` when the database is locked, full or gone, or has a schema of another
    version (WrongSchema). Then nothing was stored, and the sender must send again. A replay is logged as of now, and applied as of the arrival of
    its original.
    """
    envelope = Envelope(
        body=body,
        received_at=received_at,
        request_id=request_id or uuid4(),
        webhook_id=webhook_id,
        caller_request_id=caller_request_id,
        replays=replays,
    )
    parsed = parse_body(envelope)
    try:
        result = ingest_in_group(parsed) if connection.vendor == "sqlite" else ingest_one(parsed)
    except WrongSchema:  # readiness judges the schema by itself
        raise
    except Error:
        note_failure()
        raise
    note_write()
    return result


def apply_again(delivery: Delivery, *, at: datetime, request_id: UUID | None = None) -> Result:
    """Replay a delivery if this can help. Raises ReplayCannotHelp, and as `ingest` does."""
    if not delivery.is_worth_applying_again:
        raise ReplayCannotHelp
    return replay(delivery, at=at, request_id=request_id)


def replay(delivery: Delivery, *, at: datetime, request_id: UUID | None = None) -> Result:
    """Ingest the body of a logged delivery once more. Raises as `ingest` does."""
    return ingest(
        bytes(delivery.body),
        received_at=at,
        request_id=request_id,
        webhook_id=delivery.webhook_id,
        replays=delivery,
    )


def parse_body(envelope: Envelope) -> Parsed:
    """Parse before the transaction begins, because other writers wait for a transaction."""
    try:
        return Parsed(parse(envelope.body), envelope)
    except InvalidPayload as refusal:
        return Parsed(refusal, envelope)


def ingest_one(
    parsed: Parsed, *, using: str = DEFAULT_DB_ALIAS, early_events: bool = True
) -> Result:
    """Ingest one event in a transaction of its own, and try again after a lost race."""
    [result] = after_lost_races(
        lambda: ingest_together(lambda: [parsed], using=using, early_events=early_events)
    )
    return result


def after_lost_races(run: Callable[[], Answer]) -> Answer:
    """Run a transaction, at most ATTEMPTS times. Raises the IntegrityError of the last attempt."""
    for _ in range(ATTEMPTS - 1):
        try:
            return run()
        except IntegrityError:
            continue
    return run()


def ingest_together(
    take_batch: Callable[[], list[Parsed]],
    *,
    using: str = DEFAULT_DB_ALIAS,
    early_events: bool = True,
) -> list[Result]:
    """Ingest a batch in one transaction, with the same results as one transaction for each event.

    `take_batch` is called once the transaction holds the database, so events arriving during the wait
    join the batch.
    """
    with writing(using=using):
        batch = take_batch()
        subjects = [parsed.event.subject for parsed in batch]
        work = UnitOfWork(subjects, using=using, early_events=early_events)
        results = [ingest_into(work, parsed) for parsed in batch]
        work.write()
    return results


# SQLite has one writer. Events waiting for their turn share the next commit.
ingest_in_group = GroupCommit(ingest_together, alone=ingest_one)


def ingest_into(work: UnitOfWork, parsed: Parsed) -> Result:
    """Add one event's effect and its log row to the unit of work."""
    event, envelope = parsed.event, parsed.envelope
    work.now = envelope.received_at
    if isinstance(event, InvalidPayload):
        kept = envelope.body[:KEPT_OF_INVALID_BODY]
        if not event.subject.conversation_id and work.has_erased_any(ids_in(kept)):
            kept = b""
        return record(refused(event, event.subject), replace(envelope, body=kept), work)
    apply_early_events(event.subject.conversation_id, envelope, work)
    result = result_of(event, work, received_at=envelope.delivered_at)
    record(result, envelope, work)
    if isinstance(event, NewConversation) and result.outcome == Outcome.APPLIED:
        find_early_events(event.data.id, envelope, work)
        apply_early_events(event.data.id, envelope, work)
    return result


def result_of(event: Event, work: UnitOfWork, *, received_at: datetime) -> Result:
    try:
        return Result(apply(event, work, received_at=received_at), event.subject)
    except ConversationClosed as refusal:
        text_digest = note_writing_after_closing(event, work, received_at=received_at)
        return refused(refusal, event.subject, text_digest)
    except Refusal as refusal:
        return refused(refusal, event.subject)


def refused(refusal: Refusal, subject: Subject, text_digest: str = "") -> Result:
    # Tracebacks, also that of the parser's own error, would keep the whole batch in memory.
    refusal.__context__ = None
    return Result(Outcome.REFUSED, subject, refusal.with_traceback(None), text_digest)


def find_early_events(conversation_id: UUID, envelope: Envelope, work: UnitOfWork) -> None:
    """Mark the events received before this NEW_CONVERSATION as waiting to be applied."""
    if settings.EARLY_EVENTS_HOURS:
        since = envelope.delivered_at - timedelta(hours=settings.EARLY_EVENTS_HOURS)
        work.let_early_events_wait(conversation_id, since=since)


def apply_early_events(conversation_id: UUID | None, envelope: Envelope, work: UnitOfWork) -> int:
    """Apply the next waiting early events, if any. Return their number, EARLY_AT_ONCE at most.

    The opening applies the first. Each later event of the conversation applies the next, and so
    does upkeep: a transaction for all of them could last longer than a request may.
    """
    count = 0
    for early in work.early(conversation_id):
        replay = replace(
            envelope, body=bytes(early.body), webhook_id=early.webhook_id, replays=early
        )
        record(result_of_early(early, work), replay, work)
        count += 1
    return count


def apply_waiting(conversation_id: UUID, *, at: datetime) -> int:
    """Apply the next early events of a conversation without an event. Return their number.

    Other writers get in between two calls.
    """
    envelope = Envelope(body=b"", received_at=at, request_id=uuid4())

    def apply_next() -> int:
        with taking_turns():
            work = UnitOfWork([Subject(conversation_id=conversation_id)])
            work.now = at
            return apply_early_events(conversation_id, envelope, work)

    return after_lost_races(apply_next)


def result_of_early(early: Delivery, work: UnitOfWork) -> Result:
    """Apply an early event. If today's rules reject the event, return the refusal: its conversation
    opens all the same.
    """
    try:
        event = parse(bytes(early.body))
    except InvalidPayload as refusal:
        ids = early.conversation_id, early.message_id
        return refused(refusal, Subject(early.type, early.timestamp, *ids))
    return result_of(event, work, received_at=early.received_at)


def record(result: Result, envelope: Envelope, work: UnitOfWork) -> Result:
    """Add the delivery's row to the log. A refused or repeated body of an erased text is not kept.

    A replay refused for the same reason as before leaves no row.
    """
    if envelope.replays and work.has_logged_refusal(envelope.replays, result.code):
        return result
    subject = result.subject
    is_erased = result.outcome != Outcome.APPLIED and work.has_erased(
        subject.conversation_id, subject.message_id
    )
    delivery = new(
        Delivery,
        received_at=envelope.received_at,
        type=subject.type,
        conversation_id=subject.conversation_id,
        message_id=subject.message_id,
        timestamp=subject.timestamp,
        body=b"" if is_erased else envelope.body,
        outcome=result.outcome,
        code=result.code,
        request_id=envelope.request_id,
        webhook_id=envelope.webhook_id,
        caller_request_id=envelope.caller_request_id,
        text_digest=result.text_digest or None,
        replays_id=envelope.replays.id if envelope.replays else None,
    )
    work.log(delivery)
    return result
