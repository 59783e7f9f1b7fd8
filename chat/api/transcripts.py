"""A conversation as a file to keep: text to read, CSV for spreadsheets."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

from chat.database.keyset import page_of
from chat.models import IN_ORDER, Conversation, Message

# Texts can be of 4 MiB each.
CHUNK = 200
BYTE_ORDER_MARK = "\ufeff"  # Excel reads UTF-8 only where it finds one

# What a spreadsheet would run as a formula, its full-width forms included (OWASP, CSV injection).
FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
# Terminals obey these.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text_of(conversation: Conversation) -> Iterator[str]:
    """For people: one message after another, its further lines indented, so that none can pass for another."""
    yield header_of(conversation)
    for messages in chunks(conversation):
        yield "".join(map(paragraph, messages))


def csv_of(conversation: Conversation) -> Iterator[str]:
    """RFC 4180, for spreadsheets: text that one would run as a formula has an apostrophe before it."""
    yield BYTE_ORDER_MARK + rows([("timestamp", "direction", "content", "id")])
    for messages in chunks(conversation):
        yield rows(
            (utc(message.timestamp), message.direction, harmless(message.content), str(message.id))
            for message in messages
        )


def chunks(conversation: Conversation) -> Iterator[list[Message]]:
    """All messages in order. Nothing stays open in between: a slow reader holds no snapshot of
    the database, which would let SQLite's log grow.
    """
    cursor = ""
    while True:
        page = page_of(conversation.messages.all(), IN_ORDER, size=CHUNK, cursor=cursor)
        yield page.rows
        if not (cursor := page.next):
            return


# Text


def header_of(conversation: Conversation) -> str:
    lines = [
        f"Conversation {conversation.id}",
        f"State: {conversation.state}",
        f"Opened: {utc(conversation.opened_at)}",
    ]
    if conversation.closed_at:
        lines.append(f"Closed: {utc(conversation.closed_at)}")
    if conversation.erased_at:
        lines.append(f"Erased: {utc(conversation.erased_at)}")
    lines.append(f"Messages: {conversation.message_count}")
    return "\n".join(lines) + "\n"


def paragraph(message: Message) -> str:
    lines = [
        CONTROL.sub("\N{REPLACEMENT CHARACTER}", line) for line in message.content.splitlines()
    ]
    text = "\n    ".join(lines) or "[erased]"
    return f"\n{utc(message.timestamp)} {message.direction}\n    {text}\n"


def utc(at: datetime) -> str:
    """RFC 3339, as in the JSON."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


# CSV


def rows(cells: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    written = StringIO(newline="")
    csv.writer(written).writerows(cells)
    return written.getvalue()


def harmless(text: str) -> str:
    return f"'{text}" if FORMULA.match(text) else text
