"""Django's PostgreSQL backend, with a limit to how long a request waits for it.

`lock_timeout` and `statement_timeout` are kept by the server: one that hangs, or that the network
has lost, keeps neither, and would hold every thread of ours. So the client keeps time too.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.errors import OperationalError, ReadOnlySqlTransaction

_limit: ContextVar[float | None] = ContextVar("_limit", default=None)
_until: ContextVar[float | None] = ContextVar("_until", default=None)


@contextmanager
def a_request(*, seconds: float) -> Iterator[None]:
    """What is done inside fails when it wants PostgreSQL for longer, from its first use of it on.

    Not from its start: a sender may take its time over a body. Commands have no limit.
    """
    limit, until = _limit.set(seconds), _until.set(None)
    try:
        yield
    finally:
        _limit.reset(limit)
        _until.reset(until)


def deadline() -> float | None:
    """Of what is done inside `a_request`, by time.monotonic; it is set by whoever asks first."""
    if (seconds := _limit.get()) is not None and _until.get() is None:
        _until.set(time.monotonic() + seconds)
    return _until.get()


class Connection(psycopg.Connection[Any]):
    """For the pool: it keeps no connection that hangs, nor one that takes no writes any more."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        until = deadline()
        if until is not None and timeout is None:
            timeout = max(0, until - time.monotonic())
        try:
            return super().wait(gen, interval, timeout)
        except ReadOnlySqlTransaction:
            self.pgconn.finish()  # a session keeps the setting that its database had when it began
            raise
        except OperationalError:
            if timeout is not None and until is not None and time.monotonic() >= until:
                self.pgconn.finish()  # its answer may still come, and would be taken for another's
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Waiting for the pool counts too."""
        deadline()
        return super().get_new_connection(conn_params)
