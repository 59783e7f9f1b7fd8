"""Takes the text of a conversation out of all that is stored. What is left keeps it from coming back.

Beside events.py the only module that writes conversations and messages.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from chat.models import Conversation, Delivery, Message, MessageWords

# How much of the search index is written anew at once, while others wait: some 4 MB.
PAGES_AT_ONCE = 1_000
# How often to look whether those have ended who began before the erasure, and how long in between.
LOOKS = 60
SECONDS_BETWEEN = 0.5


class NothingStored(Exception):
    """There is neither a conversation nor a delivery with this id."""


class StillRead(Exception):
    """Someone has been at work since before the erasure all the time, and what they see is kept."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What is stored about a conversation; None where it is known from early events only."""

    conversation: Conversation | None
    messages: int
    deliveries: int


def stock_of(id: UUID) -> Stock:
    """Raises NothingStored."""
    conversation = Conversation.objects.find(id)
    deliveries = Delivery.objects.about(id).count()
    if conversation is None and not deliveries:
        raise NothingStored
    return Stock(conversation, Message.objects.filter(conversation=id).count(), deliveries)


@transaction.atomic(durable=True)
def erase(id: UUID, *, at: datetime) -> None:
    """Empty its messages, their words and the deliveries that name it, and close it. One that is not
    known yet is made, closed, so that nothing can open it. `scrub()` then does what takes longer.
    """
    conversation = Conversation.objects.locked(id)
    Delivery.objects.naming(id).update(body=b"")
    if conversation is None:
        conversation = Conversation(id=id, opened_at=at, activity_at=at)
        conversation.erase(at=at)
        conversation.save(force_insert=True)
        return
    MessageWords.objects.filter(message__conversation=id).update(words=[])
    conversation.messages.update(content="")
    conversation.erase(at=at)
    conversation.save(force_update=True)


def scrub(id: UUID, *, rewrite: bool = False) -> Iterator[int]:
    """Empty what could not be read and mentions it, and take out what the database keeps of text that
    is not stored any more. Yields as it goes on; others write meanwhile.

    PostgreSQL leaves bytes of rows that are gone in the free space of its files, until they are written
    over; `rewrite` makes the files anew, and locks everyone out for as long.

    Raises StillRead, and Django's DatabaseError; may be run again.
    """
    wait_for_older_transactions()  # whoever did not know of the erasure yet may have logged it
    mentioned = Delivery.objects.unreadable_about(id)
    Delivery.objects.filter(pk__in=mentioned).update(body=b"")
    if connection.vendor == "postgresql":
        vacuum_all(rewrite=rewrite)
        return
    yield from merge_the_search_index()
    empty_the_wal()


def wait_for_older_transactions() -> None:
    """PostgreSQL's VACUUM keeps what a transaction from before can still see: a pg_dump, a forgotten
    session. SQLite's writers come one after the other, and its readers are waited for with the WAL.
    """
    if connection.vendor != "postgresql":
        return
    [now] = row_of("SELECT pg_current_xact_id()::xid::text")
    until(lambda: not row_of(OLDER, [now])[0])


# Who writes in another database of the server counts: every snapshot's horizon has all of them.
OLDER = """
SELECT COUNT(*) FROM (
    SELECT backend_xid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    UNION ALL SELECT backend_xmin FROM pg_stat_activity
    WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid()
    UNION ALL SELECT unnest(ARRAY[xmin, catalog_xmin]) FROM pg_replication_slots
    UNION ALL SELECT transaction FROM pg_prepared_xacts
) AS in_use(xid) WHERE age(xid) > age(%s::xid)
"""


def vacuum_all(*, rewrite: bool) -> None:
    """With the samples of columns that the planner keeps: they are made anew, and may be text. The old
    ones die only then, so that whoever came meanwhile is waited for as well.
    """
    how = "FULL, " if rewrite else ""
    models = (Conversation, Message, MessageWords, Delivery)
    for tables in [model._meta.db_table for model in models], ["pg_statistic"]:
        wait_for_older_transactions()
        execute(f"VACUUM ({how}ANALYZE) {', '.join(tables)}")


def merge_the_search_index() -> Iterator[int]:
    """FTS5 only notes that a word is gone, until it merges what it noted with what it had.

    Its `optimize` does all of it in one statement, and others would wait for minutes.
    """
    table = MessageWords._meta.db_table
    pages = -PAGES_AT_ONCE  # negative begins a merge of everything
    while True:
        with taking_turns():
            before = connection.connection.total_changes
            execute(f"INSERT INTO {table}({table}, rank) VALUES ('merge', {pages})")  # noqa: S608
            if connection.connection.total_changes - before < 2:  # FTS5's word for: nothing left
                return
        pages = PAGES_AT_ONCE
        yield PAGES_AT_ONCE


@contextmanager
def taking_turns() -> Iterator[None]:
    """A transaction, and after it as much time for other writers, who would not get in otherwise."""
    began = monotonic()
    with transaction.atomic(durable=True):
        yield
    sleep(monotonic() - began)


def empty_the_wal() -> None:
    """It has pages as they were, so all goes into the file, and nothing of it is left.

    Writers wait while this waits for readers: not for long at once.
    """
    execute("PRAGMA busy_timeout = 200")
    until(lambda: not row_of("PRAGMA wal_checkpoint(TRUNCATE)")[0])


def until(is_over: Callable[[], bool]) -> None:
    for _ in range(LOOKS):
        if is_over():
            return
        sleep(SECONDS_BETWEEN)
    raise StillRead


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def row_of(statement: str, parameters: Sequence[str] = ()) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row: tuple[Any, ...] = cursor.fetchone()
        return row
