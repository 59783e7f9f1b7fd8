"""Django's PostgreSQL backend, with a deadline for each request, and fit for poolers.

The server enforces `lock_timeout` and `statement_timeout`. A hung or unreachable server enforces
neither, and would block every thread of the service. Therefore the client has a time limit too.

Behind a pooler in transaction mode (DATABASE_POOLER) each transaction may get another session of the
server. Therefore each transaction begins by setting what is otherwise set once a session.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db import NotSupportedError, transaction
from django.db.backends.postgresql import base
from psycopg import IsolationLevel
from psycopg.errors import OperationalError, ReadOnlySqlTransaction

from realmate.database_url import session_settings
from realmate.postgresql.client import DatabaseClient

_limit: ContextVar[float | None] = ContextVar("_limit", default=None)
_until: ContextVar[float | None] = ContextVar("_until", default=None)


# Called with the seconds of each wait for the pool. See realmate.sqlite.
note_wait: Callable[[float], object] = lambda seconds: None  # noqa: E731


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
    """Return the deadline (time.monotonic) of the current `a_request`. The first call sets it."""
    if (seconds := _limit.get()) is not None and _until.get() is None:
        _until.set(time.monotonic() + seconds)
    return _until.get()


@contextmanager
def not_counted() -> Iterator[None]:
    """Extend the deadline of the current `a_request` by the time of the block. It asks no database."""
    began = time.monotonic()
    try:
        yield
    finally:
        if (until := _until.get()) is not None:
            _until.set(until + time.monotonic() - began)


class Connection(psycopg.Connection[Any]):
    """A pooled connection, closed after a deadline, and when its session is read-only."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        until = deadline()
        if until is not None and timeout is None:
            timeout = until - time.monotonic()
            if timeout <= 0:
                self.pgconn.finish()  # also ends the transaction
                raise OperationalError("The deadline of the request has passed.")
        try:
            return super().wait(gen, interval, timeout)
        except ReadOnlySqlTransaction:
            self.pgconn.finish()  # a session keeps its first read-only setting to the end
            raise
        except OperationalError:
            if timeout is not None and until is not None and time.monotonic() >= until:
                self.pgconn.finish()  # a late answer would be taken for the next statement's
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.settings_dict["POOLED"]:
            self.execute_wrappers.append(self._write_in_a_transaction)

    @property
    def queries_logged(self) -> bool:
        """See realmate.sqlite."""
        return self.force_debug_cursor

    def init_connection_state(self) -> None:
        """Raise NotSupportedError if the encoding is not UTF-8. Another one cannot hold every text."""
        encoding = self.connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            self.close()  # or the next statement would run on this connection
            raise NotSupportedError(
                f"the encoding of the database is {encoding}: create it with ENCODING 'UTF8'"
            )
        super().init_connection_state()

    def get_connection_params(self) -> dict[str, Any]:
        """Send no startup options to a pooler: PgBouncer refuses them. "" hides PGOPTIONS too."""
        params: dict[str, Any] = super().get_connection_params()
        return params | {"options": ""} if self.settings_dict["POOLED"] else params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Wait for the pool until the deadline of the request. The time starts here at the latest.

        Django gives the pool no deadline, so the pool would wait for its own `timeout`. After a lost
        connection it would wait twice, because Django asks again to end the transaction. Past the
        deadline the pool refuses at once. Otherwise it would check idle connections, find them too
        slow, and close them.
        """
        until = deadline()
        if until is None or self.pool is None:
            return super().get_new_connection(conn_params)
        self.isolation_level = IsolationLevel.READ_COMMITTED
        self.pool.open()
        began = time.monotonic()
        try:
            return self.pool.getconn(timeout=until - began)
        finally:
            note_wait(time.monotonic() - began)

    def wait_for_a_session(self, *, seconds: float) -> None:
        """Raise OperationalError unless the pool has a session in time. The pool's own limit is for events."""
        if self.connection is None and self.pool:
            with self.wrap_database_errors:
                self.pool.open()
                self.pool.putconn(self.pool.getconn(timeout=seconds))

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]
        if self.settings_dict["POOLED"] and not autocommit:
            try:
                self._set_for_the_transaction()
            except BaseException:
                self.close()  # or Django would take the open transaction for none
                raise

    def _set_for_the_transaction(self) -> None:
        """Set the startup options and the time zone for one transaction, in one statement."""
        settings = session_settings(self.settings_dict["OPTIONS"]["options"])
        settings["timezone"] = self.timezone_name
        each = ", ".join(["set_config(%s, %s, true)"] * len(settings))
        values = [text for setting in settings.items() for text in setting]
        with self.wrap_database_errors, self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {each}", values)

    def _write_in_a_transaction(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any
    ) -> Any:
        """Run a write outside a transaction in one, so that its commit is on disk when it returns."""
        if not (self.get_autocommit() and isinstance(sql, str) and WRITES.match(sql)):
            return execute(sql, params, many, context)
        with transaction.atomic(using=self.alias):
            return execute(sql, params, many, context)


WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
