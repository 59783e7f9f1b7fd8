"""Shared parts of the operator's commands. Without --yes these only announce their work."""

from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db import Error, ProgrammingError
from django.utils import timezone

from chat.database.migrated import WrongSchema
from chat.events.payloads import parse_id

NOTHING_DONE = "Nothing was done. Add --yes to do it."


def add_yes(parser: CommandParser, *, why: str = "") -> None:
    parser.add_argument(
        "--yes",
        action="store_true",
        help=f"{why}do the work; without --yes, only announce it",
    )


def conversation_id(text: str) -> UUID:
    id = parse_id(text)
    if id is None:
        raise ArgumentTypeError("not an id in the form 8-4-4-4-12")
    return id


def moment(text: str) -> datetime:
    """Parse a date, or a date and time. Without an offset in DISPLAY_TIME_ZONE, as on pages."""
    try:
        at = datetime.fromisoformat(text)
        return at if timezone.is_aware(at) else timezone.make_aware(at)
    except (ValueError, OverflowError):
        raise ArgumentTypeError("not a date (2025-02-21) or time (2025-02-21T10:20)") from None


def file_and_reason(error: OSError) -> str:
    """Return the file and the reason, without the number of the error."""
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


@contextmanager
def database_errors_named() -> Iterator[None]:
    """Turn a database error into a CommandError of one line. PostgreSQL quotes SQL in the others."""
    try:
        yield
    except WrongSchema as error:
        raise CommandError(f"nothing is written: {error}") from None
    except Error as error:
        raise CommandError(message_and_advice(error)) from error


def message_and_advice(error: Error) -> str:
    """Return the first line of the error, and what to do: missing tables have another remedy."""
    message = str(error).partition("\n")[0] or type(error).__name__
    unmigrated = isinstance(error, ProgrammingError) or message.startswith("no such")
    advice = "is it migrated?" if unmigrated else "`manage.py doctor` says more"
    return f"the database says: {message}; {advice}"
