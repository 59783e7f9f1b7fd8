"""Django's PostgreSQL backend, with a deadline for each request.

The server keeps `lock_timeout` and `statement_timeout`. A server that hangs or is cut off keeps
neither, and would block every thread of the service. Therefore the client keeps time too.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.errors import OperationalError, ReadOnlySqlTransaction

from realmate.postgresql.client import DatabaseClient

_limit: ContextVar[float | None] = ContextVar("_limit", default=None)
_until: ContextVar[float | None] = ContextVar("_until", default=None)


@contextmanager
def a_request(*, seconds: float) -> Iterator[None]:
    """Fail database calls inside the block `seconds` after the first one.

    The time does not start with the request, because a slow sender may still send its body.
    Commands have no deadline.
    """
    limit, until = _limit.set(seconds), _until.set(None)
    try:
        yield
    finally:
        _limit.reset(limit)
        _until.reset(until)


def deadline() -> float | None:
    """Return the deadline (time.monotonic) of the current `a_request`. The first call starts it."""
    if (seconds := _limit.get()) is not None and _until.get() is None:
        _until.set(time.monotonic() + seconds)
    return _until.get()


class Connection(psycopg.Connection[Any]):
    """A pooled connection. It is closed after a deadline, and when its session is read-only."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        until = deadline()
        if until is not None and timeout is None:
            timeout = max(0, until - time.monotonic())
        try:
            return super().wait(gen, interval, timeout)
        except ReadOnlySqlTransaction:
            self.pgconn.finish()  # a session keeps the read-only setting with which it began
            raise
        except OperationalError:
            if timeout is not None and until is not None and time.monotonic() >= until:
                self.pgconn.finish()  # a late answer would be taken for the next statement's
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Start the deadline before the wait for the pool."""
        deadline()
        return super().get_new_connection(conn_params)
