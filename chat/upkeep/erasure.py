"""Erase the text of a conversation everywhere. The remaining rows keep the text from coming back.

Only this module and chat/events write conversations and messages.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from threading import TIMEOUT_MAX, Event, Thread
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from chat.database.batches import taking_turns
from chat.database.migrated import writing
from chat.database.statements import execute, in_parts
from chat.models import Change, Conversation, Delivery, Message, MessageWords
from chat.text.folding import indexed
from chat.upkeep import erasure_list
from chat.upkeep.erasure_list import Happened

# Pages of the search index rewritten by one transaction while other writers wait: some 4 MB.
PAGES_AT_ONCE = 1_000
# How often to check for transactions older than the erasure, and how long to wait in between.
LOOKS = 60
SECONDS_BETWEEN = 0.5
SECONDS_BETWEEN_CANCELS = 1


class NothingStored(Exception):
    """Neither a conversation nor a delivery has this id."""


class StillRead(Exception):
    """A transaction older than the erasure is still open and can see the old text."""


class OutOfTime(Exception):
    """The deadline is over. Another scrub gets further, because cleaned pages take hardly any time."""


@dataclass(frozen=True, slots=True)
class Stock:
    """The stored rows of a conversation. `conversation` is None if only early events are stored."""

    conversation: Conversation | None
    messages: int
    deliveries: int


def stock_of(id: UUID) -> Stock:
    """Count the stored rows. Raises NothingStored."""
    conversation = Conversation.objects.find(id)
    deliveries = Delivery.objects.about(id).count()
    if conversation is None and not deliveries:
        raise NothingStored
    return Stock(conversation, Message.objects.filter(conversation=id).count(), deliveries)


def erase(*ids: UUID, at: datetime, using: str = DEFAULT_DB_ALIAS) -> None:
    """Empty the conversations' messages, words and deliveries, and close the conversations.

    An unknown conversation is created as closed, so nothing can open it. `scrub()` then does the slow
    part. Raises NoPlace and OSError if the list of erasures cannot be written; then nothing is erased.
    """
    # Before the commits, so no erasure is missing from the list.
    erasure_list.note(Happened.ERASED, *ids, at=at)
    for id in ids:
        with writing(using=using):
            empty(id, at=at, using=using)


def empty(id: UUID, *, at: datetime, using: str) -> None:
    conversation = Conversation.objects.using(using).locked(id)
    Delivery.objects.using(using).naming(id).update(body=b"", text_digest=None)
    Change.objects.using(using).create(type=Change.Type.ERASED, conversation_id=id, at=at)
    if conversation is None:
        conversation = Conversation(id=id, opened_at=at, activity_at=at)
        conversation.erase(at=at)
        conversation.save(using=using, force_insert=True)
        return
    MessageWords.objects.using(using).filter(message__conversation=id).update(words=indexed(""))
    conversation.messages.update(content="")
    conversation.erase(at=at)
    conversation.save(using=using, force_update=True)


def erase_again(*, at: datetime, using: str = DEFAULT_DB_ALIAS) -> Iterator[UUID]:
    """Erase the listed conversations not erased in the database. Yield each id.

    There are some after a restore of an older backup, or a failed erasure. A conversation missing
    from the backup is erased too, because its sender may send its events again. Raises as `erase`.
    """
    erased = Conversation.objects.using(using).exclude(erased_at=None)
    for part in in_parts(list(erasure_list.read())):
        done = set(erased.filter(pk__in=part).values_list("pk", flat=True))
        for id in part:
            if id not in done:
                erase(id, at=at, using=using)
                yield id


def scrub(
    *ids: UUID, rewrite: bool = False, deadline: float = inf, using: str = DEFAULT_DB_ALIAS
) -> Iterator[int]:
    """Empty bodies logged since the erasure, and unreadable bodies with the conversations' ids.
    Then remove old text from the files.

    Yields pages done; other writers go on meanwhile. PostgreSQL leaves bytes of deleted rows in free
    space until new rows overwrite them. `rewrite` rewrites the files, and locks everyone out meanwhile.

    Raises OutOfTime at the `deadline` (time.monotonic), StillRead, and Django's `Error`. May be
    run again.
    """
    # These may log text, because they do not see the erasure.
    wait_for_older_transactions(deadline=deadline, using=using)
    for part in in_parts(list(ids)):
        empty_the_log(part, using=using)
        yield 0
    if connections[using].vendor == "postgresql":
        yield from vacuum_all(rewrite=rewrite, deadline=deadline, using=using)
        return
    yield from merge_the_search_index(using)
    empty_the_wal(deadline=deadline, using=using)


def empty_the_log(ids: Collection[UUID], *, using: str) -> None:
    log = Delivery.objects.using(using)
    for id in ids:
        log.naming(id).exclude(body=b"").update(body=b"")
    log.filter(pk__in=log.unreadable_about(ids)).update(body=b"")


def wait_for_older_transactions(*, deadline: float, using: str) -> None:
    """Wait, because VACUUM keeps rows visible to an older transaction, such as a pg_dump.

    SQLite's writers run one after the other, and emptying the WAL waits for its readers.
    Raises StillRead and OutOfTime.
    """
    if connections[using].vendor != "postgresql":
        return
    newest = execute("SELECT pg_current_xact_id()::xid::text", using=using) or ()
    until(lambda: execute(OLDER, newest, using=using) == (0,), deadline=deadline)


# Includes writers in the server's other databases: every snapshot's horizon includes them.
OLDER = """
SELECT COUNT(*) FROM (
    SELECT backend_xid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    UNION ALL SELECT backend_xmin FROM pg_stat_activity
    WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid()
    UNION ALL SELECT unnest(ARRAY[xmin, catalog_xmin]) FROM pg_replication_slots
    UNION ALL SELECT transaction FROM pg_prepared_xacts
) AS in_use(xid) WHERE age(xid) > age(%s::xid)
"""


def vacuum_all(*, rewrite: bool, deadline: float, using: str) -> Iterator[int]:
    """Vacuum the tables, then `pg_statistic`: samples of old column values may contain text.

    ANALYZE replaces the samples. Transactions begun during the first VACUUM can still see the old
    samples, so this waits for these transactions too. Yields after each table.
    """
    how = "FULL, " if rewrite else ""
    models = (Conversation, Message, MessageWords, Delivery)
    for tables in [model._meta.db_table for model in models], ["pg_statistic"]:
        wait_for_older_transactions(deadline=deadline, using=using)
        for table in tables:
            with cancelled_at(deadline, using=using):
                execute(f"VACUUM ({how}ANALYZE) {table}", using=using)
            yield 0


@contextmanager
def cancelled_at(deadline: float, *, using: str) -> Iterator[None]:
    """Cancel PostgreSQL's statement of the block at the deadline. Raises OutOfTime.

    Not by `statement_timeout`: behind a pooler the next statement may get another session. A cancelled
    VACUUM keeps its cleaned pages, and the next VACUUM skips most of them.
    """
    over = Event()
    watch = Thread(target=cancel, args=(connections[using].connection, deadline, over), daemon=True)
    watch.start()
    try:
        yield
    except OperationalError:
        if monotonic() < deadline:
            raise
        raise OutOfTime from None
    finally:
        over.set()
        watch.join()


def cancel(connection: psycopg.Connection[Any], deadline: float, over: Event) -> None:
    """Cancel again and again, because the statement may not have begun at the deadline."""
    wait = deadline - monotonic()
    while not over.wait(min(wait, TIMEOUT_MAX)):
        with suppress(psycopg.Error):
            connection.cancel_safe()
        wait = SECONDS_BETWEEN_CANCELS


def merge_the_search_index(using: str) -> Iterator[int]:
    """Merge the index, because FTS5 only marks words as deleted until a merge. Yield pages done.

    FTS5's `optimize` merges everything in one statement, and other writers would wait for minutes.
    """
    table = MessageWords._meta.db_table
    pages = -PAGES_AT_ONCE  # a negative number starts a merge of everything
    while True:
        with taking_turns(using):
            connection = connections[using]
            before = connection.connection.total_changes
            merge = f"INSERT INTO {table}({table}, rank) VALUES ('merge', {pages})"  # noqa: S608
            execute(merge, using=using)
            if connection.connection.total_changes - before < 2:  # FTS5's sign for: nothing left
                return
        pages = PAGES_AT_ONCE
        yield PAGES_AT_ONCE


def empty_the_wal(*, deadline: float, using: str) -> None:
    """Move the WAL into the database file, and truncate the WAL, because it holds old pages.

    Writers wait while this waits for readers, so each attempt is short. Raises StillRead and OutOfTime.
    """
    execute("PRAGMA busy_timeout = 200", using=using)
    until(lambda: truncate_the_wal(using), deadline=deadline)


def truncate_the_wal(using: str) -> bool:
    """Try to truncate the WAL. Return False if a reader was in the way."""
    row = execute("PRAGMA wal_checkpoint(TRUNCATE)", using=using)
    return row is not None and not row[0]


def until(is_over: Callable[[], bool], *, deadline: float) -> None:
    """Check again and again until the condition holds.

    Raises StillRead after LOOKS checks, and OutOfTime after the deadline.
    """
    for _ in range(LOOKS):
        if is_over():
            return
        if monotonic() > deadline:
            raise OutOfTime
        sleep(SECONDS_BETWEEN)
    raise StillRead
