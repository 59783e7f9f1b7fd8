"""A copy of the whole database in one file, made while the service writes, and read to see that it is one."""

import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

from django.db import connection

PAGES_AT_ONCE = 2_500  # 10 MB

Counts = dict[str, int]
Progress = Callable[[int, int], None]


class BackupFailed(Exception):
    """There is no backup; says why."""


def back_up(path: Path, *, on_progress: Progress) -> Counts:
    """The rows of each table in it; none are counted on PostgreSQL. `on_progress` gets pages done, of all.

    Raises FileExistsError and other OSErrors, BackupFailed, and Django's DatabaseError; then there is
    no file.
    """
    with new_file(path) as partial:
        if connection.vendor == "postgresql":
            return dump(partial)
        counts = copy(partial, on_progress=on_progress)
        verify(partial, counts)
        return counts


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file of another name, for its owner only, which gets its own when it is whole and on disk."""
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    partial = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield partial
        sync(partial)
        os.link(partial, path)  # unlike a rename, never over another file
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
    """All as of one moment: a transaction that only reads holds it, and keeps nobody from writing."""
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
    """It opens, is sound, has what there was, and is one file, without a log beside it."""
    try:
        with closing(sqlite3.connect(partial)) as copied:
            copied.execute("PRAGMA journal_mode = DELETE")
            [first, *_] = copied.execute("PRAGMA integrity_check(1)").fetchone()
            if first != "ok":
                raise BackupFailed(f"the copy is damaged: {first}")
            if counted(copied) != counts:
                raise BackupFailed("the copy has other rows than there were")
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
    """By its own programs: pg_dump takes all as of one moment, pg_restore reads it from end to end."""
    arguments = ["--format=custom", f"--file={partial}"]
    client = type(connection.client)
    [_, *options], given = client.settings_to_cmd_args_env(connection.settings_dict, arguments)
    run("pg_dump", *options, environ=given or {})
    run("pg_restore", f"--file={os.devnull}", str(partial))
    return {}


def run(program: str, *arguments: str, environ: dict[str, str] | None = None) -> None:
    found = shutil.which(program)
    if found is None:
        raise BackupFailed(
            f"{program} is not installed; it comes with PostgreSQL (Debian: postgresql-client)"
        )
    ended = subprocess.run(  # noqa: S603 - a program of PostgreSQL's, and our own settings
        [found, *arguments],
        env=os.environ | (environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BackupFailed(ended.stderr.strip() or f"{program} ended with {ended.returncode}")
