"""Time limits of reads."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections, transaction

# Instructions of SQLite's virtual machine between two looks at the clock: less than a millisecond.
INSTRUCTIONS = 10_000


class TooSlow(Exception):
    """The queries took longer than their limit. The database has stopped them."""


@contextmanager
def at_most(seconds: float, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[Callable[[], None]]:
    """Stop the queries inside the block when so many seconds are over. Raises TooSlow.

    Yield a function to call between rows. It raises TooSlow too. PostgreSQL reads in one transaction.
    """
    until = monotonic() + seconds

    def check() -> None:
        if monotonic() >= until:
            raise TooSlow

    def check_first(execute: Any, *statement: Any) -> Any:
        check()
        return execute(*statement)

    connection: Any = connections[using]
    # psycopg's too: Django does not translate the errors of a cursor that it closes after another error.
    errors = OperationalError, connection.Database.OperationalError
    limited = limited_in_sqlite if connection.vendor == "sqlite" else limited_in_postgresql
    try:
        with limited(until, using), connection.execute_wrapper(check_first):
            yield check
    except errors:
        check()
        raise


@contextmanager
def limited_in_sqlite(until: float, using: str) -> Iterator[None]:
    connections[using].ensure_connection()
    connection: Any = connections[using].connection
    connection.set_progress_handler(lambda: monotonic() >= until, INSTRUCTIONS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


@contextmanager
def limited_in_postgresql(until: float, using: str) -> Iterator[None]:
    """Give each statement the rest of the time. The old limit is back afterwards."""
    connection: Any = connections[using]

    def limit(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        left = max(1, int((until - monotonic()) * 1000))
        connection.connection.execute(f"SET LOCAL statement_timeout = {left}")
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        stack.enter_context(transaction.atomic(using=using))
        before = connection.connection.execute("SHOW statement_timeout").fetchone()[0]
        stack.enter_context(connection.execute_wrapper(limit))
        yield
        connection.connection.execute("SELECT set_config('statement_timeout', %s, true)", [before])
