"""Put a backup in the place of the database, without what was erased since.

SQLite: everything is done in a copy beside the database, and one rename puts the copy in place.
PostgreSQL: `pg_restore` fills the empty database of DATABASE_URL in one transaction.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from glob import escape
from pathlib import Path
from stat import S_IMODE
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from uuid import UUID

import psycopg
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from chat.database.statements import execute
from chat.models import Delivery, begin_generation
from chat.upkeep import backup, copying, erasure, erasure_list
from chat.upkeep.erasure_list import Happened
from realmate.sqlite.base import identity_of, queue_for

# SQLite's files beside the database file. A stranger's WAL or journal would be played into it.
BESIDE = ("-wal", "-shm", "-journal")
SECONDS_FOR_THE_LAST_WRITER = 5
# Where SQLite's readers lock the database file (SHARED_FIRST and SHARED_SIZE of os.h).
FIRST_SHARED_BYTE, SHARED_BYTES = 0x40000002, 510
Progress = Callable[[int, int], None]


class RestoreFailed(Exception):
    """Nothing was restored. The message says why."""


class InUse(RestoreFailed):
    """A server or a command has the database open."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A sound backup: the rows of its tables (SQLite), and how many migrations it lacks."""

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


def check(file: Path) -> Checked:
    """Check that the backup can be read, that it is ours, and that the code is not older.

    Raises RestoreFailed, and OSError.
    """
    file.open("rb").close()  # because the databases' programs say less of what is wrong
    return check_dump(file) if connection.vendor == "postgresql" else check_file(file)


def restore(file: Path, *, on_progress: Progress) -> Restored:
    """Restore the backup, begin a generation, and erase again what the list of erasures names.

    `on_progress` gets the pages done and their total (SQLite). Raises RestoreFailed, OSError, and
    Django's `Error`.
    """
    check(file)
    if connection.vendor == "postgresql":
        restored = fill_the_empty_database(file)
    else:
        restored = replace_the_file(file, on_progress=on_progress)
    if restored.erased and restored.is_scrubbed:
        with suppress(OSError):  # the next upkeep then scrubs once more
            erasure_list.note(Happened.SCRUBBED, *restored.erased, at=timezone.now())
    return restored


def migrations_lacking(applied: set[tuple[str, str]]) -> int:
    """Return how many migrations are missing. Raises RestoreFailed if the code lacks one."""
    loader = MigrationLoader(None)
    if not any(app == "chat" for app, _ in applied):
        raise RestoreFailed("this is a database of another program")
    ours = {key for key in applied if key[0] in loader.migrated_apps}
    if newer := sorted(ours - loader.disk_migrations.keys()):
        names = ", ".join(f"{app}.{name}" for app, name in newer)
        raise RestoreFailed(f"this backup is of a newer version ({names}): update the code first")
    return len(loader.disk_migrations.keys() - ours)


def renew(alias: str) -> Restored:
    """Migrate the restored database, begin a generation, and erase again.

    Sessions go, because somebody may have logged out since the backup.
    """
    call_command("migrate", database=alias, verbosity=0, interactive=False)
    generation = begin_generation(using=alias)
    Session.objects.using(alias).all().delete()
    last = Delivery.objects.using(alias).order_by("-id").values_list("received_at", flat=True)
    erased = list(erasure.erase_again(at=timezone.now(), using=alias))
    # All that are listed, because the backup may be of the moment between an erasure and its scrub.
    listed = list(erasure_list.read())
    return Restored(generation, erased, last.first(), is_scrubbed=scrub(listed, alias))


def scrub(listed: list[UUID], alias: str) -> bool:
    try:
        for _ in erasure.scrub(*listed, using=alias) if listed else ():
            pass
    except erasure.StillRead:
        return False
    return True


# SQLite


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

    An interruption leaves the old database in place, or the new one, or one that realmate.sqlite
    refuses to open. Another run begins from the start.
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
    """Return the file of the writers' queue, whose name follows no symbolic link."""
    return Path(f"{connection.settings_dict['NAME']}-writer")


# Who else has the database


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
    if found := processes_with(database):
        ids = ", ".join(map(str, found))
        raise InUse(f"the database is open in process {ids}: stop the server first")
    if database.exists() and is_locked(database):
        raise InUse("the database is open elsewhere: stop the server first")


def is_locked(database: Path) -> bool:
    """Whether a process, even in another container, holds SQLite's lock of an open database in WAL mode.

    Not asked by SQLite, because SQLite would play a WAL into the database, which may be damaged.
    """
    with database.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_BYTES, FIRST_SHARED_BYTE)
        except BlockingIOError:
            return True
    return False


def processes_with(database: Path) -> list[int]:
    """Return the ids of other processes that have one of the database's files open.

    Linux only, and only processes that the user may see.
    """
    paths = [lock_path(), database, *(named(database, suffix) for suffix in BESIDE)]
    files = {identity_of(path) for path in paths} - {None}
    found = [
        int(pid.name)
        for pid in Path("/proc").glob("[0-9]*")
        if int(pid.name) != os.getpid() and files & set(open_files_of(pid))
    ]
    return sorted(found)


