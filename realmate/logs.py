"""What a line of the log holds: ids, codes and places in the code, never what a person wrote."""

import logging
from collections.abc import Iterator
from traceback import format_tb
from types import TracebackType
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest
from pythonjsonlogger.json import JsonFormatter

from chat.problems import REQUEST_ID

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

# What the machine is to blame for: a full disk, a lock, a server gone. These name no data.
FAULTS = (OSError, OperationalError)


class JSONLines(JsonFormatter):
    """One JSON object a line, with the request that it is about."""

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        request = log_data.pop("request", None)
        if isinstance(request, HttpRequest):
            log_data["request_id"] = str(request.META.get(REQUEST_ID, ""))
            log_data["method"] = request.method

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging's name
        """The traceback as Python writes it, but for what an exception says of the data that it met.

        PostgreSQL quotes the whole row that a constraint refuses; int() quotes what is no number.
        """
        chain = reversed(list(causes(ei[1])))
        return "\nthen\n".join(without_data(exception) for exception in chain)


def causes(exception: BaseException | None) -> Iterator[BaseException]:
    """The exception, and what led to it, as Python's own traceback tells it."""
    seen: set[int] = set()
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        yield exception
        hidden = exception.__suppress_context__
        exception = exception.__cause__ or (None if hidden else exception.__context__)


def without_data(exception: BaseException) -> str:
    kind = type(exception)
    said = f": {exception}" if isinstance(exception, FAULTS) else ""
    frames = "".join(format_tb(exception.__traceback__))
    return f"{frames}{kind.__module__}.{kind.__qualname__}{said}"
