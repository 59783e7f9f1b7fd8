"""All messages in the order of their arrival, as text, in bounded memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.db import OperationalError, connection

from chat.database.json_texts import IdText, InstantText
from chat.models.messages import SHORT_CONTENT, Message, MessageQuerySet, content_of

# Arrivals read by one query, so each query is short with any filter.
WINDOW = 1_000
SECONDS_FOR_WRITERS = 3
SECONDS_BETWEEN_LOOKS = 0.02


class MessageText(NamedTuple):
    """A message as text. `arrival` is its place in the export."""

    arrival: int
    id: str
    conversation_id: str
    direction: str
    content: str
    timestamp: str
    received_at: str


def written_within(since: datetime | None, until: datetime | None) -> MessageQuerySet:
    """Return the messages with a timestamp from `since` up to, but not including, `until`."""
    messages = Message.objects.all()
    if since:
        messages = messages.filter(timestamp__gte=since)
    return messages.filter(timestamp__lt=until) if until else messages


def in_windows(
    messages: MessageQuerySet, *, after: int, last: int
) -> Iterator[Iterator[MessageText]]:
    """Yield these messages by windows of arrivals: from the one after `after` to `last`.

    A window may be empty. Each must be read before the next one is asked for.
    """
    columns = messages.order_by("arrival").values_list(
        "arrival",
        IdText("id"),
        IdText("conversation_id"),
        "direction",
        SHORT_CONTENT,
        InstantText("timestamp"),
        InstantText("received_at"),
    )
    for start in range(after, last, WINDOW):
        stop = min(start + WINDOW, last)
        yield map(whole, columns.filter(arrival__gt=start, arrival__lte=stop))


def whole(row: tuple[Any, ...]) -> MessageText:
    message = MessageText._make(row)
    if message.content is not None:  # nearly always: `_replace` takes as long as the rest
        return message
    return message._replace(content=content_of(message.arrival, None))


def settled_arrival() -> int:
    """Return the last arrival, once no message with an earlier arrival can still be committed.

    PostgreSQL gives arrivals out of the order of commits. Transactions now writing messages may have
    earlier arrivals, so this waits for their end. Raises OperationalError after SECONDS_FOR_WRITERS.
    """
    last = Message.objects.order_by("-arrival").values_list("arrival", flat=True).first() or 0
    if connection.vendor == "postgresql":
        wait_for_writers()
    return last


def wait_for_writers() -> None:
    until = time.monotonic() + SECONDS_FOR_WRITERS
    left = writers()
    while left:
        if time.monotonic() > until:
            raise OperationalError("a transaction that writes messages does not end")
        time.sleep(SECONDS_BETWEEN_LOOKS)
        left &= writers()


def writers() -> set[str]:
    """Return the other transactions with messages to write: each takes this lock before an arrival."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT virtualtransaction FROM pg_locks JOIN pg_database ON database = pg_database.oid "
            "WHERE datname = current_database() AND relation = 'chat_message'::regclass "
            "AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()"
        )
        return {transaction for (transaction,) in cursor.fetchall()}
