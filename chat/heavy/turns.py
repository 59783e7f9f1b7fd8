"""How many threads of a process may do some heavy work at one time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from realmate.postgresql.base import not_counted


class Turns:
    """A number of turns. A thread without a turn in time gets the refusal."""

    def __init__(self, number: int, refusal: type[Exception]) -> None:
        self._turns = BoundedSemaphore(number)
        self._refusal = refusal

    @contextmanager
    def turn(self, *, seconds: float) -> Iterator[None]:
        """Hold a turn. Raises the refusal if none is free within so many seconds.

        The wait takes nothing from the database's deadline.
        """
        with not_counted():
            has_turn = self._turns.acquire(timeout=seconds)
        if not has_turn:
            raise self._refusal
        try:
            yield
        finally:
            self._turns.release()
