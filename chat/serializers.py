"""Conversations out: the JSON that readers get."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from chat.models import Conversation


class MessageOut(BaseModel):
    """A message; its timestamp is RFC 3339 in UTC."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    direction: Literal["SENT", "RECEIVED"]
    content: str
    timestamp: datetime


class ConversationOut(BaseModel):
    """A conversation with all its messages, by timestamp, then arrival. `closed_at` is null while OPEN."""

    id: UUID
    state: Literal["OPEN", "CLOSED"]
    opened_at: datetime
    closed_at: datetime | None
    messages: list[MessageOut]


def conversation_json(conversation: Conversation) -> bytes:
    messages = conversation.messages.in_order().values("id", "direction", "content", "timestamp")
    out = ConversationOut.model_validate(
        {
            "id": conversation.id,
            "state": conversation.state,
            "opened_at": conversation.opened_at,
            "closed_at": conversation.closed_at,
            "messages": list(messages),
        }
    )
    return out.model_dump_json().encode()
