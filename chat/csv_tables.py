"""CSV for spreadsheets. No cell runs as a formula."""

import csv
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import StringIO

CSV = "text/csv; charset=utf-8"
BYTE_ORDER_MARK = "\ufeff"  # Excel reads UTF-8 only after this mark

# A spreadsheet runs a cell as a formula if such a sign comes first; full-width signs too (OWASP, CSV
# injection). Not all spreadsheets split cells at commas: Brazilian ones split at semicolons.
FORMULA = re.compile('^[\t\r\n]|(?:^|(?<=[,;|\t\r\n]))(?="*[=+\\-@＝＋－＠])')


def table(columns: tuple[str, ...], chunks: Iterable[Iterable[tuple[str, ...]]]) -> Iterator[str]:
    """Yield RFC 4180 rows, a piece for the header and a piece a chunk."""
    yield BYTE_ORDER_MARK + rows([columns])
    for chunk in chunks:
        yield rows(chunk)


def rows(cells: Iterable[tuple[str, ...]]) -> str:
    written = StringIO(newline="")
    csv.writer(written).writerows(cells)
    return written.getvalue()


def harmless(text: str) -> str:
    """Put an apostrophe before every possible start of a formula."""
    return FORMULA.sub(lambda match: f"'{match[0]}", text)


def utc(at: datetime) -> str:
    """Return RFC 3339 in UTC, for people: without digits of a whole second."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
