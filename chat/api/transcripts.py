"""A conversation as a file: text for people, CSV for spreadsheets."""

import re
from collections.abc import Iterator

from chat.csv_tables import harmless, table, utc
from chat.models import Conversation, Message

COLUMNS = ("timestamp", "direction", "content", "id")
# Terminals obey these.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text_of(conversation: Conversation) -> Iterator[str]:
    """Yield the text in chunks. Further lines of a message are indented, so none looks like a new message."""
    yield header_of(conversation)
    for messages in conversation.messages.in_chunks():
        yield "".join(map(paragraph, messages))


def csv_of(conversation: Conversation) -> Iterator[str]:
    """Yield RFC 4180 rows in chunks. An apostrophe keeps a spreadsheet from running a text as a formula."""
    return table(COLUMNS, (map(row_of, messages) for messages in conversation.messages.in_chunks()))


def row_of(message: Message) -> tuple[str, ...]:
    return utc(message.timestamp), message.direction, harmless(message.content), str(message.id)


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
