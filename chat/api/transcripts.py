"""A conversation as a file: text for people, CSV for spreadsheets."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

from chat.models import Conversation, Message

COLUMNS = ("timestamp", "direction", "content", "id")
BYTE_ORDER_MARK = "\ufeff"  # Excel reads UTF-8 only where it finds one

# A spreadsheet runs a cell that begins with such a sign as a formula; full-width signs too (OWASP,
# CSV injection). It may split cells at other signs than commas: Brazilian ones split at semicolons.
FORMULA = re.compile('^[\t\r\n]|(?:^|(?<=[,;|\t\r\n]))(?="*[=+\\-@＝＋－＠])')
# Terminals obey these.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text_of(conversation: Conversation) -> Iterator[str]:
    """Yield the text in chunks. Further lines of a message are indented, so that none looks like another message."""
    yield header_of(conversation)
    for messages in conversation.messages.in_chunks():
        yield "".join(map(paragraph, messages))


def csv_of(conversation: Conversation) -> Iterator[str]:
    """Yield RFC 4180 rows in chunks. Text that a spreadsheet would run as a formula gets an apostrophe."""
    yield BYTE_ORDER_MARK + rows([COLUMNS])
    for messages in conversation.messages.in_chunks():
        yield rows(
            (utc(message.timestamp), message.direction, harmless(message.content), str(message.id))
            for message in messages
        )


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
    """Return RFC 3339 in UTC, for people: without digits of a whole second."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


# CSV


def rows(cells: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    written = StringIO(newline="")
    csv.writer(written).writerows(cells)
    return written.getvalue()


def harmless(text: str) -> str:
    """Put an apostrophe before everything that a spreadsheet may take for the start of a formula."""
    return FORMULA.sub(lambda found: f"'{found[0]}", text)
