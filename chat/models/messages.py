"""Messages, and the pages of a thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Length, Substr
from django.db.models.lookups import LessThanOrEqual
from django.urls import reverse

from chat.database.json_texts import IdText, InstantText
from chat.database.keyset import Ordering, after, page_of
from chat.text.folding import MAX_LOOKED_THROUGH


class Direction(models.TextChoices):
    """The direction of a message, seen from the company."""

    SENT = "SENT"
    RECEIVED = "RECEIVED"


# Messages per query of `in_chunks`. A text may have 4 MiB.
CHUNK = 200
# Rows per query of `each_as_text`. Each text of more than LONG_TEXT characters has its own query.
TEXT_CHUNK = 1_000
LONG_TEXT = 8 * 1024
SHORT_CONTENT = Case(When(LessThanOrEqual(Length("content"), LONG_TEXT), then=F("content")))
IN_ORDER: Ordering = ("timestamp", "arrival")
BACKWARDS: Ordering = ("-timestamp", "-arrival")


# The position of a page relative to a message.
Side = Literal["before", "after", "around"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """Some messages of a thread in order, the message above them, and whether more follow below."""

    messages: list[Message]
    above: Message | None = None
    has_newer: bool = False

    @property
    def has_older(self) -> bool:
        return self.above is not None


class MessageQuerySet(models.QuerySet["Message"]):
    def in_order(self) -> MessageQuerySet:
        """Order as a thread does: by timestamp, then by arrival."""
        return self.order_by(*IN_ORDER)

    def in_chunks(self) -> Iterator[list[Message]]:
        """Yield all messages in order, each chunk from a query of its own.

        One long query would hold a snapshot for a slow reader, and SQLite's WAL would grow.
        """
        cursor = ""
        while True:
            page = page_of(self.all(), IN_ORDER, size=CHUNK, cursor=cursor)
            yield page.rows
            if not (cursor := page.next):
                return

    def as_text(self) -> models.QuerySet[Message, tuple[str, str, str, str]]:
        """Return id, direction, content and timestamp as the JSON has them.

        The database makes this text many times as fast as Django makes UUIDs and datetimes.
        """
        return self.values_list(IdText("id"), "direction", "content", InstantText("timestamp"))

    def each_as_text(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield the rows of `as_text` in order, by short queries as `in_chunks` does.

        Holds at most TEXT_CHUNK rows, and one long text.
        """
        columns = IdText("id"), "direction", SHORT_CONTENT, InstantText("timestamp"), "arrival"
        position: tuple[datetime, int] | None = None
        while True:
            rest = self.filter(after(IN_ORDER, position)) if position else self.all()
            rows = list(rest.in_order().values_list(*columns)[:TEXT_CHUNK])
            for id, direction, content, timestamp, arrival in rows:
                yield id, direction, content_of(arrival, content), timestamp
            if len(rows) < TEXT_CHUNK:
                return
            position = datetime.fromisoformat(timestamp), arrival

    def in_brief(self) -> MessageQuerySet:
        """Read of each text only its `beginning`, as much as a snippet looks through."""
        read = {"beginning": Substr("content", 1, MAX_LOOKED_THROUGH)}
        return self.defer("content").annotate(**read)

    def newest(self, size: int) -> ThreadPage:
        """Return the newest messages of a thread."""
        return ThreadPage(*self._backwards(size))

    def first_from(self, at: datetime) -> Message | None:
        """Return the first message of a thread at this time or later."""
        return self.filter(timestamp__gte=at).in_order().first()

    def page_at(self, side: Side, id: UUID | None, size: int) -> ThreadPage | None:
        """Return the page before, after or around a message. None if these messages lack the id."""
        message = self.filter(id=id).first() if id else None
        if message is None:
            return None
        readers = {
            "before": self.page_before,
            "after": self.page_after,
            "around": self.page_around,
        }
        return readers[side](message, size)

    def page_before(self, message: Message, size: int) -> ThreadPage:
        older = self.filter(after(BACKWARDS, message.position))
        return ThreadPage(*older._backwards(size), has_newer=True)

    def page_after(self, message: Message, size: int) -> ThreadPage:
        newer = self.filter(after(IN_ORDER, message.position)).in_order()[: size + 1]
        messages = list(newer)
        return ThreadPage(messages[:size], above=message, has_newer=len(messages) > size)

    def page_around(self, message: Message, size: int) -> ThreadPage:
        """Return a page with the message in the middle, if both sides have enough messages."""
        before = self.page_before(message, size // 2)
        following = self.page_after(message, size - len(before.messages) - 1)
        messages = [*before.messages, message, *following.messages]
        return ThreadPage(messages, before.above, following.has_newer)

    def _backwards(self, size: int) -> tuple[list[Message], Message | None]:
        """Return the last messages in order, and the message before them."""
        messages = list(self.order_by(*BACKWARDS)[: size + 1])
        return messages[:size][::-1], messages[size] if len(messages) > size else None

    def waiting_since(self) -> datetime | None:
        """Return the time of the first RECEIVED after the last SENT, within one conversation."""
        received = self.filter(direction=Direction.RECEIVED)
        last_sent = self.filter(direction=Direction.SENT).in_order().last()
        if last_sent is not None:
            received = received.filter(
                Q(timestamp__gt=last_sent.timestamp)
                | Q(timestamp=last_sent.timestamp, arrival__gt=last_sent.arrival)
            )
        first = received.in_order().first()
        return first.timestamp if first else None


class Message(models.Model):
    """A message of one side. Only an erasure changes a stored message, and empties its content."""

    arrival = models.BigAutoField(
        primary_key=True, help_text="Orders what arrived within a conversation."
    )
    id = models.UUIDField(unique=True, editable=False)
    conversation = models.ForeignKey(
        "Conversation",
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,  # message_thread covers this
    )
    direction = models.CharField(max_length=8, choices=Direction)
    content = models.TextField()
    timestamp = models.DateTimeField(help_text="When it was written, by the sender's clock.")
    received_at = models.DateTimeField(help_text="When it was delivered here, by our clock.")
    late = models.BooleanField(
        default=False, help_text="Stands above a message that arrived before it."
    )

    objects = MessageQuerySet.as_manager()
    beginning: str  # only of `in_brief`

    class Meta:
        indexes = [
            # With the direction, because statistics then read the index and not the messages.
            models.Index(
                fields=["conversation", "timestamp", "arrival", "direction"], name="message_thread"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="message_direction", condition=Q(direction__in=Direction.values)
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def get_absolute_url(self) -> str:
        """Return the address of the thread, opened at this message."""
        return f"{reverse('thread', args=[self.conversation_id])}?message={self.id}"

    @property
    def is_erased(self) -> bool:
        """Whether the content is empty. No sender can send an empty message."""
        return not self.content

    @property
    def position(self) -> tuple[datetime, int]:
        """The place of the message in its thread."""
        return self.timestamp, self.arrival


def content_of(arrival: int, content: str | None) -> str:
    """Read a long text, because SHORT_CONTENT leaves long texts out."""
    if content is not None:
        return content
    return Message.objects.values_list("content", flat=True).get(arrival=arrival)