def open_files_of(pid: Path) -> Iterator[tuple[int, int] | None]:
    with suppress(OSError):  # the process has ended, or is another user's
        for descriptor in (pid / "fd").iterdir():
            with suppress(OSError):
                yield identity_of(descriptor)


# The copy


@contextmanager
def copy_beside(database: Path) -> Iterator[Path]:
    """Yield a private file beside the database, gone in the end. An interrupted run may have left one."""
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
        os.chown(path, before.st_uid, before.st_gid)
    if database.exists():
        copied.chmod(S_IMODE(before.st_mode))


# Into its place


def put_in_place(copied: Path, database: Path) -> None:
    """Link the old files under another name, and rename the copy.

    A WAL would be played into the copy, so it leaves first. Meanwhile the database is missing and an
    empty WAL is not, and realmate.sqlite refuses to open that: no server can begin in between.
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


# PostgreSQL


def check_dump(file: Path) -> Checked:
    """Read the dump from end to end, and the migrations in it."""
    try:
        backup.run("pg_restore", f"--file={os.devnull}", str(file))
        with TemporaryDirectory(prefix="realmate-") as folder:
            rows = Path(folder) / "migrations"
            only = ["--data-only", "--table=django_migrations", f"--file={rows}"]
            backup.run("pg_restore", *only, str(file))
            lines = [line.split("\t") for line in rows.read_text().splitlines()]
    except backup.BackupFailed as error:
        raise RestoreFailed(f"{file} is no backup of Realmate: {error}") from error
    applied = {(line[1], line[2]) for line in lines if len(line) == COLUMNS_OF_MIGRATIONS}
    return Checked({}, migrations_lacking(applied))


COLUMNS_OF_MIGRATIONS = 4  # id, app, name, applied


def fill_the_empty_database(file: Path) -> Restored:
    """Run pg_restore in one transaction, so that an error leaves the database empty, and renew it.

    A table of one row tells another run that this run was interrupted after pg_restore.
    """
    mark = f"{file.resolve()}, {file.stat().st_size} bytes of {file.stat().st_mtime_ns}"
    database, secrets = reach_the_database()
    if not has_tables():
        refuse_other_sessions()
        execute(f"DROP TABLE IF EXISTS {UNFINISHED}")
        execute(f"CREATE TABLE {UNFINISHED} AS SELECT %s::text AS file", [mark])
        run_pg_restore(file, database, secrets)
    elif unfinished_restore() != mark:
        raise RestoreFailed(
            "the database has tables already: create an empty one, and name it in DATABASE_URL"
        )
    restored = renew(DEFAULT_DB_ALIAS)
    execute(f"DROP TABLE {UNFINISHED}")
    return restored


UNFINISHED = "realmate_unfinished_restore"


def reach_the_database() -> tuple[str, dict[str, str]]:
    try:
        return backup.reach_the_database()
    except backup.BackupFailed as error:
        raise RestoreFailed(str(error)) from error


def run_pg_restore(file: Path, database: str, secrets: dict[str, str]) -> None:
    how = ["--no-owner", "--no-acl", "--exit-on-error", "--single-transaction"]
    try:
        backup.run("pg_restore", *how, database, str(file), environ=secrets)
    except backup.BackupFailed as error:
        raise RestoreFailed(str(error)) from error


def has_tables() -> bool:
    """Whether the database has any table of its own, with whose rows pg_restore would mix others."""
    found = execute(
        "SELECT COUNT(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relname <> %s"
        " AND relnamespace NOT IN (SELECT oid FROM pg_namespace"
        " WHERE nspname = 'information_schema' OR nspname LIKE 'pg~_%%' ESCAPE '~')",
        [UNFINISHED],
    )
    return bool(found and found[0])


def unfinished_restore() -> str | None:
    """Return the file of an interrupted restore, or None."""
    if execute("SELECT to_regclass(%s)", [UNFINISHED]) == (None,):
        return None
    row = execute(f"SELECT file FROM {UNFINISHED}")  # noqa: S608 - our own name
    return str(row[0]) if row else None


def refuse_other_sessions() -> None:
    """Count by a session outside the pool, whose own sessions are no others."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # django-stubs know no engine
    with closing(psycopg.connect(**connection.get_connection_params())) as session:
        for _ in range(LOOKS):  # because the pool's sessions end a moment after their closing
            count, first = session.execute(OTHER_SESSIONS).fetchone() or (0, None)
            session.rollback()
            if not count:
                return
            sleep(SECONDS_BETWEEN)
    raise InUse(f"{count} other sessions use the database (the first: {first})")


LOOKS, SECONDS_BETWEEN = 20, 0.1
OTHER_SESSIONS = """
SELECT COUNT(*), MIN(pid) FROM pg_stat_activity WHERE datname = current_database()
AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
