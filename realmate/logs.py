"""Log lines hold ids, codes and places in the code, never the text of a person."""

import logging
from collections.abc import Callable, Iterator
from threading import Lock
from time import monotonic
from traceback import format_tb
from types import TracebackType
from typing import Any

from django.http import HttpRequest
from pythonjsonlogger.json import JsonFormatter

from chat.database import UNAVAILABLE
from chat.problems import ids_of

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

Kind = tuple[str, int, object]

# Errors of the machine: a full disk, a lock, a lost server. Their messages quote no data.
FAULTS = (OSError, *UNAVAILABLE)


class JSONLines(JsonFormatter):
    """One JSON object a line, with the ids and the method of its request."""

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        request = log_data.pop("request", None)
        if isinstance(request, HttpRequest):
            log_data.update(ids_of(request), method=request.method)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging's name
        """Return the traceback as Python writes it, without messages that may quote data.

        PostgreSQL quotes a row in violation of a constraint; int() quotes its argument.
        """
        chain = reversed(list(causes(ei[1])))
        return "\nthen\n".join(without_data(exception) for exception in chain)


def causes(exception: BaseException | None) -> Iterator[BaseException]:
    """Yield the exception and its causes, in the order of Python's own traceback."""
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        yield exception
        hidden = exception.__suppress_context__
        exception = exception.__cause__ or (None if hidden else exception.__context__)


def without_data(exception: BaseException) -> str:
    kind = type(exception)
    message = f": {exception}" if isinstance(exception, FAULTS) else ""
    frames = "".join(format_tb(exception.__traceback__))
    return f"{frames}{kind.__module__}.{kind.__qualname__}{message}"


class OneASecond(logging.Filter):
    """Lets one line of each kind through a second. Its `lines` counts the held lines and itself.

    A kind is the logger, the level, and the code, the exception or the text. A flood of 3.7 KB
    tracebacks would fill the disk of the database.
    """

    MOST_KINDS = 1_000

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        self._kinds: dict[Kind, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = kind_of(record), self._clock()
        with self._lock:
            since, held = self._kinds.get(kind, (now - 1, 0))
            if now - since < 1:
                self._kinds[kind] = since, held + 1
                return False
            if len(self._kinds) >= self.MOST_KINDS:
                self._kinds.clear()
            self._kinds[kind] = now, 0
        if held:
            record.lines = held + 1
        return True


def kind_of(record: logging.LogRecord) -> Kind:
    exception = record.exc_info[0] if record.exc_info else None
    what = getattr(record, "code", None) or exception or record.msg
    return record.name, record.levelno, what
