"""Restoring on PostgreSQL: `pg_restore` into an empty database."""

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection

from chat.database.statements import execute
from chat.upkeep import backup
from chat.upkeep.restored import Checked, InUse, Restored, RestoreFailed, migrations_lacking, renew


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
    """Run pg_restore in one transaction, so an error leaves the database empty. Then renew the database.

    If this run is interrupted after pg_restore, a table of one row tells the next run.
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
    """Whether the database has a table of its own. pg_restore would add its rows to such tables."""
    row = execute(
        "SELECT COUNT(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relname <> %s"
        " AND relnamespace NOT IN (SELECT oid FROM pg_namespace"
        " WHERE nspname = 'information_schema' OR nspname LIKE 'pg~_%%' ESCAPE '~')",
        [UNFINISHED],
    )
    return bool(row and row[0])


def unfinished_restore() -> str | None:
    """Return the file of an interrupted restore, or None."""
    if execute("SELECT to_regclass(%s)", [UNFINISHED]) == (None,):
        return None
    row = execute(f"SELECT file FROM {UNFINISHED}")  # noqa: S608 - our own name
    return str(row[0]) if row else None


def refuse_other_sessions() -> None:
    """Raise InUse if other sessions use the database. Those of the pool are closed first, so they do not count."""
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
