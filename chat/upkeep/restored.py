"""The checks and the steps of a restore on both engines."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from chat.models import Delivery, begin_generation
from chat.upkeep import backup, erasure, erasure_list

Progress = Callable[[int, int], None]


class RestoreFailed(Exception):
    """Nothing was restored. The message says why."""


class InUse(RestoreFailed):
    """A server or a command has the database open."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A sound backup: the rows of its tables (SQLite), and the number of missing migrations."""

    counts: backup.Counts
    migrations: int


@dataclass(frozen=True, slots=True)
class Restored:
    """`last_delivery` is the arrival of the newest delivery; `aside` are all replaced databases.

    Without `is_scrubbed` the next upkeep must remove the old text from PostgreSQL's files.
    """

    generation: str
    erased: list[UUID]
    last_delivery: datetime | None
    is_scrubbed: bool
    aside: tuple[Path, ...] = ()


def migrations_lacking(applied: set[tuple[str, str]]) -> int:
    """Return how many migrations are missing. Raises RestoreFailed if the code lacks one."""
    loader = MigrationLoader(None)
    if not any(app == "chat" for app, _ in applied):
        raise RestoreFailed("this is a database of another program")
    migrations = {key for key in applied if key[0] in loader.migrated_apps}
    if newer := sorted(migrations - loader.disk_migrations.keys()):
        names = ", ".join(f"{app}.{name}" for app, name in newer)
        raise RestoreFailed(f"this backup is of a newer version ({names}): update the code first")
    return len(loader.disk_migrations.keys() - migrations)


def renew(alias: str) -> Restored:
    """Migrate the restored database, begin a generation, and erase again.

    Sessions go, because somebody may have logged out since the backup.
    """
    call_command("migrate", database=alias, verbosity=0, interactive=False)
    generation = begin_generation(using=alias)
    Session.objects.using(alias).all().delete()
    last = Delivery.objects.using(alias).order_by("-id").values_list("received_at", flat=True)
    erased = list(erasure.erase_again(at=timezone.now(), using=alias))
    # All listed erasures, because the backup may be of the moment between an erasure and its scrub.
    listed = list(erasure_list.read())
    return Restored(generation, erased, last.first(), is_scrubbed=scrub(listed, alias))


def scrub(listed: list[UUID], alias: str) -> bool:
    try:
        for _ in erasure.scrub(*listed, using=alias) if listed else ():
            pass
    except erasure.StillRead:
        return False
    return True
