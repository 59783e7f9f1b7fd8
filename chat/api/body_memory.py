"""The memory for bodies in one process: how much the webhook takes, and for how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Lock
from time import monotonic
from typing import Any

from django.conf import settings

from chat.bodies import BYTES_A_READ
from chat.refusals import BodyTooSlow, TooManyBodies

# A smaller body needs no room, because the threads of a process are few. So slow large bodies never
# keep usual events out: these are small.
SMALL = 64 * 1024
MIB = 1024 * 1024


class Place:
    """The room of one larger body, and the part of the body read so far."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.deadline = monotonic() + settings.SECONDS_FOR_A_MIB * (1 + size / MIB)
        # None once the body is read, or has lost its room.
        self._read: BytesIO | None = BytesIO()
        self._lock = Lock()

    def read(self, most: int, stream: Any) -> bytes:
        """Read the stream to its end, or `most` bytes of it. Raises BodyTooSlow after the deadline.

        Reads pieces, like `read_up_to`. A read cannot be interrupted, so a slow body is refused at the
        end of a piece.
        """
        left = most
        while left > 0 and (piece := stream.read(min(left, BYTES_A_READ))):
            self._keep(piece)
            left -= len(piece)
        return self._finish()

    def take_if_late(self) -> bool:
        """Drop the part read so far if the body is late. Return whether the body was late."""
        with self._lock:
            if self._read is None or monotonic() < self.deadline:
                return False
            self._read = None
            return True

    def _keep(self, piece: bytes) -> None:
        with self._lock:
            if self._read is None or monotonic() >= self.deadline:
                self._read = None
                raise BodyTooSlow
            self._read.write(piece)

    def _finish(self) -> bytes:
        with self._lock:
            if self._read is None:
                raise BodyTooSlow
            body, self._read = self._read.getvalue(), None
            return body


class Room:
    """Room for larger bodies, from before they are read until they are answered.

    A body takes several times its size while it is parsed and stored.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._places: set[Place] = set()

    @contextmanager
    def reserved(self, size: int) -> Iterator[Place]:
        """Give a body of so many bytes its place, if need be the place of a late body.

        Raises TooManyBodies if there is no room.
        """
        place = self._take(size)
        try:
            yield place
        finally:
            with self._lock:
                self._places.discard(place)

    def _take(self, size: int) -> Place:
        with self._lock:
            if not self._has_room_for(size):
                self._places -= {place for place in self._places if place.take_if_late()}
            if not self._has_room_for(size):
                raise TooManyBodies
            place = Place(size)
            self._places.add(place)
            return place

    def _has_room_for(self, size: int) -> bool:
        taken = sum(place.size for place in self._places)
        return taken + size <= settings.MAX_BODIES_BYTES


ROOM = Room()
