"""The service's health in figures from the database, read rarely and within a second.

`/metrics`, `/ui/status/` and `manage.py doctor` show the same figures.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import Error, OperationalError, connection, models
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chat.database.statements import execute
from chat.database.time_limits import TooSlow, at_most
from chat.models import EARLY, Backup, Change, Conversation, Delivery, Filter, LoginAttempts, Sort
from realmate import __version__
from realmate.commits import commit
from realmate.postgresql.base import a_request
from realmate.sqlite.base import identity_of

ANSWER = "vitals"
SECONDS_KEPT = 15
MOST_SECONDS = 1
# Rows are counted up to here, so the time of a count has a bound.
COUNTED_TO = 100_000

Figures = dict[str, float]
Read = Callable[[datetime], float | None]
_one_at_a_time = Lock()


class Vital(NamedTuple):
    """One figure. `read` returns None if the engine has no such figure, or no row has it yet."""

    help: str
    read: Read


def vitals() -> Figures | None:
    """Return the figures, as of 15 seconds ago at most. None if the database does not give them in time."""
    with _one_at_a_time:
        figures = cache.get(ANSWER)
        if figures is None:
            figures = read_all(timezone.now()) or {}
            cache.set(ANSWER, figures, SECONDS_KEPT)
    return figures or None


def read_all(now: datetime) -> Figures | None:
    """Read every figure. PostgreSQL reads them in one transaction."""
    try:
        with a_request(seconds=MOST_SECONDS):
            be_there()
            with at_most(MOST_SECONDS):
                read = {name: vital.read(now) for name, vital in VITALS.items()}
    except (Error, OSError, TooSlow):
        return None
    return {name: value for name, value in read.items() if value is not None}


def be_there() -> None:
    """Raise OperationalError if there is no database. A connection would create a missing file."""
    if connection.vendor == "postgresql":
        connection.wait_for_a_session(seconds=MOST_SECONDS)  # type: ignore[attr-defined]
    elif not connection.is_in_memory_db() and identity_of(file()) is None:  # type: ignore[attr-defined]
        raise OperationalError("the database file is gone")


def file() -> Path:
    return Path(connection.settings_dict["NAME"])


def count(rows: models.QuerySet[Any]) -> int:
    """Count up to COUNTED_TO."""
    return rows.order_by()[:COUNTED_TO].count()


def age(at: datetime | None, now: datetime) -> float:
    return max(0, (now - at).total_seconds()) if at else 0


# Events


def last_event(now: datetime) -> float | None:
    applied = Delivery.objects.filter(outcome=Delivery.Outcome.APPLIED).order_by("-id")
    at = applied.values_list("received_at", flat=True).first()
    return at.timestamp() if at else None


def waiting_early_events(now: datetime) -> models.QuerySet[Delivery]:
    """Return the events waiting for their NEW_CONVERSATION, among the newest COUNTED_TO early events."""
    of_the_code = Delivery.objects.filter(code=EARLY, replays=None).exclude(code="")
    newest = of_the_code.order_by("-id").values("pk")[:COUNTED_TO]
    since = now - timedelta(hours=settings.EARLY_EVENTS_HOURS)
    settled = Delivery.objects.filter(replays=models.OuterRef("pk")).exclude(code=EARLY)
    return Delivery.objects.filter(~models.Exists(settled), pk__in=newest, received_at__gte=since)


def oldest_early_event(now: datetime) -> float:
    oldest = waiting_early_events(now).aggregate(at=models.Min("received_at"))
    return age(oldest["at"], now)


# Conversations and people


def open_conversations(now: datetime) -> float:
    return count(Conversation.objects.filtered(Filter.OPEN))


def waiting_conversations(now: datetime) -> float:
    return count(Conversation.objects.filtered(Filter.NEEDS_REPLY))


def longest_wait(now: datetime) -> float:
    waiting = Conversation.objects.filtered(Filter.NEEDS_REPLY, Sort.WAITING)
    return age(waiting.order_by("waits_from").values_list("waits_from", flat=True).first(), now)


def sessions(now: datetime) -> float:
    return count(Session.objects.filter(expire_date__gt=now))


def lockouts(now: datetime) -> float:
    return count(LoginAttempts.objects.locked_out(at=now))


# Upkeep


def overdue_deliveries(now: datetime) -> float:
    """Return for how many seconds the oldest delivery is overdue. Refused ones may be kept for longer."""
    kept = Delivery.objects.exclude(outcome=Delivery.Outcome.REFUSED).order_by("received_at")
    oldest = kept.values_list("received_at", flat=True).first()
    return beyond(oldest, days=settings.DELIVERY_RETENTION_DAYS, now=now)


def last_backup(now: datetime) -> float:
    """Return the Unix time of the last backup; 0 without a backup, so an alarm on its age rings."""
    at = Backup.objects.last_at()
    return at.timestamp() if at else 0


def overdue_changes(now: datetime) -> float:
    """Return for how many seconds the oldest change is overdue. The newest one is always kept, so never overdue."""
    first = Change.objects.order_by("id")[:2]
    oldest = first[0].at if len(first) > 1 else None
    return beyond(oldest, days=settings.CHANGE_RETENTION_DAYS, now=now)


def beyond(oldest: datetime | None, *, days: int, now: datetime) -> float:
    return max(0, age(oldest, now) - timedelta(days=days).total_seconds())


# Bytes


def database_bytes(now: datetime) -> float | None:
    return number(
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "SELECT pg_database_size(current_database())",
    )


def reusable_bytes(now: datetime) -> float | None:
    return number(
        "SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()"
    )


def number(on_sqlite: str, on_postgresql: str = "") -> float | None:
    """Return the number read by a statement, or None if this engine has no statement."""
    statement = on_sqlite if connection.vendor == "sqlite" else on_postgresql
    row = execute(statement) if statement else None
    return float(row[0]) if row else None


def wal_bytes(now: datetime) -> float | None:
    if connection.vendor == "sqlite":
        with suppress(FileNotFoundError):
            return Path(f"{file()}-wal").stat().st_size
        return 0
    return None


def disk_free_bytes(now: datetime) -> float | None:
    if connection.vendor != "sqlite":
        return None
    disk = os.statvfs(file().parent)
    return disk.f_bavail * disk.f_frsize


VITALS: dict[str, Vital] = {
    "last_event_timestamp_seconds": Vital("When the last applied event arrived.", last_event),
    "early_events_waiting": Vital(
        "Events that wait for their NEW_CONVERSATION.", lambda now: count(waiting_early_events(now))
    ),
    "early_events_oldest_seconds": Vital(
        "How long the oldest of them has waited.", oldest_early_event
    ),
    "conversations_open": Vital("Open conversations, 100,000 at most.", open_conversations),
    "conversations_waiting": Vital(
        "Conversations whose customer waits for a reply, 100,000 at most.", waiting_conversations
    ),
    "longest_wait_seconds": Vital("How long a customer has waited for a reply.", longest_wait),
    "sessions": Vital("Sessions of people that are not over.", sessions),
    "lockouts": Vital("Pairs of a name and an address that are locked out.", lockouts),
    "deliveries_overdue_seconds": Vital(
        "How far the oldest delivery is beyond DELIVERY_RETENTION_DAYS.", overdue_deliveries
    ),
    "changes_overdue_seconds": Vital(
        "How far the oldest change is beyond CHANGE_RETENTION_DAYS.", overdue_changes
    ),
    "last_backup_timestamp_seconds": Vital(
        "When the last verified backup ended; 0 if there was none.", last_backup
    ),
    "database_bytes": Vital("Size of the database.", database_bytes),
    "database_reusable_bytes": Vital(
        "SQLite: bytes of the file that new rows use again.", reusable_bytes
    ),
    "database_wal_bytes": Vital("SQLite: size of the WAL.", wal_bytes),
    "disk_free_bytes": Vital("SQLite: free bytes on the disk of the file.", disk_free_bytes),
}


class Gauges(Collector):
    """The figures as gauges. If the database fails, only `realmate_database_up 0`."""

    def collect(self) -> Iterator[Metric]:
        figures = vitals()
        up = 0 if figures is None else 1
        yield GaugeMetricFamily("realmate_database_up", "Whether the database answers.", up)
        for name, value in (figures or {}).items():
            yield GaugeMetricFamily(f"realmate_{name}", VITALS[name].help, value)
        build = GaugeMetricFamily(
            "realmate_build_info", "The version that runs.", labels=["version", "commit"]
        )
        build.add_metric([__version__, commit()], 1)
        yield build
