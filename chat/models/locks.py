"""Locks on ids, whether there are rows under them or not."""

from hashlib import blake2b
from typing import Literal
from uuid import UUID

from django.db import connection

# PostgreSQL has room for some 6,400 locks, and a conversation's early messages have no bound: they
# share these. Two that share one only wait for one another.
MESSAGE_LOCKS = 1_024


def lock_ids(ids: list[UUID], *, of: Literal["conversation", "message"]) -> bool:
    """Lock ids, whether there are rows under them or not, until the transaction ends.

    Always in one order, so that nobody waits in a circle. Whether there was anything to wait for:
    on SQLite there is not, as its transactions that write follow one another.
    """
    if connection.vendor != "postgresql" or not ids:
        return False
    in_order = "SELECT unnest(%s::bigint[]) AS key ORDER BY key"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pg_advisory_xact_lock(key) FROM ({in_order}) AS keys",  # noqa: S608 - no value in it
            [[_advisory_key(id, of) for id in ids]],
        )
    return True


def _advisory_key(id: UUID, of: str) -> int:
    """Signed 64 bits, as PostgreSQL takes them; a collision only makes two ids wait."""
    digest = blake2b(id.bytes, digest_size=8, person=of.encode()).digest()
    key = int.from_bytes(digest, signed=True)
    return key % MESSAGE_LOCKS if of == "message" else key
