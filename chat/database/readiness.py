"""Whether this process can write to its database. Everything here only reads, and waits for no writer."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import NamedTuple

from django.conf import settings
from django.core.cache import cache
from django.db import Error, connection

from chat.database.migrated import wrong_schema
from chat.database.statements import execute
from realmate.postgresql.base import a_request
from realmate.sqlite import files
from realmate.sqlite.base import identity_of, opened_file

# One answer serves all probes of this time, so many probes cost no more than one.
SECONDS_KEPT = 0.5
# A probe waits for a hung server for a shorter time than an event does.
SECONDS_FOR_POSTGRESQL = 1
# A balancer sends no events to an unready process. After this time the process gets events again.
SECONDS_AFTER_A_FAILURE = 10

ANSWER, FAILURE = "readiness", "failed_write"


class Fault(NamedTuple):
    """One reason why this process is not ready."""

    part: str
    code: str
    detail: str


unreachable = partial(Fault, "database", "database_unreachable")
read_only = partial(Fault, "database", "database_read_only")

_one_at_a_time = Lock()
_failed = Event()


def faults() -> list[Fault]:
    """Return every reason why this process cannot write, as of half a second ago at most."""
    with _one_at_a_time:
        answer: list[Fault] | None = cache.get(ANSWER)
        if answer is None:
            answer = [*faults_of_the_database(), *faults_of_the_last_write()]
            cache.set(ANSWER, answer, SECONDS_KEPT)
    return answer


def note_write() -> None:
    """Note a successful write of this process."""
    if _failed.is_set():  # the cache costs ten times as much
        _failed.clear()
        cache.delete(FAILURE)


def note_failure() -> None:
    """Note a write of this process that failed in the database."""
    _failed.set()
    cache.set(FAILURE, True, SECONDS_AFTER_A_FAILURE)


def faults_of_the_last_write() -> Iterator[Fault]:
    if cache.get(FAILURE):
        yield Fault("writes", "write_failed", "The last write of this process failed just now.")


def faults_of_the_database() -> list[Fault]:
    judge: Callable[[], Iterator[Fault]]
    judge = faults_of_sqlite if connection.vendor == "sqlite" else faults_of_postgresql
    found = []
    try:
        with a_request(seconds=SECONDS_FOR_POSTGRESQL):
            for fault in judge():
                found.append(fault)  # noqa: PERF402 - faults found before an error count too
    except (Error, OSError):
        found.append(unreachable("The database does not answer."))
    return found


def faults_of_the_schema() -> Iterator[Fault]:
    if wrong := wrong_schema():
        yield Fault("migrations", "wrong_schema", f"{wrong[0].upper()}{wrong[1:]}.")


def faults_of_sqlite() -> Iterator[Fault]:
    """Look at the file first: a connection would create a missing file."""
    path = Path(connection.settings_dict["NAME"])
    if not connection.is_in_memory_db():  # type: ignore[attr-defined]
        current, opened = identity_of(path), opened_file.get(path)
        if current is None or (opened and opened != current):
            yield Fault(
                "database", "database_replaced", "The database file is gone, or another one."
            )
            forget_the_file(path)
            return
        yield from faults_of_the_disk(path)
    yield from faults_of_the_schema()


def forget_the_file(path: Path) -> None:
    """Let the next probe judge the new file at the path, because writes go there too."""
    opened_file.pop(path, None)
    if not connection.in_atomic_block:
        connection.close()


def faults_of_the_disk(path: Path) -> Iterator[Fault]:
    disk = os.statvfs(path.parent)
    if not (os.access(path.parent, os.W_OK) and files.are_writable(path)):
        yield read_only("The database's folder, or a file in it, cannot be written.")
    if disk.f_bavail * disk.f_frsize < settings.LEAST_FREE_BYTES:
        yield Fault("disk", "disk_full", "The disk of the database has almost no space left.")


def faults_of_postgresql() -> Iterator[Fault]:
    connection.wait_for_a_session(seconds=SECONDS_FOR_POSTGRESQL)  # type: ignore[attr-defined]
    row = execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'")
    is_standby, is_read_only = row or (False, False)
    if is_standby:
        yield Fault("database", "database_in_recovery", "The database is a standby, or recovers.")
    elif is_read_only:
        yield read_only("The database takes no writes.")
        leave_the_session()
        return
    yield from faults_of_the_schema()


def leave_the_session() -> None:
    """Close the session: it keeps its read-only setting to the end, so the next probe needs another."""
    if not connection.in_atomic_block:
        with suppress(Error):
            connection.connection.close()
            connection.close()
