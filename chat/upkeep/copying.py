"""Copy everything stored into another database, from either engine to either engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

from chat.database.batches import batches
from chat.models import (
    Change,
    Conversation,
    Dealing,
    Delivery,
    Message,
    MessageWords,
    Seen,
    Token,
    User,
)
from realmate import database_url

TARGET = "target"
# `migrate` fills these tables under keys of its own. The copy replaces the rows.
MADE_BY_MIGRATE: list[type[models.Model]] = [ContentType, Permission]
# In the order of their foreign keys. The search index is rebuilt from the messages, and the other
# database begins a generation of its own.
COPIED: list[type[models.Model]] = [
    *MADE_BY_MIGRATE,
    Group,
    Group.permissions.through,
    User,
    User.groups.through,
    User.user_permissions.through,
    Token,
    Conversation,
    Message,
    Delivery,
    Change,
    Dealing,
    Seen,
]


class NotEmpty(Exception):
    """The other database already has rows. A copy would mix with them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A table's rows on both sides: their number, and a SHA-256 of all values in order."""

    table: str
    rows: int
    copied_rows: int
    checksum: str
    copied_checksum: str

    @property
    def is_equal(self) -> bool:
        return (self.rows, self.checksum) == (self.copied_rows, self.copied_checksum)


@contextmanager
def target(url: str) -> Iterator[str]:
    """Migrate the empty database at this URL, and yield its alias.

    Raises NotEmpty, environs' ValidationError, and Django's `Error`.
    """
    with attached(parse(url)):
        call_command("migrate", database=TARGET, verbosity=0)
        if any(rows_of(model, TARGET).exists() for model in COPIED if model not in MADE_BY_MIGRATE):
            raise NotEmpty
        yield TARGET


def parse(url: str) -> dict[str, Any]:
    """Return Django's settings of the database. Raises environs' ValidationError."""
    parsed = database_url.parse(url, is_pooled=settings.POOLED)
    return database_url.configured(parsed, settings.SQLITE, settings.POSTGRESQL)


@contextmanager
def attached(database: dict[str, Any]) -> Iterator[str]:
    """Yield the alias of a second database beside DATABASE_URL's. Close its connection at the end."""
    configured = connections.configure_settings(
        {DEFAULT_DB_ALIAS: connections.settings[DEFAULT_DB_ALIAS], TARGET: database}
    )
    connections.settings[TARGET] = configured[TARGET]
    try:
        yield TARGET
    finally:
        connections[TARGET].close()
        del connections[TARGET]
        del connections.settings[TARGET]


@contextmanager
def nothing_written() -> Iterator[None]:
    """Lock out other writers, because the copy would miss their rows.

    Senders get a 503, and retry. Reads go on.
    """
    with transaction.atomic():
        if connections[DEFAULT_DB_ALIAS].vendor == "postgresql":
            tables = ", ".join(model._meta.db_table for model in COPIED)
            with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
                cursor.execute(f"LOCK TABLE {tables} IN SHARE MODE")
        yield


def how_many() -> int:
    return sum(rows_of(model).count() for model in COPIED)


def copy() -> Iterator[int]:
    """Copy all rows into TARGET in one transaction. Yield the size of each batch."""
    with transaction.atomic(using=TARGET):
        for model in reversed(MADE_BY_MIGRATE):
            rows_of(model, TARGET).delete()
        for model in COPIED:
            rows: Iterator[Any] = rows_of(model).order_by("pk").iterator(chunk_size=100)
            for batch in batches(rows, lambda row: len(getattr(row, "body", b""))):
                rows_of(model, TARGET).bulk_create(batch)
                if model is Message:
                    MessageWords.objects.using(TARGET).index(batch)
                yield len(batch)
        reset_sequences()


def reset_sequences() -> None:
    """Let generated keys continue after the copied keys."""
    with connections[TARGET].cursor() as cursor:
        for statement in connections[TARGET].ops.sequence_reset_sql(no_style(), COPIED):
            cursor.execute(statement)


def check() -> Iterator[Checked]:
    """Read each table again on both sides, and yield the comparison."""
    for model in COPIED:
        source, copied = Checksum(model, DEFAULT_DB_ALIAS), Checksum(model, TARGET)
        yield Checked(model._meta.db_table, source.rows, copied.rows, source.digest, copied.digest)
    messages, indexed = rows_of(Message).count(), rows_of(MessageWords, TARGET).count()
    yield Checked(MessageWords._meta.db_table, messages, indexed, "", "")


class Checksum:
    """A hash of the rows as Python reads them, independent of how an engine stores them."""

    def __init__(self, model: type[models.Model], database: str) -> None:
        names = [field.attname for field in model._meta.concrete_fields]
        hashed, self.rows = sha256(), 0
        for values in rows_of(model, database).order_by("pk").values_list(*names).iterator(100):
            plain = [bytes(value) if isinstance(value, memoryview) else value for value in values]
            hashed.update(repr(plain).encode())
            self.rows += 1
        self.digest = hashed.hexdigest()


def rows_of(
    model: type[models.Model], database: str = DEFAULT_DB_ALIAS
) -> models.QuerySet[models.Model]:
    return model._default_manager.using(database)
