"""What each event does. `ingest()` is the only way in; nothing here knows HTTP."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import IntegrityError, transaction

from chat.models import Conversation, Delivery, Message
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

Outcome = Delivery.Outcome

# A race that a constraint decided is run again, and then sees who was first.
ATTEMPTS = 3
KEPT_OF_INVALID_BODY = 64 * 1024


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The request that brought a body, for the log."""

    body: bytes
    received_at: datetime
    request_id: UUID
    webhook_id: str = ""
    replays: Delivery | None = None


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
    body: bytes, *, received_at: datetime, request_id: UUID | None = None, webhook_id: str = ""
) -> Result:
    """Take one event in: its effect and its row in the log are durable together, or neither is.

    Whatever the database cannot do (locked, full, gone) is raised as Django's DatabaseError, and
    then nothing is stored: the sender must send again.
    """
    request = Request(
        body=body,
        received_at=received_at,
        request_id=request_id or uuid4(),
        webhook_id=webhook_id,
    )
    try:
        event = parse(body)
    except InvalidPayload as refusal:
        kept = replace(request, body=body[:KEPT_OF_INVALID_BODY])
        with transaction.atomic(durable=True):
            return record(refused(refusal, refusal.subject), kept)
    return settle(event, request)


def settle(event: Event, request: Request) -> Result:
    for _ in range(ATTEMPTS - 1):
        try:
            return settle_once(event, request)
        except IntegrityError:
            continue
    return settle_once(event, request)


@transaction.atomic(durable=True)
def settle_once(event: Event, request: Request) -> Result:
    result = outcome_of(event, received_at=request.received_at)
    record(result, request)
    if isinstance(event, NewConversation) and result.outcome == Outcome.APPLIED:
        apply_early_events(event.data.id, request)
    return result


def outcome_of(event: Event, *, received_at: datetime) -> Result:
    try:
        return Result(apply(event, received_at=received_at), event.subject)
    except Refusal as refusal:
        return refused(refusal, event.subject)


def refused(refusal: Refusal, subject: Subject) -> Result:
    return Result(Outcome.REFUSED, subject, refusal)


def apply(event: Event, *, received_at: datetime) -> Delivery.Outcome:
    match event:
        case NewConversation():
            return open_conversation(
                id=event.data.id, timestamp=event.timestamp, received_at=received_at
            )
        case NewMessage():
            return add_message(event, received_at=received_at)
        case CloseConversation():
            return close_conversation(id=event.data.id, timestamp=event.timestamp)


def open_conversation(*, id: UUID, timestamp: datetime, received_at: datetime) -> Delivery.Outcome:
    conversation = Conversation.objects.locked(id)
    if conversation is None:
        Conversation.objects.create(
            id=id, opened_at=timestamp, activity_at=min(timestamp, received_at)
        )
        return Outcome.APPLIED
    if conversation.opened_at != timestamp:
        raise IdConflict
    return Outcome.DUPLICATE


def add_message(event: NewMessage, *, received_at: datetime) -> Delivery.Outcome:
    conversation = Conversation.objects.locked(event.data.conversation_id)
    stored = Message.objects.filter(id=event.data.id).first()
    if stored is not None:
        return compare(stored, event)
    if conversation is None:
        raise ConversationNotFound
    if conversation.is_closed:
        raise ConversationClosed
    message = Message.objects.create(
        id=event.data.id,
        conversation=conversation,
        direction=event.data.direction,
        content=event.data.content,
        timestamp=event.timestamp,
        received_at=received_at,
        late=conversation.ends_after(event.timestamp),
    )
    conversation.count_in(message)
    return Outcome.APPLIED


def compare(stored: Message, event: NewMessage) -> Delivery.Outcome:
    """A redelivery is equal in all that the format names, whatever the conversation's state is now."""
    if (stored.conversation_id, stored.direction, stored.content, stored.timestamp) != (
        event.data.conversation_id,
        event.data.direction,
        event.data.content,
        event.timestamp,
    ):
        raise IdConflict
    return Outcome.DUPLICATE


def close_conversation(*, id: UUID, timestamp: datetime) -> Delivery.Outcome:
    conversation = Conversation.objects.locked(id)
    if conversation is None:
        raise ConversationNotFound
    if conversation.is_closed:
        return Outcome.DUPLICATE
    conversation.close(at=timestamp)
    return Outcome.APPLIED


def apply_early_events(conversation_id: UUID, request: Request) -> None:
    """What came before its NEW_CONVERSATION, in the order of its timestamps."""
    if not settings.EARLY_EVENTS_HOURS:
        return
    since = request.received_at - timedelta(hours=settings.EARLY_EVENTS_HOURS)
    for early in Delivery.objects.take_early(conversation_id, since=since):
        replay = replace(
            request, body=bytes(early.body), webhook_id=early.webhook_id, replays=early
        )
        record(outcome_of_early(early), replay)


def outcome_of_early(early: Delivery) -> Result:
    """It was valid when it came; were it not so now, its conversation must still open."""
    try:
        return outcome_of(parse(bytes(early.body)), received_at=early.received_at)
    except InvalidPayload as refusal:
        ids = early.conversation_id, early.message_id
        return refused(refusal, Subject(early.type, early.timestamp, *ids))


def record(result: Result, request: Request) -> Result:
    subject = result.subject
    Delivery.objects.create(
        received_at=request.received_at,
        type=subject.type,
        conversation_id=subject.conversation_id,
        message_id=subject.message_id,
        timestamp=subject.timestamp,
        body=request.body,
        outcome=result.outcome,
        code=result.code,
        request_id=request.request_id,
        webhook_id=request.webhook_id,
        replays=request.replays,
    )
    return result
