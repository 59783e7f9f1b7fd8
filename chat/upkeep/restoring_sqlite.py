"""Restoring on SQLite: a copy beside the database, and one rename."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from glob import escape
from pathlib import Path
from stat import S_IMODE
from time import monotonic

from django.conf import settings
from django.db import connection, connections
from django.utils import timezone

from chat.upkeep import backup, copying
from chat.upkeep.restored import (
    Checked,
    InUse,
    Progress,
    Restored,
    RestoreFailed,
    migrations_lacking,
    renew,
)
from realmate.sqlite.base import identity_of, queue_for

# SQLite's files beside the database file. SQLite would play another file's WAL or journal into the
# database.
BESIDE = ("-wal", "-shm", "-journal")
SECONDS_FOR_THE_LAST_WRITER = 5
# Where SQLite's readers lock the database file (SHARED_FIRST and SHARED_SIZE of os.h).
FIRST_SHARED_BYTE, SHARED_BYTES = 0x40000002, 510


def check_file(file: Path) -> Checked:
    try:
        with closing(opened(file)) as database:
            [first, *_] = database.execute("PRAGMA integrity_check(1)").fetchone()
            if first != "ok":
                raise RestoreFailed(f"{file} is damaged: {first}")
            applied = database.execute("SELECT app, name FROM django_migrations").fetchall()
            return Checked(backup.counted(database), migrations_lacking(set(applied)))
    except sqlite3.Error as error:
        raise RestoreFailed(f"{file} is no backup of Realmate: {error}") from error


def opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def replace_the_file(file: Path, *, on_progress: Progress) -> Restored:
    """Replace the database's file by a copy of the backup, and keep the replaced file aside.

    An interruption leaves the old database in place, or the new one, or a WAL without a
    database. realmate.sqlite refuses to open a database there. Another run begins from the start.
    """
    database = database_path()
    if database.exists() and file.samefile(database):
        raise RestoreFailed("this file is the database itself")
    connections.close_all()
    with nobody_else(database), copy_beside(database) as copied:
        copy(file, copied, on_progress=on_progress)
        with copying.attached(settings.SQLITE | {"NAME": str(copied)}) as alias:
            restored = renew(alias)
        make_one_file(copied)
        own_as_before(copied, database)
        backup.sync(copied)
        refuse_others(database)  # again, because all this may take minutes
        put_in_place(copied, database)
        return replace(restored, aside=replaced_before(database))


def database_path() -> Path:
    return Path(connection.settings_dict["NAME"]).resolve()


def lock_path() -> Path:
    """Return the file of the writers' queue. Its name follows no symbolic link."""
    return Path(f"{connection.settings_dict['NAME']}-writer")


# Other users of the database


@contextmanager
def nobody_else(database: Path) -> Iterator[None]:
    """Hold the writers' queue, unless somebody has the database open. Raises InUse."""
    refuse_others(database)
    queue = queue_for(Path(connection.settings_dict["NAME"]))
    if not queue.enter(until=monotonic() + SECONDS_FOR_THE_LAST_WRITER):
        raise InUse("another process writes to the database: stop the server first")
    try:
        yield
    finally:
        queue.leave()


def refuse_others(database: Path) -> None:
    if processes := processes_with(database):
        ids = ", ".join(map(str, processes))
        raise InUse(f"the database is open in process {ids}: stop the server first")
    if database.exists() and is_locked(database):
        raise InUse("the database is open elsewhere: stop the server first")


def is_locked(database: Path) -> bool:
    """Whether a process, even in another container, holds SQLite's lock of an open database in WAL mode.

    Does not ask SQLite, because SQLite would play a WAL into a possibly damaged database.
    """
    with database.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_BYTES, FIRST_SHARED_BYTE)
        except BlockingIOError:
            return True
    return False


