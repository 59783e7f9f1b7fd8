"""Messages, and how a thread reads them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast

from chat.database.keyset import Ordering, after


class Direction(models.TextChoices):
    """Who wrote a message, seen from the company."""

    SENT = "SENT"
    RECEIVED = "RECEIVED"


IN_ORDER: Ordering = ("timestamp", "arrival")
BACKWARDS: Ordering = ("-timestamp", "-arrival")


# Where a page stands, seen from a message.
Side = Literal["before", "after", "around"]
SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """A stretch of a thread in its order, the message above it, and whether there is more below."""

    messages: list[Message]
    above: Message | None = None
    has_newer: bool = False

    @property
    def has_older(self) -> bool:
        return self.above is not None


class TextInUTC(models.Func):
    """An instant as text, with its offset. Both engines keep it in UTC; PostgreSQL writes +00."""

    arity = 1
    output_field = models.TextField()

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:  # type: ignore[override]
        return self.as_sql(compiler, connection, template="%(expressions)s || 'Z'")

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(compiler, connection, template="CAST(%(expressions)s AS text) || ':00'")


class MessageQuerySet(models.QuerySet["Message"]):
    def in_order(self) -> MessageQuerySet:
        """The order of a thread: by timestamp, then by arrival."""
        return self.order_by(*IN_ORDER)

    def as_text(self) -> models.QuerySet[Message, tuple[str, str, str, str]]:
        """Id, direction, content, timestamp: as the database writes them, which pydantic reads many
        times as fast as Django makes a UUID and a datetime of each.
        """
        id = Cast("id", models.TextField())
        return self.values_list(id, "direction", "content", TextInUTC("timestamp"))

    def newest(self, size: int) -> ThreadPage:
        """The newest messages of a thread."""
        return ThreadPage(*self._backwards(size))

    def page_at(self, side: Side, id: UUID | None, size: int) -> ThreadPage | None:
        """The stretch before, after or around one of these messages; None where it is none of them."""
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
        """The message in the middle, where there is enough on both sides."""
        before = self.page_before(message, size // 2)
        following = self.page_after(message, size - len(before.messages) - 1)
        messages = [*before.messages, message, *following.messages]
        return ThreadPage(messages, before.above, following.has_newer)

    def _backwards(self, size: int) -> tuple[list[Message], Message | None]:
        """The last ones, in order, and the one before them."""
        messages = list(self.order_by(*BACKWARDS)[: size + 1])
        return messages[:size][::-1], messages[size] if len(messages) > size else None

    def waiting_since(self) -> datetime | None:
        """The first RECEIVED after the last SENT, among one conversation's messages."""
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
    """What one side wrote. Never changed once stored, but erased: then its content is empty."""

    arrival = models.BigAutoField(
        primary_key=True, help_text="Orders what arrived within a conversation."
    )
    id = models.UUIDField(unique=True, editable=False)
    conversation = models.ForeignKey(
        "Conversation",
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,  # message_thread serves it
    )
    direction = models.CharField(max_length=8, choices=Direction)
    content = models.TextField()
    timestamp = models.DateTimeField(help_text="When it was written, by the sender's clock.")
    received_at = models.DateTimeField(help_text="When it was delivered here, by our clock.")
    late = models.BooleanField(
        default=False, help_text="Stands above a message that arrived before it."
    )

    objects = MessageQuerySet.as_manager()

    class Meta:
        indexes = [
            # The direction is there for statistics, which then need not read the messages.
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

    @property
    def is_erased(self) -> bool:
        """No sender's message is empty."""
        return not self.content

    @property
    def position(self) -> tuple[datetime, int]:
        """Where it stands in its thread."""
        return self.timestamp, self.arrival
