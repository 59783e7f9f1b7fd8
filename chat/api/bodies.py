"""The memory of bodies: how much of it the webhook takes in one process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.conf import settings

from chat.refusals import TooManyBodies

# A smaller body needs no room: the threads of a process are few, and events are small. So nobody
# keeps events out with large bodies that come slowly.
SMALL = 64 * 1024


class Room:
    """Room for larger bodies, from before they are read until they are answered.

    A body takes several times its size while it is parsed and stored.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken = 0

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Raises TooManyBodies if there is no room for so many bytes."""
        self._change(size)
        try:
            yield
        finally:
            self._change(-size)

    def _change(self, size: int) -> None:
        with self._lock:
            if self._taken + size > settings.MAX_BODIES_BYTES:
                raise TooManyBodies
            self._taken += size


ROOM = Room()
