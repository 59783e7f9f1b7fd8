"""What is stored, and the querysets that read it. Only events.py writes conversations and messages."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from django.contrib.auth.models import AbstractUser
from django.db import connection, models
from django.db.models import Q

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREVIEW_LENGTH = 200


class User(AbstractUser):
    """Someone who reads here. Agents read; staff also see raw bodies and the admin."""


class Direction(models.TextChoices):
    """Who wrote a message, seen from the company."""

    SENT = "SENT"
    RECEIVED = "RECEIVED"


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def find(self, id: UUID | None) -> Conversation | None:
        return self.filter(pk=id).first() if id else None

    def stamp(self) -> str:
        """The stamp of these rows, asked for no more than it takes."""
        return stamp_of(self.only("id", "revision"))

    def for_inbox(self) -> ConversationQuerySet:
        """Latest activity first; the id makes the order total, which keyset pages need."""
        return self.order_by("-activity_at", "-id")

    def locked(self, id: UUID) -> Conversation | None:
        """The conversation, locked until the transaction ends.

        An absent one locks its id instead, so that an event which finds nothing and the
        NEW_CONVERSATION it came before cannot pass each other unseen. SQLite has one writer, and
        a write transaction is that lock already.
        """
        rows = self.select_for_update().filter(pk=id)
        conversation = rows.first()
        if conversation is None and lock_ids([id], of="conversation"):
            conversation = rows.first()
        return conversation


def stamp_of(rows: Iterable[Conversation]) -> str:
    """Changes exactly when the rows, their order or any of their revisions do."""
    listed = ",".join(f"{row.id}@{row.revision}" for row in rows)
    return blake2b(listed.encode(), digest_size=12).hexdigest()


def lock_ids(ids: list[UUID], *, of: Literal["conversation", "message"]) -> bool:
    """Lock ids, whether there are rows under them or not, until the transaction ends.

    Always in one order, so that nobody waits in a circle. Whether there was anything to wait for:
    on SQLite there is not, as its transactions that write follow one another.
    """
    if connection.vendor != "postgresql" or not ids:
        return False
    in_order = "SELECT unnest(%s::bigint[]) AS key ORDER BY key"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pg_advisory_xact_lock(key) FROM ({in_order}) AS keys",  # noqa: S608 - no value in it
            [[_advisory_key(id, of) for id in ids]],
        )
    return True


def _advisory_key(id: UUID, of: str) -> int:
    """Signed 64 bits, as PostgreSQL takes them; a collision only makes two ids wait."""
    digest = blake2b(id.bytes, digest_size=8, person=of.encode()).digest()
    return int.from_bytes(digest, signed=True)


class Conversation(models.Model):
    """A conversation under the sender's id, with what a row of the inbox shows."""

    class State(models.TextChoices):
        OPEN = "OPEN"
        CLOSED = "CLOSED"

    id = models.UUIDField(primary_key=True, editable=False)
    state = models.CharField(max_length=6, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    revision = models.PositiveBigIntegerField(
        default=1, help_text="Grows by one with every applied event."
    )
    message_count = models.PositiveIntegerField(default=0)
    activity_at = models.DateTimeField(
        help_text="The last message's timestamp, or its arrival if that is earlier; or the opening."
    )
    waiting_since = models.DateTimeField(
        null=True, help_text="The first RECEIVED after the last SENT; null when none, or closed."
    )
    last_message_at = models.DateTimeField(null=True)
    last_message_direction = models.CharField(max_length=8, choices=Direction, blank=True)
    last_message_preview = models.CharField(max_length=PREVIEW_LENGTH, blank=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["-activity_at", "-id"], name="conversation_inbox"),
            models.Index(fields=["state", "-activity_at", "-id"], name="conversation_by_state"),
            models.Index(
                fields=["waiting_since", "id"],
                name="conversation_waiting",
                condition=Q(waiting_since__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="conversation_closed_at_exactly_when_closed",
                condition=Q(state="OPEN", closed_at__isnull=True)
                | Q(state="CLOSED", closed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="conversation_waits_only_when_open",
                condition=Q(waiting_since__isnull=True) | Q(state="OPEN"),
            ),
            models.CheckConstraint(
                name="conversation_last_message_direction",
                condition=Q(last_message_direction__in=["", *Direction.values]),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def short_id(self) -> str:
        return str(self.id)[:8]

    @property
    def is_closed(self) -> bool:
        return self.state == self.State.CLOSED

    @property
    def needs_reply(self) -> bool:
        """OPEN, and the last message is RECEIVED."""
        return self.waiting_since is not None

    def ends_after(self, timestamp: datetime) -> bool:
        """Whether a message of this time lands above one that arrived before it."""
        return self.last_message_at is not None and timestamp < self.last_message_at

    def close(self, *, at: datetime) -> None:
        self.state = self.State.CLOSED
        self.closed_at = at
        self.waiting_since = None
        self.revision += 1
        self.save(update_fields=["state", "closed_at", "waiting_since", "revision"])

    def count_in(self, message: Message) -> None:
        """Bring what the inbox shows up to date with a message that was just stored."""
        self.revision += 1
        self.message_count += 1
        if message.late:
            self.waiting_since = self.messages.waiting_since()
        else:
            self._end_with(message)
        self.save(force_update=True)

    def _end_with(self, message: Message) -> None:
        self.last_message_at = message.timestamp
        self.last_message_direction = message.direction
        self.last_message_preview = preview_of(message.content)
        self.activity_at = min(message.timestamp, message.received_at)
        if message.direction == Direction.SENT:
            self.waiting_since = None
        elif self.waiting_since is None:
            self.waiting_since = message.timestamp


def preview_of(content: str) -> str:
    """The beginning of a text on one line."""
    return " ".join(content[: 4 * PREVIEW_LENGTH].split())[:PREVIEW_LENGTH]


class MessageQuerySet(models.QuerySet["Message"]):
    def in_order(self) -> MessageQuerySet:
        """The order of a thread: by timestamp, then by arrival."""
        return self.order_by("timestamp", "arrival")

    def latest_page(self, size: int) -> list[Message]:
        """The last messages of a thread, in its order."""
        return list(self.order_by("-timestamp", "-arrival")[:size])[::-1]

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
    """What one side wrote. Never changed once stored."""

    arrival = models.BigAutoField(
        primary_key=True, help_text="Orders what arrived within a conversation."
    )
    id = models.UUIDField(unique=True, editable=False)
    conversation = models.ForeignKey(
        Conversation,
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
            models.Index(fields=["conversation", "timestamp", "arrival"], name="message_thread"),
        ]
        constraints = [
            models.CheckConstraint(
                name="message_direction", condition=Q(direction__in=Direction.values)
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def take_early(self, conversation_id: UUID, *, since: datetime) -> Iterator[Delivery]:
        """What was refused because this conversation was unknown, in the order of its timestamps.

        Of a message and a CLOSE of one instant the message comes first: a CLOSE would shut it out.
        Read one at a time, because a body may hold 4 MiB. Two conversations whose early messages
        share ids wait for one another, so their ids are locked first.
        """
        early = self.filter(
            conversation_id=conversation_id,
            code="conversation_not_found",
            received_at__gte=since,
        )
        closes = Q(type=Delivery.Type.CLOSE_CONVERSATION)
        ordered = early.order_by("timestamp", models.Case(models.When(closes, 1), default=0), "id")
        found = list(ordered.values_list("pk", "message_id"))
        lock_ids([message_id for _, message_id in found if message_id], of="message")
        for pk, _ in found:
            yield self.get(pk=pk)


class Delivery(models.Model):
    """One request that brought a body, and what became of it. The log, and the only copy of what was refused."""

    class Type(models.TextChoices):
        NEW_CONVERSATION = "NEW_CONVERSATION"
        NEW_MESSAGE = "NEW_MESSAGE"
        CLOSE_CONVERSATION = "CLOSE_CONVERSATION"

    class Outcome(models.TextChoices):
        APPLIED = "applied"
        DUPLICATE = "duplicate"
        REFUSED = "refused"

    id = models.BigAutoField(primary_key=True)
    received_at = models.DateTimeField(help_text="When the body was read, or replayed.")
    type = models.CharField(  # noqa: DJ001 - null: not one of ours
        max_length=18, choices=Type, null=True
    )
    conversation_id = models.UUIDField(null=True)
    message_id = models.UUIDField(null=True)
    timestamp = models.DateTimeField(null=True, help_text="The event's own; null when not valid.")
    body = models.BinaryField(help_text="As received; the first 64 KiB of an invalid one.")
    outcome = models.CharField(max_length=9, choices=Outcome)
    code = models.CharField(max_length=40, blank=True, help_text="Why it was refused.")
    request_id = models.UUIDField()
    webhook_id = models.CharField(max_length=255, blank=True)
    replays = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="replayed_by"
    )

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["conversation_id", "id"], name="delivery_by_conversation"),
            models.Index(fields=["code", "id"], name="delivery_by_code", condition=~Q(code="")),
            models.Index(fields=["outcome", "id"], name="delivery_by_outcome"),
            models.Index(fields=["received_at"], name="delivery_by_time"),
        ]
        constraints = [
            models.CheckConstraint(
                name="delivery_code_exactly_when_refused",
                condition=(Q(outcome="refused") & ~Q(code=""))
                | Q(outcome__in=["applied", "duplicate"], code=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type or '?'} {self.code or self.outcome}"
