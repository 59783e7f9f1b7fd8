"""Conversations, with the columns of their rows in the inbox."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connections, models
from django.db.models import Q
from django.db.models.functions import Coalesce, Substr

from chat.database.digits import DIGITS, LastDigits
from chat.database.locks import lock_ids
from chat.database.statements import Lookup
from chat.models.deliveries import Delivery
from chat.models.lists import NEVER, ListedQuerySet
from chat.models.messages import Direction, Message, MessageQuerySet
from chat.text.graphemes import inwards

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

PREVIEW_LENGTH = 200
# Bytes of a refused body read for a page. A body has up to 4 MiB. Only the log shows larger ones.
MOST_OF_BODY = 64 * 1024
SHORT_ID = re.compile("[0-9a-f]{8}", re.I | re.A)


class ConversationQuerySet(ListedQuerySet):
    def find(self, id: UUID | None) -> Conversation | None:
        return self.filter(pk=id).first() if id else None

    def find_short(self, short_id: str) -> Conversation | None:
        """Return the only conversation with this short id, or None.

        Older versions took the first eight digits. If no short id matches, return the only conversation
        with an id that begins with these digits.
        """
        if not SHORT_ID.fullmatch(short_id):
            return None
        first, last = UUID(short_id.ljust(32, "0")), UUID(short_id.ljust(32, "f"))
        ending = self.alias(digits=LastDigits("pk")).filter(digits=short_id.lower())
        by_id = {each.pk: each for each in (*ending[:2], *self.filter(pk__range=(first, last))[:2])}
        exact = [each for each in by_id.values() if each.short_id == short_id.lower()]
        candidates = exact or list(by_id.values())
        return candidates[0] if len(candidates) == 1 else None

    def with_last_arrival(self) -> ConversationQuerySet:
        """Add `last_arrival` of the messages, in the statement for the row, so both are of one snapshot."""
        own = Message.objects.filter(conversation=models.OuterRef("pk")).order_by()
        last = own.values("conversation").annotate(last=models.Max("arrival")).values("last")
        rows: ConversationQuerySet = self.annotate(last_arrival=models.Subquery(last))
        return rows

    def with_refused_body(self) -> ConversationQuerySet:
        """Add `refused_body` of the customer's last text after closing, until somebody has dealt with it.

        Costs one probe of an index for each such row, in the statement for the rows. A body over
        MOST_OF_BODY is cut, so parsing it fails.
        """
        last = Delivery.objects.written_after_closing(models.OuterRef("pk")).reverse()
        start = Substr("body", 1, MOST_OF_BODY, output_field=models.BinaryField())
        body = models.Subquery(last.values(start=start)[:1])
        needs = Q(wrote_after_closing_at__isnull=False, dealt_with_at=None)
        rows: ConversationQuerySet = self.annotate(
            refused_body=models.Case(models.When(needs, then=body))
        )
        return rows

    def with_early_events(self) -> ConversationQuerySet:
        """Return the conversations with early events still to be applied."""
        return self.filter(early_since__isnull=False).order_by("pk")

    def locked(self, id: UUID) -> Conversation | None:
        """Lock a conversation until the transaction ends, and return it. Locks an unknown id too."""
        return self.all_locked([id]).get(id)

    def all_locked(self, ids: Collection[UUID]) -> dict[UUID, Conversation]:
        """Lock these conversations until the transaction ends, and return the existing ones by id.

        Unknown ids are locked too. Otherwise an early event and its NEW_CONVERSATION could run at
        the same time without seeing each other. On SQLite the write transaction is this lock.

        Every transaction locks in one order: unknown ids, then rows. Otherwise two batches with the
        same ids could wait for each other when one of the ids has just become known.
        """
        if len(ids) > 1:
            self._lock_unknown(ids)
            return find_and_lock.among(ids, using=self.db)
        known = find_and_lock.among(ids, using=self.db)
        if not known and lock_ids([*ids], of="conversation", using=self.db):
            known = find_and_lock.among(ids, using=self.db)
        return known

    def _lock_unknown(self, ids: Collection[UUID]) -> None:
        if connections[self.db].vendor == "postgresql":
            known = set(self.filter(pk__in=ids).values_list("pk", flat=True))
            unknown = [id for id in ids if id not in known]
            lock_ids(unknown, of="conversation", using=self.db)


class Conversation(models.Model):
    """A conversation under the sender's id, with the columns of its row in the inbox."""

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
    updated_at = models.DateTimeField(help_text="When it last changed here, by our clock.")
    message_count = models.PositiveIntegerField(default=0)
    received_count = models.PositiveIntegerField(
        default=0, help_text="How many of its messages are RECEIVED."
    )
    activity_at = models.DateTimeField(
        help_text="The last message's timestamp, or its arrival if that is earlier; or the opening. "
        "A message that was refused because it is closed counts too."
    )
    waiting_since = models.DateTimeField(
        null=True, help_text="The first RECEIVED after the last SENT; null when none, or closed."
    )
    last_message_at = models.DateTimeField(null=True)
    last_message_direction = models.CharField(max_length=8, choices=Direction, blank=True)
    last_message_preview = models.CharField(max_length=PREVIEW_LENGTH, blank=True)
    wrote_after_closing_at = models.DateTimeField(
        null=True,
        help_text="The timestamp of the customer's last message that was refused because it is "
        "closed, or its arrival if that is earlier.",
    )
    wrote_after_closing_count = models.PositiveIntegerField(
        default=0, help_text="How many texts of the customer were refused because it is closed."
    )
    dealt_with_at = models.DateTimeField(
        null=True,
        help_text="When somebody dealt with what the customer wrote after closing; null again when "
        "the customer writes again.",
    )
    erased_at = models.DateTimeField(
        null=True, help_text="When its text was erased: what is left keeps it from coming back."
    )
    early_since = models.DateTimeField(
        null=True,
        help_text="Set while its early events, which arrived since then, wait to be applied.",
    )
    waits_from = models.GeneratedField(
        expression=Coalesce("waiting_since", models.Value(NEVER)),
        output_field=models.DateTimeField(),
        db_persist=True,
        help_text="waiting_since as a key to sort by: far away when nobody waits.",
    )

    objects = ConversationQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["-activity_at", "-id"], name="conversation_inbox"),
            models.Index(fields=["updated_at", "id"], name="conversation_by_update"),
            models.Index(fields=["state", "-activity_at", "-id"], name="conversation_by_state"),
            models.Index(fields=["opened_at", "id"], name="conversation_by_opening"),
            models.Index(
                fields=["closed_at", "id"],
                name="conversation_by_closing",
                condition=Q(closed_at__isnull=False),
            ),
            models.Index(fields=["state", "opened_at", "id"], name="conversation_state_opening"),
            models.Index(fields=["waits_from", "-activity_at", "-id"], name="conversation_waiting"),
            models.Index(
                fields=["-wrote_after_closing_at", "-id"],
                name="conversation_wrote_after",
                condition=Q(wrote_after_closing_at__isnull=False, dealt_with_at__isnull=True),
            ),
            models.Index(
                fields=["opened_at", "id"],
                name="conversation_wrote_opening",
                condition=Q(wrote_after_closing_at__isnull=False, dealt_with_at__isnull=True),
            ),
            models.Index(
                fields=["-activity_at", "-id"],
                name="conversation_needs_reply",
                condition=Q(waiting_since__isnull=False),
            ),
            models.Index(
                fields=["opened_at", "id"],
                name="conversation_waits_opening",
                condition=Q(waiting_since__isnull=False),
            ),
            models.Index(LastDigits("id"), name="conversation_last_digits"),
            models.Index(
                fields=["id"],
                name="conversation_early_events",
                condition=Q(early_since__isnull=False),
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
            models.CheckConstraint(
                name="conversation_erased_is_closed_and_says_nothing",
                condition=Q(erased_at__isnull=True)
                | Q(state="CLOSED", last_message_preview="", wrote_after_closing_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def short_id(self) -> str:
        return short_id_of(self.id)

    @property
    def is_closed(self) -> bool:
        return self.state == self.State.CLOSED

    @property
    def was_opened(self) -> bool:
        """Whether an event opened the conversation. An erasure also creates one, as if opened then."""
        return self.opened_at != self.erased_at

    @property
    def is_erased(self) -> bool:
        return self.erased_at is not None

    @property
    def from_customer_count(self) -> int:
        """How often the customer wrote, refused texts included."""
        return self.received_count + self.wrote_after_closing_count

    @property
    def needs_dealing(self) -> bool:
        """Whether the customer wrote after closing, and nobody has dealt with the texts."""
        return self.wrote_after_closing_at is not None and self.dealt_with_at is None

    @property
    def has_early_events(self) -> bool:
        """Whether early events of the conversation wait to be applied. Later events wait behind them."""
        return self.early_since is not None

    @property
    def needs_reply(self) -> bool:
        """Whether the conversation is OPEN and its last message is RECEIVED."""
        return self.waiting_since is not None

    def ends_after(self, timestamp: datetime) -> bool:
        """Whether a message of this time lands above the last message."""
        return self.last_message_at is not None and timestamp < self.last_message_at

    def close(self, *, at: datetime) -> None:
        self.state = self.State.CLOSED
        self.closed_at = at
        self.waiting_since = None
        self.revision += 1

    def erase(self, *, at: datetime) -> None:
        """Close the conversation and clear its text. A second erasure keeps the first `erased_at`."""
        if not self.is_closed:
            self.close(at=at)
        self.erased_at = self.erased_at or at
        self.last_message_preview = ""
        self.wrote_after_closing_at = None
        self.wrote_after_closing_count = 0
        self.dealt_with_at = None
        self.early_since = None
        self.updated_at = at
        self.revision += 1

    def count_in(self, message: Message) -> None:
        """Update the inbox columns with a new message. A late one may need `read_waiting_since` too."""
        self.revision += 1
        self.message_count += 1
        self.received_count += message.direction == Direction.RECEIVED
        if not message.late:
            self._end_with(message)

    def count_in_after_closing(self, at: datetime) -> None:
        """Note a refused text of the customer: the row moves up, and needs dealing again."""
        self.wrote_after_closing_at = max(at, self.wrote_after_closing_at or at)
        self.wrote_after_closing_count += 1
        self.activity_at = max(at, self.activity_at)
        self.dealt_with_at = None

    def may_wait_otherwise(self, late: Message) -> bool:
        """Whether a late message can change `waiting_since`.

        None can while nobody waits, because the last message is then SENT.
        """
        if self.waiting_since is None:
            return False
        if late.direction == Direction.SENT:
            return late.timestamp >= self.waiting_since
        return late.timestamp < self.waiting_since

    def read_waiting_since(self, messages: MessageQuerySet) -> None:
        """Read `waiting_since` from the stored messages, because a late message is not the last."""
        thread = messages.filter(conversation=self.pk)
        self._wait_since(None if self.is_closed else thread.waiting_since())

    def _wait_since(self, at: datetime | None) -> None:
        """Note since when the customer waits. The last second of the last year is left to NEVER."""
        self.waiting_since = at and min(at, NEVER - timedelta(microseconds=1))

    def _end_with(self, message: Message) -> None:
        self.last_message_at = message.timestamp
        self.last_message_direction = message.direction
        self.last_message_preview = preview_of(message.content)
        self.activity_at = min(message.timestamp, message.received_at)
        if message.direction == Direction.SENT:
            self.waiting_since = None
        elif self.waiting_since is None:
            self._wait_since(message.timestamp)


# Only the columns that may change: writing others would touch their indexes for nothing.
CHANGED_BY_CLOSING = ("state", "closed_at", "waiting_since", "revision", "updated_at")
CHANGED_BY_WRITING_AFTER_CLOSING = (
    "wrote_after_closing_at",
    "wrote_after_closing_count",
    "activity_at",
    "dealt_with_at",
    "updated_at",
)
CHANGED_BY_A_MESSAGE = [
    field.name
    for field in Conversation._meta.concrete_fields
    if not field.generated
    and field.name
    not in ("id", "state", "opened_at", "closed_at", "erased_at", "dealt_with_at", "early_since")
    and "wrote_after_closing" not in field.name
]
find_and_lock = Lookup(Conversation.objects.select_for_update().order_by("pk"))


def short_id_of(id: UUID) -> str:
    """Return the eight digits on display for an id. They differ for ids of one minute.

    UUIDv7 begins with the time. Version 1 begins with its fastest part, and ends with the machine.
    """
    digits = str(id)
    return digits[:DIGITS] if id.version == 1 else digits[-DIGITS:]


def preview_of(content: str) -> str:
    """Return the beginning of a text on one line, cut between characters as readers see them."""
    line = " ".join(content[: 4 * PREVIEW_LENGTH].split())
    return line[: inwards(line, PREVIEW_LENGTH)]
