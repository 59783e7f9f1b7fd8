"""Locks on ids, whether a row with that id exists or not."""

from hashlib import blake2b
from typing import Literal
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections

from chat.database.statements import execute

# PostgreSQL has room for some 6,400 locks, and a conversation may have any number of early messages.
# Message ids share these locks; two ids that share one only wait for each other.
MESSAGE_LOCKS = 1_024


def lock_ids(
    ids: list[UUID], *, of: Literal["conversation", "message"], using: str = DEFAULT_DB_ALIAS
) -> bool:
    """Lock ids until the transaction ends, always in one order, so that no deadlock arises.

    Return whether another writer may have been waited for. On SQLite the answer is always False,
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
