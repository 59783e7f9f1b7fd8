"""Whether a database has the schema of this code, by the names of the migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

APP = "chat"
MIGRATIONS_TABLE = "django_migrations"
APPLIED = f"SELECT app, name FROM {MIGRATIONS_TABLE}"  # noqa: S608 - no value in it
# An event reads only these names, as one text: Python's sqlite3 lets other threads run before each row.
JOINED = {"sqlite": "group_concat(name, ' ')", "postgresql": "string_agg(name, ' ')"}
APPLIED_OF_CHAT = f"SELECT {{}} FROM {MIGRATIONS_TABLE} WHERE app = '{APP}'"  # noqa: S608 - no value in it

Keys = set[tuple[str, str]]


class WrongSchema(OperationalError):
    """The code is older or newer than the schema. Nothing was written."""


@contextmanager
def writing(*, using: str = DEFAULT_DB_ALIAS, durable: bool = True) -> Iterator[None]:
    """Run a transaction that may write. Raises WrongSchema unless the schema is the one of this code.

    Code of another version would leave derived rows out, or write them wrongly.
    """
    with transaction.atomic(using=using, durable=durable):
        refuse_wrong_schema(using=using)
        yield


def refuse_wrong_schema(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Raise WrongSchema if a migration of `chat` is missing, or is unknown to this code.

    Inside a transaction the answer holds until its end, because migrations keep the rule of
    docs/decisions.md.
    """
    names = applied_of_chat(using=using)
    if names != migrations_of_chat():
        applied = {(APP, name) for name in names}
        missing = [name for name in missing_from(applied) if name.startswith(f"{APP}.")]
        if wrong := complaint(missing, unknown_among(applied)):
            raise WrongSchema(wrong)


def wrong_schema(*, using: str = DEFAULT_DB_ALIAS) -> str:
    """Return the fault of the schema, judged by the migrations of all apps, or an empty string."""
    has_table = MIGRATIONS_TABLE in connections[using].introspection.table_names()
    applied = read(APPLIED, using=using) if has_table else set()
    return complaint(missing_from(applied), unknown_among(applied))


def complaint(missing: list[str], unknown: list[str]) -> str:
    if unknown:
        return f"this code is too old: it does not know the migrations {', '.join(unknown)}"
    return f"the database lacks the migrations {', '.join(missing)}" if missing else ""


def applied_of_chat(*, using: str) -> set[str]:
    with connections[using].cursor() as cursor:
        cursor.execute(APPLIED_OF_CHAT.format(JOINED[connections[using].vendor]))
        (names,) = cursor.fetchone()
    return set((names or "").split())


def read(query: str, *, using: str) -> Keys:
    with connections[using].cursor() as cursor:
        cursor.execute(query)
        return set(cursor.fetchall())


def missing_from(applied: Keys) -> list[str]:
    """Return the missing migrations. A squashed one counts as applied if all its originals were applied."""
    return [
        ".".join(key)
        for key, migration in migrations_of_the_code().items()
        if key not in applied
        and not (migration.replaces and applied.issuperset(migration.replaces))
    ]


def unknown_among(applied: Keys) -> list[str]:
    """Return the unknown migrations. Other apps do not count: one may have been removed."""
    replaced = {tuple(key) for each in migrations_of_the_code().values() for key in each.replaces}
    known = migrations_of_the_code().keys() | replaced
    return sorted(".".join(key) for key in applied if key[0] == APP and key not in known)


@cache
def migrations_of_the_code() -> dict[tuple[str, str], Migration]:
    """Return the migrations by app and name. A server calls this first, because reading the files is slow."""
    migrations: dict[tuple[str, str], Migration] = MigrationLoader(None).disk_migrations
    return dict(sorted(migrations.items()))


@cache
def migrations_of_chat() -> set[str]:
    return {name for app, name in migrations_of_the_code() if app == APP}
