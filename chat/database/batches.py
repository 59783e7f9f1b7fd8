"""Batches of bounded memory, made from any number of items."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from django.db.models import QuerySet

# PostgreSQL locks each unknown id, and has room for some 6,400 locks by default.
EVENTS_A_BATCH = 2_000
BYTES_A_BATCH = 16 * 1024 * 1024
KEYS_A_BATCH = 200

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


def key_batches(rows: QuerySet[Any], most: int = KEYS_A_BATCH) -> Iterator[list[Any]]:
    """Yield all keys in order, some at a time, so that no read transaction stays open."""
    found = rows.order_by("pk").values_list("pk", flat=True)
    part = list(found[:most])
    while part:
        yield part
        part = list(found.filter(pk__gt=part[-1])[:most])
