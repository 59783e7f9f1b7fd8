"""The effect of each event on conversations and messages."""

from datetime import datetime
from hashlib import blake2b

from chat.database.statements import new
from chat.events.payloads import CloseConversation, Event, NewConversation, NewMessage
from chat.events.unit_of_work import UnitOfWork
from chat.models import Conversation, Delivery, Direction, Message
from chat.refusals import (
    ConversationClosed,
    ConversationErased,
    EarlierEventsWait,
    EventTooEarly,
    IdConflict,
)

Outcome = Delivery.Outcome


def apply(event: Event, work: UnitOfWork, *, received_at: datetime) -> Outcome:
    """Apply one event. Return APPLIED or DUPLICATE, or raise the refusal of the broken rule."""
    match event:
        case NewConversation():
            return open_conversation(event, work, received_at=received_at)
        case NewMessage():
            return add_message(event, work, received_at=received_at)
        case CloseConversation():
            return close_conversation(event, work)


def open_conversation(
    event: NewConversation, work: UnitOfWork, *, received_at: datetime
) -> Outcome:
    conversation = work.conversation(event.data.id)
    if conversation is None:
        activity_at = min(event.timestamp, received_at)
        work.open(
            Conversation(id=event.data.id, opened_at=event.timestamp, activity_at=activity_at)
        )
        return Outcome.APPLIED
    if conversation.opened_at != event.timestamp and conversation.was_opened:
        raise IdConflict
    return Outcome.DUPLICATE


def add_message(event: NewMessage, work: UnitOfWork, *, received_at: datetime) -> Outcome:
    conversation = work.conversation(event.data.conversation_id)
    first = work.message(event.data.id)
    if first is not None:
        return compare(first, event)
    if conversation is None:
        raise EventTooEarly
    if conversation.is_erased:
        raise ConversationErased
    if conversation.is_closed:
        raise ConversationClosed
    if work.must_wait(conversation):
        raise EarlierEventsWait
    message = new(
        Message,
        id=event.data.id,
        conversation_id=conversation.id,
        direction=event.data.direction,
        content=event.data.content,
        timestamp=event.timestamp,
        received_at=received_at,
        late=conversation.ends_after(event.timestamp),
    )
    conversation.count_in(message)
    work.add(message, conversation)
    return Outcome.APPLIED


def close_conversation(event: CloseConversation, work: UnitOfWork) -> Outcome:
    conversation = work.conversation(event.data.id)
    if conversation is None:
        raise EventTooEarly
    if conversation.is_closed:
        return Outcome.DUPLICATE
    if work.must_wait(conversation):
        raise EarlierEventsWait
    conversation.close(at=event.timestamp)
    work.close(conversation)
    return Outcome.APPLIED


def compare(first: Message, event: NewMessage) -> Outcome:
    """Return DUPLICATE if every member equals the stored message; raise IdConflict if not.

    The state of the conversation does not matter. The text of an erased message is unknown, so
    every text counts as equal.
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


def note_writing_after_closing(event: Event, work: UnitOfWork, *, received_at: datetime) -> str:
    """Note on a closed conversation that its customer wrote, because the inbox shows this.

    Return the digest of the text. Return "" for any other event, and for a redelivery, because neither
    changes anything. The noted time is the earlier of the message's timestamp and arrival.
    """
    if not isinstance(event, NewMessage) or event.data.direction != Direction.RECEIVED:
        return ""
    conversation = work.conversation(event.data.conversation_id)
    if conversation is None:
        return ""
    digest = digest_of(event.data.content)
    at = min(event.timestamp, received_at)
    noted = work.note_writing_after_closing(conversation, event.data.id, digest, at=at)
    return digest if noted else ""


def digest_of(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
