"""The log of deliveries, and its queries."""

from __future__ import annotations

import re
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import models
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Coalesce, Length, Substr
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from chat.database.batches import batches
from chat.database.locks import lock_ids
from chat.models.log import LogFilters, page_of_log, with_id
from chat.models.messages import Message
from chat.refusals import (
    ConversationNotFound,
    InvalidEvent,
    InvalidJSON,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from chat.database.keyset import Page

KEPT_OF_INVALID_BODY = 64 * 1024
SHOWN_OF_BODY = 64 * 1024
EARLY = ConversationNotFound.code
# Early events of one conversation applied by one transaction. The transaction must end long before
# the deadline of a request.
EARLY_AT_ONCE = 500
INVALID = (InvalidEvent.code, InvalidJSON.code)
# Reasons that may no longer hold at a replay: the conversation arrived, or the rules changed.
MAY_CHANGE = (EARLY, *INVALID)
WRITTEN_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
NUMBER = re.compile(r"[1-9][0-9]{0,17}")  # within any database's big integer


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def refused_for(self, conversation_id: UUID) -> DeliveryQuerySet:
        """Return refusals without a successful replay, newest first. Defers the bodies."""
        refused = self.filter(conversation_id=conversation_id, outcome=Delivery.Outcome.REFUSED)
        succeeded = Delivery.objects.filter(
            replays=models.OuterRef("pk"),
            outcome__in=[Delivery.Outcome.APPLIED, Delivery.Outcome.DUPLICATE],
        )
        refused = refused.filter(~models.Exists(succeeded))
        return refused.order_by("-id").defer("body")

    def written_after_closing(self, conversation_id: UUID | OuterRef) -> DeliveryQuerySet:
        """Return the first delivery of each text of the customer after closing, in order."""
        rows = self.filter(conversation_id=conversation_id, text_digest__isnull=False)
        return rows.order_by("id")

    def has_written_after_closing(
        self, conversation_id: UUID, message_id: UUID, text_digest: str
    ) -> bool:
        """Whether this text of the customer was already refused because its conversation is closed."""
        rows = self.filter(message_id=message_id, text_digest=text_digest)
        return rows.filter(conversation_id=conversation_id).exists()

    def as_they_happened(self) -> DeliveryQuerySet:
        """Order by timestamp; rows without a valid timestamp come last.

        At one instant the opening comes first, and the CLOSE last, because a CLOSE shuts messages out.
        """
        place = models.Case(
            models.When(type=Delivery.Type.NEW_CONVERSATION, then=0),
            models.When(type=Delivery.Type.NEW_MESSAGE, then=1),
            default=2,
        )
        return self.order_by(models.F("timestamp").asc(nulls_last=True), place, "id")

    def received_within(self, since: datetime | None, until: datetime | None) -> DeliveryQuerySet:
        """Return the deliveries from `since` up to, but not including, `until`."""
        rows = self.filter(received_at__gte=since) if since else self
        return rows.filter(received_at__lt=until) if until else rows

    def next_early(self, conversation_id: UUID, *, since: datetime) -> tuple[list[Delivery], bool]:
        """Return the early events to apply next, and whether more follow.

        The events are EARLY_AT_ONCE at most, and end at BYTES_A_BATCH. Message ids are locked first,
        because two conversations could deadlock if their early messages shared ids.
        """
        early = self._early_in_order(conversation_id, since=since, most=EARLY_AT_ONCE + 1)
        first = next(batches(early, size_of=itemgetter(2), most=EARLY_AT_ONCE), [])
        message_ids = [message_id for __, message_id, __ in first if message_id]
        lock_ids(message_ids, of="message", using=self.db)
        deliveries = self.in_bulk([pk for pk, __, __ in first])
        return [deliveries[pk] for pk, __, __ in first], len(early) > len(first)

    def _early_in_order(self, conversation_id: UUID, *, since: datetime, most: int) -> list[Any]:
        """Return the number, message id and size of the first waiting early events.

        Events from before the opening come in the order of their timestamps. Events from after the
        opening follow in the order of their arrival, as if none had waited.
        """
        settled = Delivery.objects.using(self.db).filter(replays=OuterRef("pk"))
        # Refused replays are left out, because their originals are in.
        early = self.filter(
            ~Exists(settled.exclude(code=EARLY)),
            conversation_id=conversation_id,
            code=EARLY,
            received_at__gte=since,
            replays=None,
        )
        columns = "pk", "message_id", Length("body")
        opened = self.opening_of(conversation_id)
        if opened is None:  # pruned
            return list(early.as_they_happened().values_list(*columns)[:most])
        before = early.filter(pk__lt=opened).as_they_happened().values_list(*columns)
        older = list(before[:most])
        later = early.filter(pk__gt=opened).order_by("id").values_list(*columns)
        return [*older, *later[: most - len(older)]] if len(older) < most else older

    def opening_of(self, conversation_id: UUID) -> int | None:
        """Return the number of the delivery that opened a conversation. None if pruned."""
        # Hide the outcome: SQLite has no statistics, and would read all rows of one outcome.
        return (
            self.filter(conversation_id=conversation_id, type=Delivery.Type.NEW_CONVERSATION)
            .filter(Exact(Coalesce("outcome", Value("")), Delivery.Outcome.APPLIED))
            .order_by("id")
            .values_list("pk", flat=True)
            .first()
        )

    def numbered(self, number: str) -> Delivery | None:
        """Return the delivery with this number of an address. Defers the body; adds `body_size`."""
        if not NUMBER.fullmatch(number):
            return None
        return self.filter(pk=number).annotate(body_size=Length("body")).defer("body").first()

    def for_list(self) -> DeliveryQuerySet:
        """Defer the bodies, of up to 4 MiB each, and prefetch the numbers of the replays."""
        replays = Delivery.objects.order_by("id").only("id", "replays_id")
        return self.defer("body").prefetch_related(models.Prefetch("replayed_by", replays))

    def page(self, filters: LogFilters, *, size: int, cursor: str = "") -> Page[Delivery]:
        """Return a page of the log without the bodies, as `page_of_log` does. Raises BadCursor."""
        return page_of_log(self.for_list(), filters, size=size, cursor=cursor)

    def with_any_id(self, *ids: str) -> DeliveryQuerySet:
        """Return the deliveries of the request, webhook, message or conversation with this id.

        Each of the ids is a spelling of the same one. Reads one index.
        """
        return with_id(self, ids)

    def about(self, conversation_id: UUID) -> DeliveryQuerySet:
        """Return all deliveries that may hold text of the conversation."""
        unreadable = self.unreadable_about([conversation_id])
        return (self.naming(conversation_id) | self.filter(pk__in=unreadable)).order_by("id")

    def naming(self, conversation_id: UUID) -> DeliveryQuerySet:
        """Return deliveries with its id, and refusals with the id of one of its messages."""
        messages = Message.objects.using(self.db).filter(conversation=conversation_id).values("id")
        return self.filter(
            Q(conversation_id=conversation_id)
            | Q(outcome=Delivery.Outcome.REFUSED, message_id__in=messages)
        )

    def unreadable_about(self, conversation_ids: Collection[UUID]) -> list[int]:
        """Return the keys of unreadable bodies with the id of a conversation or of its messages.

        Searches all unreadable bodies.
        """
        in_them = Message.objects.using(self.db).filter(conversation__in=conversation_ids)
        messages = in_them.values_list("id", flat=True)
        ids = {*conversation_ids, *messages}
        unreadable = self.filter(code__in=INVALID, conversation_id=None).exclude(code="")
        bodies = unreadable.values_list("pk", "body").iterator(chunk_size=100)
        return [pk for pk, body in bodies if not ids.isdisjoint(ids_in(bytes(body)))]

    def worth_applying_again(self, codes: Collection[str] = MAY_CHANGE) -> DeliveryQuerySet:
        """Return refusals that may succeed now: kept whole, not erased, not settled by a replay.

        Callers with codes of their own decide for themselves. Replays are excluded: the original is
        retried, with its original arrival time.
        """
        settled = Delivery.objects.filter(replays=OuterRef("pk")).exclude(code__in=MAY_CHANGE)
        cannot_help = Q(body_size=0) | Q(code__in=INVALID, body_size__gte=KEPT_OF_INVALID_BODY)
        refused = self.filter(code__in=codes, replays=None).alias(body_size=Length("body"))
        return refused.exclude(cannot_help).exclude(Exists(settled))


def ids_in(body: bytes) -> set[UUID]:
    """Return every id in an unreadable body."""
    return {UUID(written.decode()) for written in WRITTEN_ID.findall(body)}


class Delivery(models.Model):
    """One request with a body, and its outcome. The only copy of a refused event."""

    class Type(models.TextChoices):
        NEW_CONVERSATION = "NEW_CONVERSATION", _("New Conversation")
        NEW_MESSAGE = "NEW_MESSAGE", _("New Message")
        CLOSE_CONVERSATION = "CLOSE_CONVERSATION", _("Close Conversation")

    class Outcome(models.TextChoices):
        APPLIED = "applied", _("Applied")
        DUPLICATE = "duplicate", _("Duplicate")
        REFUSED = "refused", _("Refused")

    id = models.BigAutoField(primary_key=True)
    received_at = models.DateTimeField(help_text="When the body was read, or replayed.")
    type = models.CharField(  # noqa: DJ001 - null: an unknown type
        max_length=18, choices=Type, null=True
    )
    conversation_id = models.UUIDField(null=True)
    message_id = models.UUIDField(null=True)
    timestamp = models.DateTimeField(null=True, help_text="The event's own; null when not valid.")
    body = models.BinaryField(
        help_text="As received; the first 64 KiB of an invalid one; nothing of what was erased."
    )
    outcome = models.CharField(max_length=9, choices=Outcome)
    code = models.CharField(max_length=40, blank=True, help_text="Why it was refused.")
    request_id = models.UUIDField()
    caller_request_id = models.CharField(  # noqa: DJ001 - null: most senders have none
        max_length=64, null=True, help_text="The sender's own X-Request-Id."
    )
    webhook_id = models.CharField(max_length=255, blank=True)
    text_digest = models.CharField(  # noqa: DJ001 - null: nearly every row, outside the indexes
        max_length=32,
        null=True,
        help_text="Digest of a text that the customer wrote after closing, on its first delivery.",
    )
    replays = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="replayed_by"
    )

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["conversation_id", "id"], name="delivery_by_conversation"),
            # Each thread lists its refusals, and may have thousands of other deliveries.
            models.Index(
                fields=["conversation_id", "id"],
                name="delivery_refused",
                condition=Q(outcome="refused"),
            ),
            # An erasure looks for refusals by the ids of the conversation's messages.
            models.Index(
                fields=["message_id", "id"],
                name="delivery_refused_message",
                condition=Q(outcome="refused"),
            ),
            models.Index(
                fields=["conversation_id", "id"],
                name="delivery_after_closing",
                condition=Q(text_digest__isnull=False),
            ),
            # A redelivery of a refused text is no news, so it is looked up here.
            models.Index(
                fields=["message_id", "text_digest"],
                name="delivery_refused_text",
                condition=Q(text_digest__isnull=False),
            ),
            models.Index(fields=["code", "id"], name="delivery_by_code", condition=~Q(code="")),
            models.Index(fields=["outcome", "id"], name="delivery_by_outcome"),
            models.Index(fields=["received_at", "id"], name="delivery_by_arrival"),
            # One event is traced by its ids. A replay has the id of the request that caused the replay.
            models.Index(fields=["request_id", "id"], name="delivery_by_request"),
            models.Index(
                fields=["caller_request_id", "id"],
                name="delivery_by_caller",
                condition=Q(caller_request_id__isnull=False),
            ),
            models.Index(
                fields=["webhook_id", "id"],
                name="delivery_by_webhook",
                condition=~Q(webhook_id=""),
            ),
            models.Index(
                fields=["message_id", "id"],
                name="delivery_by_message",
                condition=Q(message_id__isnull=False),
            ),
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

    @property
    def is_refused(self) -> bool:
        return self.outcome == self.Outcome.REFUSED

    @property
    def is_worth_applying_again(self) -> bool:
        return Delivery.objects.worth_applying_again().filter(pk=self.pk).exists()

    def body_start(self) -> bytes:
        """Read only the beginning of the body, for a page."""
        start = Substr("body", 1, SHOWN_OF_BODY, output_field=models.BinaryField())
        body = Delivery.objects.filter(pk=self.pk).values_list(start, flat=True).first()
        return bytes(body or b"")
