"""Rebuild all conversations from the log in a scratch database, and compare them with the stored ones."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import Coalesce, Length

from chat.database.batches import batches
from chat.events.bulk import ingest_many, tuned_for_loading
from chat.models import INVALID, Conversation, Delivery, Message
from chat.refusals import IdConflict
from chat.upkeep import copying

AT_ONCE = 200
OPENING = Delivery.Type.NEW_CONVERSATION
# `updated_at` is left out: 0.1.0 did not store it, and the upgrade can only estimate it.
COMPARED = [
    field.attname
    for field in Conversation._meta.concrete_fields
    if not field.generated and field.name != "updated_at"
]
# Without generated keys: messages are compared in their order of arrival.
COMPARED_OF_MESSAGES = ["id", "direction", "content", "timestamp", "received_at", "late"]

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference from the log. Names fields, and never quotes values, because values may be text."""

    conversation_id: UUID | None
    said: str


def last_delivery() -> int:
    """The highest number in the log. No delivery with a lower number is still being written."""
    with copying.nothing_written():
        return Delivery.objects.aggregate(last=Max("pk", default=0))["last"] or 0


@dataclass(slots=True)
class Check:
    """Compares the database with its log, up to the delivery `last`.

    `scratch` is the alias of an empty, migrated database. Call `feed()` first, then `differences()`.
    """

    last: int
    scratch: str
    equal: int = 0
    fed: int = 0
    # The conversations not checked, by reason.
    left_out: Counter[str] = field(default_factory=Counter)
    _left_out: set[UUID | None] = field(default_factory=set)
    _found: list[Difference] = field(default_factory=list)

    def how_many(self) -> int:
        return self._log.count()

    def feed(self) -> Iterator[int]:
        """Ingest every delivery once, in order, by the same rules. Yield the progress in the log."""
        self._find_unchecked()
        pending: deque[Any] = deque()

        def deliveries() -> Iterator[tuple[bytes, datetime]]:
            for row in self._rows():
                pending.append(row)
                yield bytes(row.body), row.delivered_at

        done = 0
        # Early events that were applied later have log rows of their own.
        with tuned_for_loading(using=self.scratch):
            for result in ingest_many(deliveries(), using=self.scratch, early_events=False):
                row = pending.popleft()
                then, now = row.code or row.outcome, result.code or result.outcome.value
                if then != now:
                    said = f"delivery {row.pk} was {then}, and is {now} by the log before it"
                    self._found.append(Difference(row.conversation_id, said))
                self.fed += 1
                yield row.pk - done
                done = row.pk

    def differences(self) -> Iterator[Difference | None]:
        """Yield a Difference or None for each conversation. Leaves out conversations changed meanwhile."""
        yield from self._settled(self._found)
        for ids in key_batches(Conversation.objects.all()):
            yield from self._compared([id for id in ids if id not in self._left_out])
        for ids in key_batches(conversations_in(self.scratch)):
            stored = set(Conversation.objects.filter(pk__in=ids).values_list("pk", flat=True))
            missing = [id for id in ids if id not in stored]
            yield from self._settled(
                [Difference(id, "is in the log, and not stored") for id in missing]
            )

    @property
    def _log(self) -> QuerySet[Delivery]:
        return Delivery.objects.filter(pk__lte=self.last)

    def _rows(self) -> Iterator[Any]:
        """Yield the deliveries to feed, with the arrival time of the original as `delivered_at`."""
        sizes = self._log.values_list("pk", Length("body"))
        rows = self._log.annotate(delivered_at=Coalesce("replays__received_at", "received_at"))
        for ids in key_batches(self._log):
            for batch in batches(sizes.filter(pk__in=ids).order_by("pk"), size_of=itemgetter(1)):
                found = rows.in_bulk([pk for pk, _ in batch])
                yield from self._to_feed([found[pk] for pk, _ in batch])

    def _to_feed(self, rows: list[Delivery]) -> Iterator[Delivery]:
        """Leave out invalid bodies (maybe truncated), erased ones, and conversations left out."""
        owners = owners_of({row.message_id for row in rows if row.code == IdConflict.code})
        for row in rows:
            about = {row.conversation_id, owners.get(row.message_id)}
            if row.code not in INVALID and row.body and not about & self._left_out:
                yield row

    def _find_unchecked(self) -> None:
        """Leave out conversations without a complete log, and report lost events.

        A log is complete if its applied events are as many as the revision of the conversation.
        """
        was_pruned = not self._log.filter(pk=1).exists()
        for ids in key_batches(Conversation.objects.all()):
            rows = Conversation.objects.filter(pk__in=ids)
            applied, changed = self._applied_to(ids), self._changed(ids)
            lost = []
            for id, revision, erased_at in rows.values_list("pk", "revision", "erased_at"):
                in_log = applied[id].total()
                if erased_at:
                    self._leave_out(id, "erased")
                elif in_log == revision:
                    continue
                elif id in changed:
                    self._leave_out(id, "changed meanwhile")
                elif was_pruned and not applied[id][OPENING]:
                    self._leave_out(id, "pruned")
                else:
                    self._left_out.add(id)
                    lost.append(Difference(id, f"took {revision} events, the log has {in_log}"))
            self._found += lost

    def _applied_to(self, ids: list[UUID]) -> dict[UUID | None, Counter[str | None]]:
        """Return the number of applied events by conversation and type.

        The count filters the outcome, not WHERE: there SQLite would read all rows of the outcome.
        """
        applied: dict[UUID | None, Counter[str | None]] = defaultdict(Counter)
        rows = self._log.filter(conversation_id__in=ids).values_list("conversation_id", "type")
        is_applied = Q(outcome=Delivery.Outcome.APPLIED)
        for id, type, count in rows.annotate(applied=Count("pk", filter=is_applied)):
            applied[id][type] = count
        return applied

    def _leave_out(self, id: UUID | None, why: str) -> None:
        self._left_out.add(id)
        self.left_out[why] += 1

    def _settled(self, found: list[Difference]) -> Iterator[Difference]:
        """Return the differences of conversations without newer deliveries."""
        changed = self._changed([difference.conversation_id for difference in found])
        for id in changed - self._left_out:
            self._leave_out(id, "changed meanwhile")
        return (each for each in found if each.conversation_id not in changed)

    def _changed(self, ids: Collection[UUID | None]) -> set[UUID | None]:
        since = Delivery.objects.filter(pk__gt=self.last, conversation_id__in=ids)
        return set(since.values_list("conversation_id", flat=True)) if ids else set()

    def _compared(self, ids: list[UUID]) -> Iterator[Difference | None]:
        stored, rebuilt = (
            Contents.of(ids, using=alias) for alias in (DEFAULT_DB_ALIAS, self.scratch)
        )
        found = [Difference(id, said) for id in ids if (said := stored.unlike(rebuilt, id))]
        yield from self._settled(found)
        equal = len(ids) - len(found)
        self.equal += equal
        yield from [None] * equal


