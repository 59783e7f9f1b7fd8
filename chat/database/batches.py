"""Batches in bounded memory, of any number of items, and transactions with pauses for other writers."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from chat.database.migrated import writing

# PostgreSQL locks each unknown id, and has room for some 6,400 locks by default.
EVENTS_A_BATCH = 2_000
BYTES_A_BATCH = 16 * 1024 * 1024
KEYS_A_BATCH = 200
DELETED_AT_ONCE = 500

Item = TypeVar("Item")


def batches(
    items: Iterable[Item], size_of: Callable[[Item], int], *, most: int = EVENTS_A_BATCH
) -> Iterator[list[Item]]:
    """Yield batches of at most `most` items. A batch also ends at BYTES_A_BATCH, summed by `size_of`."""
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += size_of(item)
        if len(batch) >= most or size >= BYTES_A_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def key_batches(
    rows: QuerySet[Any], most: int = KEYS_A_BATCH, *, last_first: bool = False
) -> Iterator[list[Any]]:
    """Yield all keys in order, some at a time, so no read transaction stays open."""
    order, beyond = ("-pk", "pk__lt") if last_first else ("pk", "pk__gt")
    keys = rows.order_by(order).values_list("pk", flat=True)
    part = list(keys[:most])
    while part:
        yield part
        part = list(keys.filter(**{beyond: part[-1]})[:most])


@contextmanager
def taking_turns(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Run a transaction, then sleep as long, because other writers would starve otherwise."""
    began = monotonic()
    with writing(using=using):
        yield
    sleep(monotonic() - began)


def delete_in_batches(rows: QuerySet[Any]) -> Iterator[int]:
    """Delete rows in their order. Yield the size of each batch; other writers get in between.

    On PostgreSQL another transaction may change or refer to a row while its key is read. Therefore
    the keys are locked first, and each row is judged once more under its lock.
    """
    # Only the key: a delete needs no other column.
    rows = rows.only("pk")
    while True:
        with taking_turns():
            part = [row.pk for row in rows.select_for_update(of=("self",))[:DELETED_AT_ONCE]]
            deleted, _ = rows.filter(pk__in=part).delete()
        if not part:
            return
        yield deleted
