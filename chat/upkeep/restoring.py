"""Put a backup in the place of the database, and bring it up to date with what a backup cannot know."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.loader import MigrationLoader

from chat.database.statements import execute
from chat.models import MessageWords, begin_generation
from chat.upkeep import backup, erasure, erasure_list
from chat.upkeep.copying import connected

OF_SQLITE = ("", "-wal", "-shm")
MAGIC = b"SQLite format 3\0"


class NotRestored(Exception):
    """Nothing was restored. The message says why."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `aside` is the replaced database, or None if there was none."""

    erased_again: int
    generation: str
    aside: Path | None = None


# SQLite


def check_file(file: Path) -> backup.Counts:
    """Return the number of rows of each table. Raises NotRestored for a file that is no backup of ours."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as found:
            [first, *_] = found.execute("PRAGMA integrity_check(1)").fetchone()
            if first != "ok":
                raise NotRestored(f"{file} is damaged: {first}")
            applied = set(found.execute("SELECT app, name FROM django_migrations"))
            counts = backup.counted(found)
    except sqlite3.Error as error:
        raise NotRestored(f"{file} is no backup of this service: {error}") from error
    if ("chat", "0001_initial") not in applied:
        raise NotRestored(f"{file} is no backup of this service")
    refuse_newer(applied)
    return counts


def refuse_newer(applied: set[tuple[str, str]]) -> None:
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations.keys()
    if newer := sorted(name for app, name in applied - known if app == "chat"):
        raise NotRestored(f"the backup is of a newer version: it has chat.{newer[-1]}")


def refuse_while_open(database: Path) -> None:
    """Raise NotRestored while another process has the database open, or a connection of it is used."""
    connections.close_all()
    if not database.exists():
        return
    if found := next(processes_with(database), None):
        raise NotRestored(f"process {found} has {database} open: stop the server first")
    fold_wal_into(database)


def processes_with(database: Path) -> Iterator[int]:
    """Yield the other processes that have one of the database's files open, as far as /proc tells."""
    files = {found for suffix in OF_SQLITE if (found := identity_of(database, suffix))}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            stat = descriptor.stat()
            pid = int(descriptor.parts[2])
            if (stat.st_dev, stat.st_ino) in files and pid != os.getpid():
                yield pid


def identity_of(database: Path, suffix: str) -> tuple[int, int] | None:
    try:
        stat = Path(f"{database}{suffix}").stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def fold_wal_into(database: Path) -> None:
    """Leave the WAL mode: this needs the database alone, and moves the WAL into its file.

    A damaged database stays as it is, because it is only moved aside, together with its WAL.
    """
    with database.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            return
    with closing(sqlite3.connect(database, timeout=1)) as replaced:
        try:
            replaced.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise NotRestored(f"{database} is in use: stop the server first") from error
        except sqlite3.DatabaseError:
            return


def restore_sqlite(file: Path, *, at: datetime) -> Restored:
    """Replace the database by a copy of the file. Until the copy is ready the old one stays in place.

    Raises NotRestored, OSError and Django's DatabaseError.
    """
    database = Path(str(connection.settings_dict["NAME"]))
    check_file(file)
    refuse_while_open(database)
    copy = database.with_name(f".{database.name}.{uuid4().hex[:8]}.restoring")
    try:
        copy_like(file, copy, like=database if database.exists() else None)
        with connected(f"sqlite:///{copy}") as alias:
            restored = bring_up_to_date(alias)
            execute("PRAGMA wal_checkpoint(TRUNCATE)", using=alias)
            execute("PRAGMA journal_mode = DELETE", using=alias)
        backup.sync(copy)
        refuse_while_open(database)  # a server may have started meanwhile
        aside = move_aside(database, at=at)
        copy.replace(database)
        backup.sync(database.parent)
    finally:
        for suffix in (*OF_SQLITE, "-writer"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)
    return Restored(restored.erased_again, restored.generation, aside)


def copy_like(file: Path, copy: Path, *, like: Path | None) -> None:
    """Copy a file, with the owner and mode of the replaced one; without one, for the owner only."""
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    shutil.copyfile(file, copy)
    if like:
        stat = like.stat()
        os.chown(copy, stat.st_uid, stat.st_gid)
        copy.chmod(stat.st_mode & 0o777)


def move_aside(database: Path, *, at: datetime) -> Path | None:
    """Give the replaced database a second name, so that it has one at every moment.

    A WAL that is left belongs to a lost or damaged database, and must not meet the restored one.
    """
    aside = database.with_name(f"{database.name}.before-restore-{at:%Y%m%dT%H%M%S}")
    has_database = database.exists()
    if has_database:
        os.link(database, aside)
    for suffix in OF_SQLITE[1:]:
        with suppress(FileNotFoundError):
            Path(f"{database}{suffix}").rename(f"{aside}{suffix}")
    return aside if has_database else None


# PostgreSQL


def restore_postgresql(file: Path) -> Restored:
    """Restore pg_dump's custom format into an empty database. Raises NotRestored and DatabaseError."""
    if connection.introspection.table_names():
        raise NotRestored(
            "the database is not empty: create a new one, and name it in DATABASE_URL"
        )
    connections.close_all()
    client = type(connection.client)
    [_, *options], given = client.settings_to_cmd_args_env(connection.settings_dict, [])
    database = options.pop()
    try:
        backup.run(
            "pg_restore",
            "--no-owner",
            "--exit-on-error",
            "--single-transaction",
            *options,
            f"--dbname={database}",
            str(file),
            environ=given or {},
        )
    except backup.BackupFailed as error:
        raise NotRestored(str(error)) from error
    restored = bring_up_to_date(DEFAULT_DB_ALIAS)
    erasure.vacuum_all(rewrite=True)
    return restored


# Both


def bring_up_to_date(alias: str) -> Restored:
    """Migrate, begin a new generation, and erase again everything on the list of erasures."""
    call_command("migrate", database=alias, verbosity=0)
    generation = begin_generation(using=alias)
    listed = erasure_list.listed()
    for entry in listed:
        erasure.erase(entry.id, at=entry.at, using=alias, is_listed=True)
        erasure.empty_unreadable_bodies(entry.id, using=alias)
    if listed and connections[alias].vendor == "sqlite":
        table = MessageWords._meta.db_table
        execute(f"INSERT INTO {table}({table}) VALUES ('optimize')", using=alias)  # noqa: S608
    return Restored(len(listed), generation)


def restore(file: Path, *, at: datetime) -> Restored:
    """Restore on either engine. Raises NotRestored, OSError and Django's DatabaseError."""
    if connection.vendor == "sqlite":
        return restore_sqlite(file, at=at)
    return restore_postgresql(file)