@dataclass(frozen=True, slots=True)
class Contents:
    """Some conversations and their messages, as one database has them."""

    conversations: dict[UUID, Values]
    messages: dict[UUID, list[Values]]

    @classmethod
    def of(cls, ids: Collection[UUID], *, using: str) -> "Contents":
        rows = conversations_in(using).filter(pk__in=ids).values(*COMPARED)
        messages: dict[UUID, list[Values]] = defaultdict(list)
        thread = Message.objects.using(using).filter(conversation_id__in=ids).order_by("arrival")
        for values in thread.values("conversation_id", *COMPARED_OF_MESSAGES):
            messages[values["conversation_id"]].append(values)
        return cls({values["id"]: values for values in rows}, messages)

    def unlike(self, other: "Contents", id: UUID) -> str:
        """Return the names of differing fields of one conversation, or "" if nothing differs."""
        if id not in other.conversations:
            return "is stored, and not in the log"
        said = differing(self.conversations[id], other.conversations[id])
        messages, rebuilt = self.messages.get(id, []), other.messages.get(id, [])
        if len(messages) != len(rebuilt):
            said.append(f"{len(messages)} messages, and {len(rebuilt)} by the log")
        for message, copy in zip(messages, rebuilt, strict=False):
            said += [f"message {message['id']}: {name}" for name in differing(message, copy)]
        return ", ".join(said)


def owners_of(message_ids: Collection[UUID | None]) -> dict[UUID | None, UUID]:
    """Return the conversation of each message."""
    rows = Message.objects.filter(id__in=[id for id in message_ids if id])
    return dict(rows.values_list("id", "conversation_id"))


def differing(stored: Values, rebuilt: Values) -> list[str]:
    return [name for name, value in stored.items() if value != rebuilt[name]]


def conversations_in(database: str) -> QuerySet[Conversation]:
    return Conversation.objects.using(database)


def key_batches(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    """Yield all keys in order, some at a time, so that no read transaction stays open."""
    found = rows.order_by("pk").values_list("pk", flat=True)
    part = list(found[:AT_ONCE])
    while part:
        yield part
        part = list(found.filter(pk__gt=part[-1])[:AT_ONCE])
