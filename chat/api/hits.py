"""The JSON of messages of all conversations, as pydantic models."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from chat.database.json_texts import Instant
from chat.database.keyset import Page
from chat.models import Message
from chat.text.expressions import Term
from chat.text.snippets import Piece, snippet

# Makes an absolute URL of a path.
Absolute = Callable[[str], str]


class LinkedMessageOut(BaseModel):
    id: UUID
    conversation_id: UUID
    direction: Literal["SENT", "RECEIVED"]
    timestamp: Instant
    url: str


class MessageDetailOut(LinkedMessageOut):
    """A message. The content is empty exactly if it was erased. `url` is the page of the message."""

    content: str


class MarkOut(BaseModel):
    """The place of a found word: from character `start` to before character `end`, as Unicode counts."""

    start: int
    end: int


class HitOut(LinkedMessageOut):
    """A message in a list. `snippet` is the part of its text around the found words, or its beginning.
    "…" stands for omitted text, and `marks` are the words. `url` is the page of the message.
    """

    snippet: str
    marks: list[MarkOut]


class HitsOut(BaseModel):
    """A page of messages. `next` is the cursor of the following page, null on the last page."""

    messages: list[HitOut]
    next: str | None


def message_detail_out(message: Message, absolute: Absolute) -> MessageDetailOut:
    members = linked(message, absolute) | {"content": message.content}
    return MessageDetailOut.model_validate(members)


def hits_out(page: Page[Message], terms: Iterable[Term], absolute: Absolute) -> HitsOut:
    """Return messages with these terms marked. They must have been read `in_brief`."""
    hits = [hit_out(message, snippet(message.beginning, terms), absolute) for message in page.rows]
    return HitsOut(messages=hits, next=page.next or None)


def hit_out(message: Message, pieces: list[Piece], absolute: Absolute) -> HitOut:
    text = "".join(piece.text for piece in pieces)
    members = linked(message, absolute) | {"snippet": text, "marks": list(marks_of(pieces))}
    return HitOut.model_validate(members)


def linked(message: Message, absolute: Absolute) -> dict[str, Any]:
    return {
        "id": message.id,
        "conversation_id": message.conversation_id,
        "direction": message.direction,
        "timestamp": message.timestamp,
        "url": absolute(message.get_absolute_url()),
    }


def marks_of(pieces: list[Piece]) -> Iterator[MarkOut]:
    start = 0
    for piece in pieces:
        end = start + len(piece.text)
        if piece.is_hit:
            yield MarkOut(start=start, end=end)
        start = end
