"""A table for people, and the same rows as JSON for scripts."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper

from chat.database.json_texts import instant_text


def add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def print_json(stdout: OutputWrapper, content: dict[str, Any]) -> None:
    """Print one line of ASCII, so a terminal gets no control sequence. Times are RFC 3339 in UTC."""
    stdout.write(json.dumps(content, default=instant_text))


def print_table(
    stdout: OutputWrapper, rows: list[dict[str, Any]], *, heads: dict[str, str]
) -> None:
    """Print a line of heads, and each row in the order of the heads. Times are UTC, to the minute."""
    cells = [list(heads.values()), *([cell(row[key]) for key in heads] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = [f"{text:<{width}}" for text, width in zip(line, widths, strict=True)]
        stdout.write("  ".join(padded).rstrip())


def cell(value: str | list[str] | datetime | None) -> str:
    """Return the text of a cell. A stranger chose some names, so a terminal gets no control sequence."""
    match value:
        case None:
            return "never"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
        case list():
            return " ".join(value)
    return value if value.isprintable() else ascii(value)
