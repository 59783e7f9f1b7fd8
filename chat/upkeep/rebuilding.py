"""Rebuild all conversations from the log in a scratch database, and compare them with the stored ones."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce, Length
from django.db.models.lookups import Exact

from chat.database.batches import KEYS_A_BATCH, batches, key_batches
from chat.events.bulk import ingest_envelopes, tuned_for_loading
from chat.events.ingest import Envelope, Result
from chat.models import (
    EARLY,
    INVALID,
    Change,
    Conversation,
    Dealing,
    Delivery,
    Message,
)
from chat.refusals import ConversationClosed, IdConflict
from chat.upkeep import copying
from chat.upkeep.comparing import DISORDER, Contents, changes_of, conversations_in, unlike_changes
from chat.upkeep.reindexing import unsearchable

# The fields changed by a customer's text after closing, besides `activity_at`.
WROTE_FIELDS = {"wrote_after_closing_at", "wrote_after_closing_count", "updated_at"}
# The size of a change in memory, so a batch has some 50,000 changes.
BYTES_A_CHANGE = 300


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference from the log. Names fields, and never quotes values, because values may be text."""

    conversation_id: UUID | None
    detail: str


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
    # The time of the oldest change. Before this time 0.1.0 stored no `updated_at`, and an upgrade estimates it.
    changes_since: datetime | None = None
    # The conversations not checked, by reason.
    left_out: Counter[str] = field(default_factory=Counter)
    _left_out: set[UUID | None] = field(default_factory=set)
    # Conversations without a complete log of the texts after closing.
    _untold: set[UUID | None] = field(default_factory=set)
    _differences: list[Difference] = field(default_factory=list)

    def how_many(self) -> int:
        return self._log.count()

    def feed(self) -> Iterator[int]:
        """Ingest every delivery once, in order, by the same rules. Yield the progress in the log."""
        self.changes_since = Change.objects.order_by("id").values_list("at", flat=True).first()
        self._find_unchecked()
        pending: deque[Any] = deque()

        def envelopes() -> Iterator[Envelope]:
            for row in self._rows():
                pending.append(row)
                yield envelope_of(row)

        done = 0
        # Early events applied later have their own log rows.
        with tuned_for_loading(using=self.scratch):
            for result in ingest_envelopes(envelopes(), using=self.scratch, early_events=False):
                row = pending.popleft()
                self._compare_outcomes(row, result)
                self.fed += 1
                yield row.pk - done
                done = row.pk

    def _compare_outcomes(self, row: Delivery, result: Result) -> None:
        then, now = row.code or row.outcome, result.code or result.outcome.value
        if then == now:
            return
        if now == IdConflict.code and has_lost_a_race(row):
            if then == ConversationClosed.code:
                self._untold.add(row.conversation_id)
            return
        detail = f"delivery {row.pk} was {then}, and is {now} by the log before it"
        self._differences.append(Difference(row.conversation_id, detail))

    def differences(self) -> Iterator[Difference | None]:
        """Yield a Difference or None for each conversation. Leaves out conversations changed meanwhile."""
        yield from self._settled(self._differences)
        for ids in key_batches(Conversation.objects.all()):
            yield from not_in_the_search_index(ids)
        for ids in self._by_number_of_changes():
            yield from self._compared(ids)
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
                deliveries = rows.in_bulk([pk for pk, _ in batch])
                yield from self._to_feed([deliveries[pk] for pk, _ in batch if pk in deliveries])

    def _to_feed(self, rows: list[Delivery]) -> Iterator[Delivery]:
        """Leave out invalid bodies (maybe truncated), erased ones, and conversations left out.

        Events that waited behind early events have their own rows too if applied. The body of a
        refusal is erased too if its message was stored in another conversation later.
        """
        owners = owners_of({row.message_id for row in rows if row.code == IdConflict.code})
        waited = waited_behind_early_events([row for row in rows if row.code == EARLY])
        for row in rows:
            if row.code == ConversationClosed.code and not row.body:
                self._untold.add(row.conversation_id)
            about = {row.conversation_id}
            if row.code == IdConflict.code:
                about.add(owners.get(row.message_id))
            if row.code in INVALID or row.pk in waited:
                continue
            if row.body and not about & self._left_out:
                yield row

    def _find_unchecked(self) -> None:
        """Leave out conversations without a complete log, and report lost events.

        A log is complete if its applied events are as many as the revision of the conversation.
        """
        pruned = Pruned.of(self._log)
        for ids in key_batches(Conversation.objects.all()):
            self._differences += self._not_emptied(ids)
            rows = Conversation.objects.filter(pk__in=ids)
            applied, changed = self._applied_to(ids), self._changed(ids)
            opened = self._openings_of(ids)
            lost = []
            for id, revision, erased_at in rows.values_list("pk", "revision", "erased_at"):
                in_log = applied[id]
                may_be_pruned = pruned.may_lack(id, opened.get(id))
                if erased_at:
                    self._leave_out(id, "erased")
                elif in_log == revision:
                    if may_be_pruned:  # maybe of a refusal
                        self._untold.add(id)
                elif id in changed:
                    self._leave_out(id, "changed meanwhile")
                elif may_be_pruned and in_log < revision:
                    self._leave_out(id, "pruned")
                else:
                    self._left_out.add(id)
                    lost.append(Difference(id, f"took {revision} events, the log has {in_log}"))
            self._differences += lost

    def _not_emptied(self, ids: list[UUID]) -> list[Difference]:
        """Return a difference for each erased conversation with a body in the log."""
        erased = Conversation.objects.filter(pk__in=ids, erased_at__isnull=False)
        log = self._log.filter(conversation_id__in=list(erased.values_list("pk", flat=True)))
        kept = log.alias(size=Length("body")).filter(size__gt=0).order_by()
        ids_with_bodies = kept.values_list("conversation_id", flat=True).distinct()
        return [
            Difference(id, "is erased, and the log has bodies about it") for id in ids_with_bodies
        ]

    def _applied_to(self, ids: list[UUID]) -> Counter[UUID | None]:
        """Return the number of applied events by conversation.

        The count filters the outcome, not WHERE: there SQLite would read all rows of the outcome.
        """
        rows = self._log.filter(conversation_id__in=ids).values_list("conversation_id")
        is_applied = Q(outcome=Delivery.Outcome.APPLIED)
        return Counter(dict(rows.annotate(applied=Count("pk", filter=is_applied))))

    def _openings_of(self, ids: list[UUID]) -> dict[UUID | None, datetime]:
        """Return the opening times of these conversations by the log."""
        openings = openings_in(self._log.filter(conversation_id__in=ids))
        return dict(openings.values_list("conversation_id", "received_at"))

    def _leave_out(self, id: UUID | None, why: str) -> None:
        self._left_out.add(id)
        self.left_out[why] += 1

    def _settled(self, differences: list[Difference]) -> Iterator[Difference]:
        """Return the differences of conversations without newer deliveries, and not erased meanwhile."""
        about = [difference.conversation_id for difference in differences]
        changed = self._changed(about) | self._erased_meanwhile(about)
        for id in changed - self._left_out:
            self._leave_out(id, "changed meanwhile")
        return (each for each in differences if each.conversation_id not in changed)

    def _erased_meanwhile(self, ids: list[UUID | None]) -> set[UUID | None]:
        erased = Conversation.objects.filter(pk__in=[id for id in ids if id]).exclude(
            erased_at=None
        )
        return {id for id in erased.values_list("pk", flat=True) if id not in self._left_out}

    def _changed(self, ids: Collection[UUID | None]) -> set[UUID | None]:
        since = Delivery.objects.filter(pk__gt=self.last, conversation_id__in=ids)
        return set(since.values_list("conversation_id", flat=True)) if ids else set()

    def _by_number_of_changes(self) -> Iterator[list[UUID]]:
        """Yield the conversations to compare, in order, few enough to read all their changes at once."""
        revisions = Conversation.objects.values_list("pk", "revision")
        to_compare = (
            row
            for ids in key_batches(Conversation.objects.all())
            for row in revisions.filter(pk__in=set(ids) - self._left_out).order_by("pk")
        )
        for batch in batches(to_compare, lambda row: row[1] * BYTES_A_CHANGE, most=20_000):
            yield [id for id, _ in batch]

    def _compared(self, ids: list[UUID]) -> Iterator[Difference | None]:
        changes = self._unlike_changes(ids)
        for some in (
            ids[place : place + KEYS_A_BATCH] for place in range(0, len(ids), KEYS_A_BATCH)
        ):
            stored, rebuilt = (
                Contents.of(some, using=alias) for alias in (DEFAULT_DB_ALIAS, self.scratch)
            )
            untold = self._untold_fields(stored, rebuilt)
            details = {
                id: stored.unlike(rebuilt, id, apart_from=untold[id]) or changes[id] for id in some
            }
            differences = [Difference(id, detail) for id, detail in details.items() if detail]
            yield from self._settled(differences)
            equal = len(some) - len(differences)
            self.equal += equal
            yield from [None] * equal

    def _unlike_changes(self, ids: list[UUID]) -> dict[UUID, str]:
        """Return for each conversation the difference between its changes and those by the log, or ""."""
        stored, rebuilt = (
            changes_of(ids, apart_from=self._untold, using=alias)
            for alias in (DEFAULT_DB_ALIAS, self.scratch)
        )
        return {id: unlike_changes(stored[id], rebuilt[id], self.changes_since) for id in ids}

    def _untold_fields(self, stored: "Contents", rebuilt: "Contents") -> dict[UUID, set[str]]:
        """Return for each conversation the fields unknown from the log."""
        ids = list(stored.conversations)
        dealt = set(
            Dealing.objects.filter(conversation__in=ids).values_list("conversation_id", flat=True)
        )
        untold: dict[UUID, set[str]] = {id: set() for id in ids}
        for id, fields in untold.items():
            if id in self._untold:
                fields |= WROTE_FIELDS | ({"activity_at"} if stored.has_written(id) else set())
            elif id in dealt or not rebuilt.has_changed_since(id, self.changes_since):
                fields.add("updated_at")
        return untold


