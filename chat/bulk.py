"""Bulk loading: the rules of events.py, many events a transaction."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

from django.db import IntegrityError, OperationalError, connection

from chat.batches import EVENTS_A_BATCH, batches
from chat.events import Reading, Request, Result, read, settle, settle_together


def ingest_many(
    deliveries: Iterable[tuple[bytes, datetime]], *, batch_size: int = EVENTS_A_BATCH
) -> Iterator[Result]:
    """What became of each (body, received_at), in their order, as if each had gone to `ingest`.

    Lazy: deliveries are asked for, and stored, as the results are read. A result comes after the
    commit of its batch. Raises Django's DatabaseError as `ingest` does; batches before it stay,
    and sending all of it again does no harm.
    """
    for batch in batches(readings(deliveries), size_of_body, most=batch_size):
        with without_looking_for_garbage():
            results = settle_batch(batch)
        yield from results


@contextmanager
def without_looking_for_garbage() -> Iterator[None]:
    """All that a batch makes lives until it is written; looking through it takes a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def size_of_body(reading: Reading) -> int:
    return len(reading[1].body)


def readings(deliveries: Iterable[tuple[bytes, datetime]]) -> Iterator[Reading]:
    for body, received_at in deliveries:
        yield read(body), Request(body=body, received_at=received_at, request_id=uuid4())


def settle_batch(batch: list[Reading]) -> list[Result]:
    """Together; after a race or a deadlock with another writer, one by one."""
    try:
        return settle_together(lambda: batch)
    except (IntegrityError, OperationalError):
        return [settle(reading) for reading in batch]


@contextmanager
def much_to_load() -> Iterator[None]:
    """Around a long `ingest_many`: room to work in, and at the end what quickens later reads."""
    if connection.vendor == "postgresql":
        yield
        execute("ANALYZE")
        return
    # Ids are random, so that every batch touches pages all over the indexes: hold them in memory,
    # and copy each from the WAL once for many batches. Ours alone; other connections keep theirs.
    execute("PRAGMA cache_size = -262144")
    execute("PRAGMA wal_autocheckpoint = 65536")
    try:
        yield
    finally:
        execute("PRAGMA wal_autocheckpoint = 1000")
        execute("PRAGMA cache_size = -2000")
        execute("PRAGMA wal_checkpoint(TRUNCATE)")


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
