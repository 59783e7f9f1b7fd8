"""The JSON of conversations, messages and deliveries, as pydantic models."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import to_json
from typing_extensions import TypedDict

from chat.bodies import BYTES_A_PIECE
from chat.database.json_texts import Instant, instant_text
from chat.database.keyset import Page
from chat.events.ingest import Result
from chat.events.payloads import parse
from chat.models import Change, Conversation, Delivery, ThreadPage
from chat.refusals import FieldError, InvalidEvent, InvalidPayload


class OutcomeOut(BaseModel):
    """An accepted delivery: applied, or equal to a stored conversation or message."""

    outcome: Literal["applied", "duplicate"]
    type: Literal["NEW_CONVERSATION", "NEW_MESSAGE", "CLOSE_CONVERSATION"]
    id: UUID


def outcome_out(result: Result) -> OutcomeOut:
    """Skip validation, because the rules have made these values."""
    subject = result.subject
    made: dict[str, Any] = {"outcome": result.outcome, "type": subject.type, "id": subject.id}
    return OutcomeOut.model_construct(**made)


# A dict, because `message_out` makes one: a thread may have thousands.
class MessageOut(TypedDict):
    """A message. The timestamp is RFC 3339 in UTC, with six digits after the second. The content is empty exactly if it was erased."""

    id: UUID
    direction: Literal["SENT", "RECEIVED"]
    content: str
    timestamp: Instant


class ConversationOut(BaseModel):
    """A conversation with all its messages, by timestamp, then arrival. `closed_at` is null while OPEN."""

    id: UUID
    state: Literal["OPEN", "CLOSED"]
    opened_at: Instant
    closed_at: Instant | None
    messages: list[MessageOut]


def conversation_json(conversation: Conversation) -> bytes:
    """Return the JSON of ConversationOut, made of texts that the database has formatted."""
    rows = conversation.messages.in_order().as_text()
    return to_json(head_of(conversation) | {"messages": [message_out(row) for row in rows]})


def conversation_pieces(conversation: Conversation, *, last_arrival: int) -> Iterator[bytes]:
    """Yield the same JSON in pieces, with the messages up to an arrival."""
    piece = bytearray(to_json(head_of(conversation))[:-1] + b',"messages":[')
    separator = b""
    for row in conversation.messages.filter(arrival__lte=last_arrival).each_as_text():
        piece += separator + to_json(message_out(row))
        separator = b","
        if len(piece) >= BYTES_A_PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece) + b"]}"


def head_of(conversation: Conversation) -> dict[str, Any]:
    closed_at = conversation.closed_at
    return {
        "id": conversation.id,
        "state": conversation.state,
        "opened_at": instant_text(conversation.opened_at),
        "closed_at": instant_text(closed_at) if closed_at else None,
    }


def message_out(row: tuple[str, str, str, str]) -> dict[str, str]:
    id, direction, content, timestamp = row
    return {"id": id, "direction": direction, "content": content, "timestamp": timestamp}


class DeliveryOut(BaseModel):
    """A delivery without its body. `code` is the reason of a refusal, else null."""

    id: int
    received_at: Instant
    type: Delivery.Type | None
    conversation_id: UUID | None
    message_id: UUID | None
    timestamp: Instant | None
    outcome: Delivery.Outcome
    code: str | None
    request_id: UUID
    caller_request_id: str | None
    webhook_id: str | None
    replays: int | None
    replayed_by: list[int]


class DeliveryDetailOut(DeliveryOut):
    """A delivery. `errors` has the wrong members of an invalid event, by the rules of now, unless its
    body was cut or erased.

    Staff get `body`, or `body_base64` for a body that is not UTF-8. Both are null for others, and for
    an erased body.
    """

    errors: list[FieldError]
    can_be_replayed: bool
    body: str | None
    body_base64: str | None


class DeliveriesOut(BaseModel):
    """A page of deliveries. `next` is the cursor of the following page, null on the last page."""

    deliveries: list[DeliveryOut]
    next: str | None


def deliveries_out(page: Page[Delivery]) -> DeliveriesOut:
    return DeliveriesOut(
        deliveries=[delivery_out(delivery) for delivery in page.rows], next=page.next or None
    )


def delivery_out(delivery: Delivery) -> DeliveryOut:
    return DeliveryOut(
        id=delivery.pk,
        received_at=delivery.received_at,
        type=delivery.type,
        conversation_id=delivery.conversation_id,
        message_id=delivery.message_id,
        timestamp=delivery.timestamp,
        outcome=delivery.outcome,
        code=delivery.code or None,
        request_id=delivery.request_id,
        caller_request_id=delivery.caller_request_id,
        webhook_id=delivery.webhook_id or None,
        replays=delivery.replays_id,
        replayed_by=[replay.pk for replay in delivery.replayed_by.all()],
    )


def delivery_detail_out(delivery: Delivery, *, with_body: bool) -> DeliveryDetailOut:
    body = bytes(delivery.body)
    return DeliveryDetailOut(
        **delivery_out(delivery).model_dump(),
        errors=errors_in(body) if delivery.code == InvalidEvent.code else [],
        can_be_replayed=delivery.is_worth_applying_again,
        **body_out(body if with_body else b""),
    )


def errors_in(body: bytes) -> list[FieldError]:
    """Return the errors in the body of an invalid event. The log keeps the body, and no errors."""
    try:
        parse(body)
    except InvalidEvent as refusal:
        return list(refusal.errors)
    except InvalidPayload:  # cut, or erased
        return []
    return []


def body_out(body: bytes) -> dict[str, str | None]:
    try:
        return {"body": body.decode() or None, "body_base64": None}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": b64encode(body).decode()}


class ChangeOut(BaseModel):
    """One change of a conversation. `at` is the time of its storage, by the service's clock.

    `opened`, `closed` and `message`: an event was applied. `wrote_after_closing`: the customer's
    message was refused, because the conversation is closed. `erased`: all text is gone.
    `message_id` is null unless the change is about a message.
    """

    type: Change.Type
    at: Instant
    conversation_id: UUID
    message_id: UUID | None


class ChangesOut(BaseModel):
    """Changes in their order. Store `next` together with your results: it is never null."""

    changes: list[ChangeOut]
    next: str


def changes_out(changes: list[Change], *, next: str) -> ChangesOut:
    return ChangesOut(changes=[change_out(change) for change in changes], next=next)


def change_out(change: Change) -> ChangeOut:
    return ChangeOut(
        type=Change.Type(change.type),
        at=change.at,
        conversation_id=change.conversation_id,
        message_id=change.message_id,
    )


# Lists


class LastMessageOut(BaseModel):
    """The last message by timestamp, then arrival. `preview` is the beginning of its text, on one line."""

    direction: Literal["SENT", "RECEIVED"]
    preview: str
    timestamp: Instant


class ConversationRowOut(BaseModel):
    """A conversation in a list. `waiting_since` is null when no reply is needed, `erased_at` unless its
    text was erased. `updated_at` is the time of its last change, by the service's clock.

    `wrote_after_closing_at` is null unless messages of the customer were refused because the conversation
    is closed. `dealt_with_at` is null unless somebody has dealt with all these messages.
    """

    id: UUID
    state: Literal["OPEN", "CLOSED"]
    opened_at: Instant
    closed_at: Instant | None
    needs_reply: bool
    waiting_since: Instant | None
    activity_at: Instant
    updated_at: Instant
    erased_at: Instant | None
    wrote_after_closing_at: Instant | None
    dealt_with_at: Instant | None
    message_count: int
    last_message: LastMessageOut | None


class ConversationListOut(BaseModel):
    """A page of conversations. `next` is the cursor of the following page, null on the last page.

    `count` and `more` are there if `count=true` asks for them.
    """

    conversations: list[ConversationRowOut]
    next: str | None
    count: int | None = None
    more: bool | None = None


class ThreadMessageOut(MessageOut):
    """A message in a page. `late` is true if the message stands above a message with an earlier arrival."""

    received_at: Instant
    late: bool


class MessagePageOut(BaseModel):
    """A page of messages, by timestamp, then arrival."""

    messages: list[ThreadMessageOut]
    has_older: bool
    has_newer: bool


def conversations_out(
    page: Page[Conversation], counted: tuple[int, bool] | None = None
) -> ConversationListOut:
    rows = [row_of(conversation) for conversation in page.rows]
    listed = ConversationListOut(conversations=rows, next=page.next or None)
    if counted:
        listed.count, listed.more = counted
    return listed


def row_of(conversation: Conversation) -> ConversationRowOut:
    return ConversationRowOut.model_validate(
        {
            "id": conversation.id,
            "state": conversation.state,
            "opened_at": conversation.opened_at,
            "closed_at": conversation.closed_at,
            "needs_reply": conversation.needs_reply,
            "waiting_since": conversation.waiting_since,
            "activity_at": conversation.activity_at,
            "updated_at": conversation.updated_at,
            "erased_at": conversation.erased_at,
            "wrote_after_closing_at": conversation.wrote_after_closing_at,
            "dealt_with_at": conversation.dealt_with_at,
            "message_count": conversation.message_count,
            "last_message": last_message_of(conversation),
        }
    )


def last_message_of(conversation: Conversation) -> dict[str, object] | None:
    if conversation.last_message_at is None:
        return None
    return {
        "direction": conversation.last_message_direction,
        "preview": conversation.last_message_preview,
        "timestamp": conversation.last_message_at,
    }


def message_page_out(page: ThreadPage) -> MessagePageOut:
    members = ThreadMessageOut.__annotations__
    return MessagePageOut.model_validate(
        {
            "messages": [
                {member: getattr(message, member) for member in members}
                for message in page.messages
            ],
            "has_older": page.has_older,
            "has_newer": page.has_newer,
        }
    )
