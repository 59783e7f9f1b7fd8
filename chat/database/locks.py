"""Locks on ids, with or without a row of the id; and transactions that wait for no lock."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Literal
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from chat.database.statements import execute

# PostgreSQL has room for some 6,400 locks, and a conversation may have any number of early messages.
# Message ids share these locks. Two ids with the same lock only wait for each other.
MESSAGE_LOCKS = 1_024
# PostgreSQL's shortest limit; and a commit without waiting for the disk or a standby.
WAIT_FOR_NOTHING = (
    "SELECT set_config('lock_timeout', '1ms', true), set_config('synchronous_commit', 'off', true)"
)


@contextmanager
def without_waiting(*, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Run a transaction. It fails at once instead of waiting for another writer.

    A power cut may take the transaction back on PostgreSQL. Raises OperationalError.
    """
    connection: Any = connections[using]
    if connection.vendor == "postgresql":
        with transaction.atomic(using=using):
            execute(WAIT_FOR_NOTHING, (), using=using)
            yield
    else:
        with connection.without_waiting(), transaction.atomic(using=using):
            yield


def lock_ids(
    ids: list[UUID], *, of: Literal["conversation", "message"], using: str = DEFAULT_DB_ALIAS
) -> bool:
    """Lock ids until the transaction ends, always in one order, so no deadlock arises.

    Return whether this may have waited for another writer. On SQLite the answer is always False,
    because a write transaction already excludes all other writers.
    """
    if connections[using].vendor != "postgresql" or not ids:
        return False
    in_order = "SELECT unnest(%s::bigint[]) AS key ORDER BY key"
    execute(
        f"SELECT pg_advisory_xact_lock(key) FROM ({in_order}) AS keys",  # noqa: S608 - no value in it
        [[_advisory_key(id, of) for id in ids]],
        using=using,
    )
    return True


def _advisory_key(id: UUID, of: str) -> int:
    """Signed 64 bits, as PostgreSQL takes them. A collision only makes one id wait for another."""
    digest = blake2b(id.bytes, digest_size=8, person=of.encode()).digest()
    key = int.from_bytes(digest, signed=True)
    return key % MESSAGE_LOCKS if of == "message" else key
