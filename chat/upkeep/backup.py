"""Copy the whole database into one file while the service writes, and verify the copy."""

import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models

from chat.database.migrated import wrong_schema
from chat.models import Conversation, Delivery, Message

PAGES_AT_ONCE = 2_500  # 10 MB

Counts = dict[str, int]
Progress = Callable[[int, int], None]


class BackupFailed(Exception):
    """No backup was made. The message says why."""


def back_up(path: Path, *, on_progress: Progress) -> Counts:
    """Write the backup of a migrated database. Return the number of rows of its tables.

    `on_progress` gets the pages done and their total. Raises FileExistsError and other OSErrors,
    BackupFailed, and Django's `Error`. An error leaves no file.
    """
    refuse_unmigrated()
    with new_file(path) as partial:
        if connection.vendor == "postgresql":
            return dump(partial)
        counts = copy(partial, on_progress=on_progress)
        verify(partial, counts)
        return counts


def refuse_unmigrated() -> None:
    """Raise BackupFailed, because such a database is rarely the one of the service."""
    if wrong := wrong_schema():
        raise BackupFailed(wrong)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a private file under a temporary name. Once on disk, the file gets its own name."""
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield partial
        sync(partial)
        os.link(partial, path)  # not a rename, because a rename overwrites
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# SQLite


def copy(partial: Path, *, on_progress: Progress) -> Counts:
    """Copy a snapshot. A read transaction holds the snapshot, and blocks no writer."""
    with connection.cursor() as cursor, closing(sqlite3.connect(partial)) as target:
        cursor.execute("BEGIN DEFERRED")
        try:
            counts = counted(cursor.connection)
            cursor.connection.backup(
                target,
                pages=PAGES_AT_ONCE,
                progress=lambda _, remaining, total: on_progress(total - remaining, total),
            )
        except sqlite3.Error as error:
            raise BackupFailed(f"SQLite says: {error}") from error
        finally:
            cursor.execute("ROLLBACK")
    return counts


def verify(partial: Path, counts: Counts) -> None:
    """Check the copy: it opens, is sound, has all rows, and is one file, without a WAL."""
    try:
        with closing(sqlite3.connect(partial)) as copied:
            copied.execute("PRAGMA journal_mode = DELETE")
            [first, *_] = copied.execute("PRAGMA integrity_check(1)").fetchone()
            if first != "ok":
                raise BackupFailed(f"the copy is damaged: {first}")
            if counted(copied) != counts:
                raise BackupFailed("the copy has other rows than the database had")
    except sqlite3.Error as error:
        raise BackupFailed(f"the copy cannot be read: {error}") from error


def counted(database: sqlite3.Connection) -> Counts:
    tables = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        " ORDER BY name"
    ).fetchall()
    return {
        name: database.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - of the database itself
        for (name,) in tables
    }


# PostgreSQL


def dump(partial: Path) -> Counts:
    """Run PostgreSQL's programs: pg_dump writes a snapshot, pg_restore reads the whole dump.

    The counts are from before the dump, so the dump may have some more rows.
    """
    database, secrets = reach_the_database()
    counts = {model._meta.db_table: model._default_manager.count() for model in LARGEST}
    run("pg_dump", "--format=custom", f"--file={partial}", database, environ=secrets)
    run("pg_restore", f"--file={os.devnull}", str(partial))
    return counts


LARGEST: list[type[models.Model]] = [Conversation, Message, Delivery]


def reach_the_database() -> tuple[str, dict[str, str]]:
    """Return `--dbname=…` with all parameters of DATABASE_URL but secrets, and variables with the secrets.

    Raises BackupFailed, also behind a pooler: both programs set up their session, for themselves.
    """
    if connection.settings_dict["POOLED"]:
        raise BackupFailed("set DATABASE_POOLER=none, and name PostgreSQL itself in DATABASE_URL")
    client = type(connection.client)
    try:
        [_, name], secrets = client.settings_to_cmd_args_env(connection.settings_dict, [])
    except ImproperlyConfigured as error:
        raise BackupFailed(str(error)) from error
    return f"--dbname={name}", secrets or {}


def run(program: str, *arguments: str, environ: dict[str, str] | None = None) -> None:
    path = shutil.which(program)
    if path is None:
        raise BackupFailed(
            f"{program} is not installed; it comes with PostgreSQL (Debian: postgresql-client)"
        )
    ended = subprocess.run(  # noqa: S603 - a program of PostgreSQL's, and our own settings
        [path, *arguments],
        env=os.environ | (environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BackupFailed(ended.stderr.strip() or f"{program} ended with {ended.returncode}")