@dataclass(frozen=True, slots=True)
class Pruned:
    """The part of the log possibly lost to a prune.

    A prune keeps no row from before its day, except early events, texts after closing, and originals
    of kept replays. So the oldest other row shows how far the last prune can have gone.
    """

    until: datetime | None
    lost: set[UUID]

    @classmethod
    def of(cls, log: QuerySet[Delivery]) -> "Pruned":
        oldest = ordinary(log).order_by("received_at").first()
        if oldest is None:
            return cls(datetime.max.replace(tzinfo=UTC), set())
        if log.filter(pk__lte=oldest.pk).count() == oldest.pk:  # every row from the first one on
            return cls(None, set())
        until = oldest.received_at + DISORDER
        return cls(until, set(opened_and_not_in(log, since=until)))

    def may_lack(self, id: UUID, opened: datetime | None) -> bool:
        """Whether a prune may have deleted deliveries of a conversation opened at `opened`.

        `opened` is None if the log lacks the opening.
        """
        if self.until is None:
            return False
        return id not in self.lost if opened is None else opened < self.until


def ordinary(log: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Return the deliveries that only their age protects from a prune."""
    replays = Delivery.objects.filter(replays=OuterRef("pk"))
    log = log.exclude(code=EARLY).exclude(text_digest__isnull=False)
    return log.exclude(Exists(replays)).defer("body")


def openings_in(log: QuerySet[Delivery]) -> QuerySet[Delivery]:
    applied = Exact(Coalesce("outcome", Value("")), "applied")
    return log.filter(type=Delivery.Type.NEW_CONVERSATION).filter(applied)


def opened_and_not_in(log: QuerySet[Delivery], *, since: datetime) -> Iterator[UUID]:
    """Yield the conversations with an opening since then among the changes, but not in the log."""
    for keys in key_batches(Change.objects.filter(type=Change.Type.OPENED, at__gte=since)):
        opened = set(Change.objects.filter(pk__in=keys).values_list("conversation_id", flat=True))
        logged = openings_in(log.filter(conversation_id__in=opened))
        yield from opened.difference(logged.values_list("conversation_id", flat=True))


def not_in_the_search_index(ids: list[UUID]) -> Iterator[Difference]:
    """Yield a difference for each conversation with messages missing from the search index."""
    missing: dict[UUID, list[str]] = defaultdict(list)
    messages = unsearchable(Message.objects.filter(conversation_id__in=ids)).order_by("arrival")
    for conversation_id, id in messages.values_list("conversation_id", "id"):
        missing[conversation_id].append(f"message {id}: not in the search index")
    return (Difference(id, ", ".join(details)) for id, details in missing.items())


def envelope_of(row: Any) -> Envelope:
    return Envelope(
        body=bytes(row.body),
        received_at=row.received_at,
        request_id=row.request_id,
        original_received_at=row.delivered_at,
    )


def has_lost_a_race(row: Delivery) -> bool:
    """Whether this refusal may have been decided before another conversation stored the message.

    PostgreSQL may number deliveries of two conversations in another order than that of their effect.
    """
    if row.code not in (EARLY, ConversationClosed.code):
        return False
    owner = owners_of([row.message_id]).get(row.message_id)
    return owner is not None and owner != row.conversation_id


def waited_behind_early_events(early: list[Delivery]) -> set[int]:
    """Return the refusals from after the opening, applied later or still waiting."""
    if not early:
        return set()
    ids = {row.conversation_id for row in early if row.conversation_id}
    openings = openings_in(Delivery.objects.filter(conversation_id__in=ids))
    opened = dict(openings.values_list("conversation_id", "pk"))
    late = [row for row in early if row.pk > opened.get(row.conversation_id, row.pk)]
    replays = Delivery.objects.filter(replays__in=[row.pk for row in late]).exclude(code=EARLY)
    settled = set(replays.values_list("replays", flat=True))
    waiting = set(Conversation.objects.with_early_events().filter(pk__in=ids).values_list("pk"))
    return {row.pk for row in late if row.pk in settled or (row.conversation_id,) in waiting}


def owners_of(message_ids: Collection[UUID | None]) -> dict[UUID | None, UUID]:
    """Return the conversation of each message."""
    rows = Message.objects.filter(id__in=[id for id in message_ids if id])
    return dict(rows.values_list("id", "conversation_id"))
