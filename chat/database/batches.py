"""Batches of bounded memory, made from any number of items."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

# PostgreSQL locks each unknown id, and has room for some 6,400 locks by default.
EVENTS_A_BATCH = 2_000
BYTES_A_BATCH = 16 * 1024 * 1024

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
