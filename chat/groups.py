"""Group commit: what many threads want written, written together by one of them."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

from django.db import OperationalError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass(slots=True, eq=False)
class Call(Generic[Item, Output]):
    """A thread's, which waits until it is served, or is to serve all who wait."""

    item: Item
    leads: bool = False
    output: Output | None = None
    error: Exception | None = None
    woken: Event = field(default_factory=Event)


class Group(Generic[Item, Output]):
    """`group(item)` is `alone(item)`, but that those who wait for the database are served together.

    One thread at a time leads: it calls `together`, whose argument gives, when it is called, the
    items of all who wait by then. Nobody returns before `together` has, and so its commit.
    """

    def __init__(
        self,
        together: Callable[[Callable[[], list[Item]]], list[Output]],
        alone: Callable[[Item], Output],
    ) -> None:
        self._together, self._alone = together, alone
        self._begin()
        os.register_at_fork(after_in_child=self._begin)  # whoever led stayed with the parent

    def _begin(self) -> None:
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
            raise OperationalError(*call.error.args) from call.error
        # What one event cannot have must not cost the others: then each tries for itself.
        return self._alone(item) if call.output is None else call.output

    def _join(self, call: Call[Item, Output]) -> None:
        with self._mutex:
            self._waiting.append(call)
            call.leads = not self._has_leader
            self._has_leader = True

    def _lead(self) -> None:
        calls: list[Call[Item, Output]] = []

        def items() -> list[Item]:
            calls.extend(self._take())
            return [call.item for call in calls]

        try:
            outputs = self._together(items)
        except OperationalError as error:  # the database's own, and so everybody's
            calls = calls or self._take()
            for call in calls:
                call.error = error
        except Exception:  # who has caused it meets it again, alone
            calls = calls or self._take()
            logger.warning("A group of %d is served one by one", len(calls), exc_info=True)
        else:
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
            following = self._waiting[0] if self._waiting else None
            self._has_leader = following is not None
        if following is not None:  # first, as it has work to do
            following.leads = True
            following.woken.set()
        for call in served:
            call.woken.set()