def processes_with(database: Path) -> list[int]:
    """Return the ids of other processes with one of the database's files open.

    Linux only, and only processes visible to the user.
    """
    paths = [lock_path(), database, *(named(database, suffix) for suffix in BESIDE)]
    files = {identity_of(path) for path in paths} - {None}
    ids = [
        int(pid.name)
        for pid in Path("/proc").glob("[0-9]*")
        if int(pid.name) != os.getpid() and files & set(open_files_of(pid))
    ]
    return sorted(ids)


def open_files_of(pid: Path) -> Iterator[tuple[int, int] | None]:
    with suppress(OSError):  # the process has ended, or is another user's
        for descriptor in (pid / "fd").iterdir():
            with suppress(OSError):
                yield identity_of(descriptor)


# The copy


@contextmanager
def copy_beside(database: Path) -> Iterator[Path]:
    """Yield a private file beside the database, and delete it at the end.

    First delete the file of an interrupted run, if any.
    """
    path = database.with_name(f".{database.name}.restoring")
    remove(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    for suffix in ("", "-writer", *BESIDE):
        named(path, suffix).unlink(missing_ok=True)


def named(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def copy(file: Path, copied: Path, *, on_progress: Progress) -> None:
    """Copy with SQLite, because the backup may have a WAL of its own, as a database set aside has."""
    try:
        with closing(opened(file)) as source, closing(sqlite3.connect(copied)) as target:
            source.backup(
                target,
                pages=backup.PAGES_AT_ONCE,
                progress=lambda _, remaining, total: on_progress(total - remaining, total),
            )
            counts = backup.counted(source)
    except sqlite3.Error as error:
        raise RestoreFailed(f"{file} cannot be copied: {error}") from error
    try:
        backup.verify(copied, counts)
    except backup.BackupFailed as error:
        raise RestoreFailed(str(error)) from error


def make_one_file(copied: Path) -> None:
    try:
        with closing(sqlite3.connect(copied)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise RestoreFailed(f"the copy cannot be written: {error}") from error


def own_as_before(copied: Path, database: Path) -> None:
    """Give the copy the owner and the mode of the database. A new database belongs to its folder's owner."""
    before = (database if database.exists() else database.parent).stat()
    for path in (copied, lock_path()):
        os.chown(path, before.st_uid, -1)
        # systemd gives the files a group that the user need not be in. No file is open to its group.
        with suppress(PermissionError):
            os.chown(path, -1, before.st_gid)
    if database.exists():
        copied.chmod(S_IMODE(before.st_mode))


# Into its place


def put_in_place(copied: Path, database: Path) -> None:
    """Link the old files under another name, and rename the copy.

    SQLite would play the old WAL into the copy, so the WAL leaves first. Until the copy is in place,
    there is an empty WAL and no database. realmate.sqlite refuses to open a database beside a lone WAL,
    so no server can start in between.
    """
    set_aside(database)
    if any(named(database, suffix).exists() for suffix in BESIDE):
        database.unlink(missing_ok=True)
        backup.sync(database.parent)
        empty_beside(database)
    copied.replace(database)
    backup.sync(database.parent)
    named(database, "-wal").unlink(missing_ok=True)


def empty_beside(database: Path) -> None:
    """Leave an empty WAL beside the database and nothing else. The old files have other names by now."""
    nothing = named(database, "-empty")
    nothing.touch(0o600)
    nothing.replace(named(database, "-wal"))
    for suffix in ("-shm", "-journal"):
        named(database, suffix).unlink(missing_ok=True)
    backup.sync(database.parent)


def set_aside(database: Path) -> None:
    """Link the database's files under a name with the time."""
    at = timezone.now().strftime("%Y%m%dT%H%M%S.%fZ")
    aside = database.with_name(f"{database.stem}-replaced-{at}{database.suffix}")
    for suffix in ("", *BESIDE):
        with suppress(FileNotFoundError):
            os.link(named(database, suffix), named(aside, suffix))
    backup.sync(database.parent)


def replaced_before(database: Path) -> tuple[Path, ...]:
    names = f"{escape(database.stem)}-replaced-*Z{escape(database.suffix)}"
    return tuple(sorted(database.parent.glob(names)))
