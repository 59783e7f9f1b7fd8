"""The changes of conversations in a permanent order, and the generation of the database."""

from __future__ import annotations

import re
from contextlib import suppress
from secrets import token_hex
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models import Q
from django.utils import timezone

from chat.database import UNAVAILABLE
from chat.database.migrated import writing
from chat.database.statements import execute

# Rows placed by one transaction on PostgreSQL.
PLACED_AT_ONCE = 10_000
# Any number unused by other advisory locks of this database. Ids are locked by 64-bit hashes.
PLACING_LOCK = 0x706C6163


def place_field(using: str | None) -> str:
    return "id" if connections[using or DEFAULT_DB_ALIAS].vendor == "sqlite" else "position"


class ChangeQuerySet(models.QuerySet["Change"]):
    def placed(self) -> ChangeQuerySet:
        """Return the changes that have a place, in order. Places grow by one from row to row.

        A reader at one place has missed none before, because no change gets an earlier place later.
        """
        rows = self.filter(position__isnull=False) if self._field == "position" else self
        return rows.order_by(self._field)

    def between(self, start: int, stop: int | None = None) -> ChangeQuerySet:
        """Return the placed changes from the place `start` on, before the place `stop`, in order."""
        rows = self.placed().filter(**{f"{self._field}__gte": start})
        return rows if stop is None else rows.filter(**{f"{self._field}__lt": stop})

    @property
    def _field(self) -> str:
        """SQLite has one writer at a time, so ids are committed in their order, and are the places."""
        return place_field(self.db)

    def place(self) -> int:
        """Give places to the rows committed by now, in the order of their ids. Return how many got one.

        PostgreSQL only, where a row may be committed after rows with higher ids. The lock lets one
        transaction at a time hand out places, and is kept until its commit: so places become
        visible in order. Within a conversation the order of ids is the order of effect, because a
        transaction takes its ids while it holds the conversation's lock.
        """
        waiting = self.filter(position=None).order_by("id").values_list("pk")
        if self._field == "id" or not waiting.first():
            return 0
        with writing(using=self.db, durable=False):
            execute("SELECT pg_advisory_xact_lock(%s)", [PLACING_LOCK], using=self.db)
            # A separate statement: its snapshot must include the commit of the lock's last holder.
            [count] = execute(PLACE, [PLACED_AT_ONCE], using=self.db) or (0,)
            return int(count)

    def bounds(self) -> tuple[int, int]:
        """Return the first and the last place in use, or (1, 0) if nothing has happened yet."""
        # Not one aggregate of both: SQLite would read every row.
        places = self.placed().values_list(self._field, flat=True)
        first, last = places.first(), places.last()
        return (first, last) if first and last else (1, 0)


# MAX is right after any pruning too, because the newest change is never pruned.
PLACE = """
WITH placed AS (
    UPDATE chat_change SET position = ranked.position FROM (
        SELECT id,
            (SELECT COALESCE(MAX(position), 0) FROM chat_change)
                + ROW_NUMBER() OVER (ORDER BY id) AS position
        FROM (SELECT id FROM chat_change WHERE position IS NULL ORDER BY id LIMIT %s) AS waiting
    ) AS ranked
    WHERE chat_change.id = ranked.id
    RETURNING 1
) SELECT COUNT(*) FROM placed
"""


class Change(models.Model):
    """One change of a conversation, written in the same transaction as the change. Holds no text."""

    class Type(models.TextChoices):
        OPENED = "opened"
        MESSAGE = "message"
        CLOSED = "closed"
        WROTE_AFTER_CLOSING = "wrote_after_closing"
        DEALT_WITH = "dealt_with"
        ERASED = "erased"

    id = models.BigAutoField(primary_key=True)
    position = models.PositiveBigIntegerField(
        null=True, help_text="PostgreSQL: the place in the order of all changes, given afterwards."
    )
    type = models.CharField(max_length=19, choices=Type)
    conversation_id = models.UUIDField()
    message_id = models.UUIDField(null=True)
    at = models.DateTimeField(help_text="When it was stored here, by our clock.")

    objects = ChangeQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["position"],
                name="change_by_position",
                condition=Q(position__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type} {self.conversation_id}"

    @property
    def place(self) -> int | None:
        """The place in the order of all changes. None until `ChangeQuerySet.place` gives one."""
        place: int | None = getattr(self, place_field(self._state.db))
        return place


class Generation(models.Model):
    """A history of the database. A restore or a copy begins a new one, and voids older cursors.

    After a restore, places and revisions are given a second time, to other changes.
    """

    key = models.CharField(max_length=8, unique=True)
    began_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


def current_generation(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the key of the current generation. An empty table, as in tests, begins one."""
    row = execute(CURRENT, using=using)
    return str(row[0]) if row else begin_generation(using=using)


CURRENT = "SELECT key FROM chat_generation ORDER BY id DESC LIMIT 1"


def begin_generation(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """Begin a new generation, and return its key: eight hexadecimal digits."""
    made = Generation(key=token_hex(4), began_at=timezone.now())
    made.save(using=using, force_insert=True)
    return made.key


# Cursors

CURSOR = re.compile(r"([0-9a-f]{8})-(0|[1-9][0-9]{0,17})")


class Cursor(NamedTuple):
    """A place in the changes of one generation. Its text is `generation-place`."""

    generation: str
    place: int

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        match = CURSOR.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.generation}-{self.place}"


def place_new_changes() -> None:
    """Place the changes committed by now. If the database takes no writes, readers get the older changes."""
    with suppress(*UNAVAILABLE):
        while Change.objects.place():
            pass


def latest_cursor(*, using: str = DEFAULT_DB_ALIAS) -> Cursor:
    """Return the cursor of the newest change. Costs one statement unless changes need a place."""
    return latest_beside("NULL", using=using)[0]


def latest_beside(
    expression: str, *params: Any, using: str = DEFAULT_DB_ALIAS
) -> tuple[Cursor, Any]:
    """Return the cursor of the newest change, and the value of an SQL expression, as `latest_cursor`."""
    sql = f"{LATEST[connections[using].vendor]}, {expression}"
    generation, place, is_one_unplaced, value = execute(sql, params, using=using) or NOTHING
    if is_one_unplaced:
        place_new_changes()
        generation, place, _, value = execute(sql, params, using=using) or NOTHING
    return Cursor(generation or current_generation(using=using), place or 0), value


NOTHING = "", 0, False, None
LATEST = {
    "sqlite": f"SELECT ({CURRENT}), (SELECT MAX(id) FROM chat_change), 0",  # noqa: S608
    "postgresql": f"SELECT ({CURRENT}), (SELECT MAX(position) FROM chat_change), "  # noqa: S608
    "EXISTS (SELECT 1 FROM chat_change WHERE position IS NULL)",
}
