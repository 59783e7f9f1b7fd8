"""What each event does. `ingest()` is the only way in; nothing here knows HTTP."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from chat.groups import Group
from chat.models import KEPT_OF_INVALID_BODY, Conversation, Delivery, Direction, Message, ids_in
from chat.payloads import (
    CloseConversation,
    Event,
    InvalidPayload,
    NewConversation,
    NewMessage,
    Refusal,
    Subject,
    parse,
)
from chat.stored import Stored

Outcome = Delivery.Outcome

# A race that a constraint decided is run again, and then sees who was first.
ATTEMPTS = 3


class IdConflict(Refusal):
    """The id is taken by something else; the first stays."""

    code = "id_conflict"
    detail = "This id already stands for something else; the first stays as it is."


class ConversationNotFound(Refusal):
    """No such conversation yet. The event is kept, and applied when its conversation arrives soon."""

    code = "conversation_not_found"
    detail = "No conversation has this id."


class ConversationClosed(Refusal):
    """A CLOSED conversation takes no message, whatever the message's timestamp."""

    code = "conversation_closed"
    detail = "The conversation is closed; sending the message again cannot help."


class ConversationErased(Refusal):
    """It takes no message, as it is closed; and nobody is told that someone wrote."""

    code = ConversationClosed.code
    detail = ConversationClosed.detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request that brought a body, for the log."""

    body: bytes
    received_at: datetime
    request_id: UUID
    webhook_id: str = ""
    replays: Delivery | None = None

    @property
    def delivered_at(self) -> datetime:
        """When the event first came. A replay is as old as what it replays."""
        return self.replays.received_at if self.replays else self.received_at


Reading = tuple[Event | InvalidPayload, Request]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a delivery: applied, a duplicate, or refused with the refusal that says why."""

    outcome: Delivery.Outcome
    subject: Subject
    refusal: Refusal | None = None

    @property
    def code(self) -> str:
        return self.refusal.code if self.refusal else ""


def ingest(
    body: bytes,
    *,
    received_at: datetime,
    request_id: UUID | None = None,
    webhook_id: str = "",
    replays: Delivery | None = None,
) -> Result:
    """Take one event in: its effect and its row in the log are durable together, or neither is.

    Whatever the database cannot do (locked, full, gone) is raised as Django's DatabaseError, and
    then nothing is stored: the sender must send again. A replay is logged as of now, and applied as
    of the delivery that it replays.
    """
    request = Request(
        body=body,
        received_at=received_at,
        request_id=request_id or uuid4(),
        webhook_id=webhook_id,
        replays=replays,
    )
    reading = read(body), request
    return settle_in_group(reading) if connection.vendor == "sqlite" else settle(reading)


def read(body: bytes) -> Event | InvalidPayload:
    """The event, or why there is none. Before the transaction, which others wait for."""
    try:
        return parse(body)
    except InvalidPayload as refusal:
        return refusal


def apply_again(delivery: Delivery, *, at: datetime, request_id: UUID | None = None) -> Result:
    """Take in what a delivery brought once more, whatever became of it. Raises as `ingest()` does."""
    return ingest(
        bytes(delivery.body),
        received_at=at,
        request_id=request_id,
        webhook_id=delivery.webhook_id,
        replays=delivery,
    )


def settle(reading: Reading) -> Result:
    for _ in range(ATTEMPTS - 1):
        try:
            return settle_once(reading)
        except IntegrityError:
            continue
    return settle_once(reading)


def settle_once(reading: Reading) -> Result:
    [result] = settle_together(lambda: [reading])
    return result


@transaction.atomic(durable=True)
def settle_together(waiting: Callable[[], list[Reading]]) -> list[Result]:
    """In one transaction, each as if alone; who waits is asked when the database is ours."""
    readings = waiting()
    stored = Stored(event.subject for event, _ in readings)
    results = [take_in(event, request, stored) for event, request in readings]
    stored.write()
    return results


# SQLite has one writer, and who waits for it may as well share its commit.
settle_in_group = Group(settle_together, alone=settle)


def take_in(event: Event | InvalidPayload, request: Request, stored: Stored) -> Result:
    """One event's effect and its row in the log, in the caller's transaction."""
    if isinstance(event, InvalidPayload):
        kept = request.body[:KEPT_OF_INVALID_BODY]
        if not event.subject.conversation_id and stored.has_erased_any(ids_in(kept)):
            kept = b""
        return record(refused(event, event.subject), replace(request, body=kept), stored)
    result = outcome_of(event, stored, received_at=request.delivered_at)
    record(result, request, stored)
    if isinstance(event, NewConversation) and result.outcome == Outcome.APPLIED:
        apply_early_events(event.data.id, request, stored)
    return result


