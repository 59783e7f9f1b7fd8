"""Bulk loading: the rules of `ingest`, with many events in a transaction."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections

from chat.database import UNAVAILABLE
from chat.database.batches import EVENTS_A_BATCH, batches
from chat.database.statements import execute
from chat.events.ingest import (
    Envelope,
    Parsed,
    Result,
    ingest_one,
    ingest_together,
    parse_body,
)


def ingest_many(
    deliveries: Iterable[tuple[bytes, datetime]],
    *,
    batch_size: int = EVENTS_A_BATCH,
    using: str = DEFAULT_DB_ALIAS,
    early_events: bool = True,
) -> Iterator[Result]:
    """Ingest each (body, received_at) in order; yield each result after the commit of its batch.

    Lazy: bodies are read as the results are consumed. Raises Django's `Error` as `ingest` does.
    Earlier batches stay stored, and loading everything again does no harm. Without `early_events`
    a new conversation does not apply its early events.
    """
    envelopes = (
        Envelope(body=body, received_at=received_at, request_id=uuid4())
        for body, received_at in deliveries
    )
    yield from ingest_envelopes(
        envelopes, batch_size=batch_size, using=using, early_events=early_events
    )


def ingest_envelopes(
    envelopes: Iterable[Envelope],
    *,
    batch_size: int = EVENTS_A_BATCH,
    using: str = DEFAULT_DB_ALIAS,
    early_events: bool = True,
) -> Iterator[Result]:
    """Ingest each envelope as `ingest_many` does."""
    parsed = batches(map(parse_body, envelopes), size_of_body, most=batch_size)
    while True:
        with garbage_collection_paused():
            batch = next(parsed, None)
            if batch is None:
                return
            results = ingest_batch(batch, using=using, early_events=early_events)
            batch.clear()  # else the garbage collector scans it while the results are consumed
        yield from results


def size_of_body(parsed: Parsed) -> int:
    return len(parsed.envelope.body)


def ingest_batch(batch: list[Parsed], *, using: str, early_events: bool) -> list[Result]:
    """Ingest a batch together. After a lost race or a deadlock, ingest each event alone."""
    try:
        return ingest_together(lambda: batch, using=using, early_events=early_events)
    except (IntegrityError, *UNAVAILABLE):
        return [ingest_one(each, using=using, early_events=early_events) for each in batch]


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Pause the garbage collection, because scanning costs a quarter of the time.

    A batch keeps all its objects until its end, so a scan would free nothing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def tuned_for_loading(*, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Tune this connection for a long `ingest_many`. Other connections keep their own settings."""
    if connections[using].vendor == "postgresql":
        yield
        execute("ANALYZE", using=using)
        return
    # Ids are random, so every batch touches pages all over the indexes. Hold them in memory, and
    # copy a page from the WAL once for many batches.
    execute("PRAGMA cache_size = -262144", using=using)
    execute("PRAGMA wal_autocheckpoint = 65536", using=using)
    try:
        yield
    finally:
        execute("PRAGMA wal_autocheckpoint = 1000", using=using)
        execute("PRAGMA cache_size = -2000", using=using)
        execute("PRAGMA wal_checkpoint(TRUNCATE)", using=using)
