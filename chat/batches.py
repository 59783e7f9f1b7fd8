"""Parts of what has no bound: each as much as memory may hold at once, and a transaction lock."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

# PostgreSQL locks each unknown id, and has room for some 6,400 locks by default.
EVENTS_A_BATCH = 2_000
BYTES_A_BATCH = 16 * 1024 * 1024

Item = TypeVar("Item")


def batches(
    items: Iterable[Item], size_of: Callable[[Item], int], *, most: int = EVENTS_A_BATCH
) -> Iterator[list[Item]]:
    """As many as there may be, or as fit into the memory that a batch may take."""
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