def outcome_of(event: Event, stored: Stored, *, received_at: datetime) -> Result:
    try:
        return Result(apply(event, stored, received_at=received_at), event.subject)
    except ConversationClosed as refusal:
        note_writing_after_closing(event, stored, received_at=received_at)
        return refused(refusal, event.subject)
    except Refusal as refusal:
        return refused(refusal, event.subject)


def refused(refusal: Refusal, subject: Subject) -> Result:
    return Result(Outcome.REFUSED, subject, refusal)


def apply(event: Event, stored: Stored, *, received_at: datetime) -> Delivery.Outcome:
    match event:
        case NewConversation():
            return open_conversation(event, stored, received_at=received_at)
        case NewMessage():
            return add_message(event, stored, received_at=received_at)
        case CloseConversation():
            return close_conversation(event, stored)


def open_conversation(
    event: NewConversation, stored: Stored, *, received_at: datetime
) -> Delivery.Outcome:
    conversation = stored.conversation(event.data.id)
    if conversation is None:
        activity_at = min(event.timestamp, received_at)
        stored.open(
            Conversation(id=event.data.id, opened_at=event.timestamp, activity_at=activity_at)
        )
        return Outcome.APPLIED
    if conversation.opened_at != event.timestamp and not conversation.is_erased:
        raise IdConflict
    return Outcome.DUPLICATE


def add_message(event: NewMessage, stored: Stored, *, received_at: datetime) -> Delivery.Outcome:
    conversation = stored.conversation(event.data.conversation_id)
    first = stored.message(event.data.id)
    if first is not None:
        return compare(first, event)
    if conversation is None:
        raise ConversationNotFound
    if conversation.is_erased:
        raise ConversationErased
    if conversation.is_closed:
        raise ConversationClosed
    message = Message(
        id=event.data.id,
        conversation_id=conversation.id,
        direction=event.data.direction,
        content=event.data.content,
        timestamp=event.timestamp,
        received_at=received_at,
        late=conversation.ends_after(event.timestamp),
    )
    conversation.count_in(message)
    stored.add(message, conversation)
    return Outcome.APPLIED


def note_writing_after_closing(event: Event, stored: Stored, *, received_at: datetime) -> None:
    """So that the inbox can list a customer whom nobody would answer otherwise.

    As of its writing, like activity: a redelivery, however late, then changes nothing.
    """
    if isinstance(event, NewMessage) and event.data.direction == Direction.RECEIVED:
        at = min(event.timestamp, received_at)
        stored.note_writing_after_closing(event.data.conversation_id, at=at)


def compare(first: Message, event: NewMessage) -> Delivery.Outcome:
    """A redelivery is equal in all that the format names, whatever the conversation's state is now.

    Of an erased message nobody knows the text any more.
    """
    content = event.data.content if first.is_erased else first.content
    if (first.conversation_id, first.direction, content, first.timestamp) != (
        event.data.conversation_id,
        event.data.direction,
        event.data.content,
        event.timestamp,
    ):
        raise IdConflict
    return Outcome.DUPLICATE


def close_conversation(event: CloseConversation, stored: Stored) -> Delivery.Outcome:
    conversation = stored.conversation(event.data.id)
    if conversation is None:
        raise ConversationNotFound
    if conversation.is_closed:
        return Outcome.DUPLICATE
    conversation.close(at=event.timestamp)
    stored.close(conversation)
    return Outcome.APPLIED


def apply_early_events(conversation_id: UUID, request: Request, stored: Stored) -> None:
    """What came before its NEW_CONVERSATION, in the order of its timestamps.

    Written together: there may be thousands, and other writers wait.
    """
    if not settings.EARLY_EVENTS_HOURS:
        return
    since = request.delivered_at - timedelta(hours=settings.EARLY_EVENTS_HOURS)
    for early in stored.early(conversation_id, since=since):
        replay = replace(
            request, body=bytes(early.body), webhook_id=early.webhook_id, replays=early
        )
        record(outcome_of_early(early, stored), replay, stored)


def outcome_of_early(early: Delivery, stored: Stored) -> Result:
    """It was valid when it came; were it not so now, its conversation must still open."""
    try:
        event = parse(bytes(early.body))
    except InvalidPayload as refusal:
        ids = early.conversation_id, early.message_id
        return refused(refusal, Subject(early.type, early.timestamp, *ids))
    return outcome_of(event, stored, received_at=early.received_at)


def record(result: Result, request: Request, stored: Stored) -> Result:
    subject = result.subject
    is_erased = result.outcome != Outcome.APPLIED and stored.has_erased(
        subject.conversation_id, subject.message_id
    )
    delivery = Delivery(
        received_at=request.received_at,
        type=subject.type,
        conversation_id=subject.conversation_id,
        message_id=subject.message_id,
        timestamp=subject.timestamp,
        body=b"" if is_erased else request.body,
        outcome=result.outcome,
        code=result.code,
        request_id=request.request_id,
        webhook_id=request.webhook_id,
        replays_id=request.replays.id if request.replays else None,
    )
    stored.log(delivery)
    return result
