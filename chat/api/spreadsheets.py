"""A conversation as an XLSX file. No text is a formula, even if its first sign is `=`."""

import re
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from chat.api.transcripts import COLUMNS, CONTROL
from chat.bodies import BYTES_A_PIECE
from chat.csv_tables import utc
from chat.models import Conversation, Message

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Excel's limits. A sign outside the Basic Multilingual Plane counts as two characters.
ROWS_OF_A_SHEET = 1_048_576
CHARACTERS_OF_A_CELL = 32_767
# XML has no other, and would read each of them as one line feed.
NEW_LINE = re.compile("\r\n?")
NOT_IN_XML = re.compile(f"{CONTROL.pattern}|[\ufffe\uffff]")


def xlsx_of(conversation: Conversation) -> Iterator[bytes]:
    """Yield the file in pieces. Before them, yield an empty piece after each query.

    The file is made on disk in constant memory. A text too long for a cell continues in the cells to
    its right, after the last column. Messages too many for a sheet continue in the next sheet.
    """
    with TemporaryFile() as file:
        with Workbook(file, {"constant_memory": True}) as book:
            yield from write_sheets(book, conversation)
        file.seek(0)
        yield from pieces_of(file)


def write_sheets(book: Workbook, conversation: Conversation) -> Iterator[bytes]:
    sheet, row = new_sheet(book), 1
    for messages in conversation.messages.in_chunks():
        for message in messages:
            if row == ROWS_OF_A_SHEET:
                sheet, row = new_sheet(book), 1
            for column, text in enumerate(cells_of(message)):
                sheet.write_string(row, column, text)
            row += 1
        yield b""


def new_sheet(book: Workbook) -> Worksheet:
    sheet = book.add_worksheet()
    for column, name in enumerate(COLUMNS):
        sheet.write_string(0, column, name)
    return sheet


def cells_of(message: Message) -> list[str]:
    lines = NEW_LINE.sub("\n", message.content)
    first, *others = parts_of(NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", lines))
    return [utc(message.timestamp), message.direction, first, str(message.id), *others]


def parts_of(text: str) -> list[str]:
    """Cut a text into parts, each short enough for a cell. Return at least one part."""
    most = CHARACTERS_OF_A_CELL if max(text, default="") <= "\uffff" else CHARACTERS_OF_A_CELL // 2
    return [text[start : start + most] for start in range(0, len(text), most)] or [""]


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(BYTES_A_PIECE):
        yield piece
