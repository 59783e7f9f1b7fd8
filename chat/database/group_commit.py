"""Group commit: threads waiting for the database share one transaction."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

from chat.database import UNAVAILABLE

logger = logging.getLogger(__name__)

# Called with the size of each group. realmate/wsgi.py puts a histogram here; commands count nothing.
note_size: Callable[[int], object] = lambda size: None  # noqa: E731

Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass(slots=True, eq=False)
class Call(Generic[Item, Output]):
    """One thread's request. It waits to be served, or is chosen to serve everyone who waits."""

    item: Item
    leads: bool = False
    output: Output | None = None
    error: Exception | None = None
    woken: Event = field(default_factory=Event)


class GroupCommit(Generic[Item, Output]):
    """Returns what `alone(item)` would return, but runs all waiting threads' items in one transaction.

    One thread at a time is the leader, and calls `together(take_batch)`. `take_batch()` returns the
    items of all threads waiting at this moment. No thread returns before `together` has committed.
    """

    def __init__(
        self,
        together: Callable[[Callable[[], list[Item]]], list[Output]],
        alone: Callable[[Item], Output],
    ) -> None:
        self._together, self._alone = together, alone
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # the leader stayed in the parent process

    def _reset(self) -> None:
        self._mutex = Lock()
        self._has_leader = False
        self._waiting: list[Call[Item, Output]] = []

    def __call__(self, item: Item) -> Output:
        call: Call[Item, Output] = Call(item)
        self._join(call)
        if not call.leads:
            call.woken.wait()
        if call.leads:
            self._lead()
        if call.error is not None:
            raise type(call.error)(*call.error.args) from call.error
        return self._alone(item) if call.output is None else call.output

    def _join(self, call: Call[Item, Output]) -> None:
        with self._mutex:
            self._waiting.append(call)
            call.leads = not self._has_leader
            self._has_leader = True

    def _lead(self) -> None:
        """Serve the waiting calls, then wake their threads and the next leader.

        A failure of the database is everyone's failure. After any other failure each thread tries
        its item alone, and the item at fault raises its error there.
        """
        calls: list[Call[Item, Output]] = []

        def take_batch() -> list[Item]:
            calls.extend(self._take())
            return [call.item for call in calls]

        try:
            outputs = self._together(take_batch)
        except UNAVAILABLE as error:
            calls = calls or self._take()
            for call in calls:
                call.error = error
        except Exception:
            calls = calls or self._take()
            logger.warning("A group of %d is served one by one", len(calls), exc_info=True)
        else:
            note_size(len(calls))
            for call, output in zip(calls, outputs, strict=True):
                call.output = output
        finally:
            self._hand_over(calls or self._take())

    def _take(self) -> list[Call[Item, Output]]:
        with self._mutex:
            calls, self._waiting = self._waiting, []
        return calls

    def _hand_over(self, served: list[Call[Item, Output]]) -> None:
        with self._mutex:
            next_leader = self._waiting[0] if self._waiting else None
            self._has_leader = next_leader is not None
        if next_leader is not None:  # first, because the leader has work to do
            next_leader.leads = True
            next_leader.woken.set()
        for call in served:
            call.woken.set()
