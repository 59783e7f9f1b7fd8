"""Files of events, one JSON object a line, and the results of their import."""

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BufferedReader
from typing import IO, Any, NamedTuple
from zlib import error as BadDeflate  # noqa: N812 - an exception

from django.conf import settings

from chat.events.ingest import Result
from chat.events.payloads import parse
from chat.refusals import BodyTooLarge, InvalidEvent, InvalidPayload, Subject

GZIP = b"\x1f\x8b"
# Bytes of a line longer than MAX_BODY_BYTES per read.
SKIPPED_AT_ONCE = 64 * 1024
STANDARD_INPUT = "-"
# The beginning of each result, and the error for a file without results.
RESULT = b'{"line": '
NOT_RESULTS = "has other lines than results"


class Unreadable(Exception):
    """The events or the results cannot be read. The text says why."""


class OtherResults(Exception):
    """The results are of another input. The text says why."""


class Line(NamedTuple):
    """A line with text. The body is None if the line is longer than MAX_BODY_BYTES."""

    number: int
    body: bytes | None


@dataclass
class Source:
    """An open file of events, gzipped or not. `size` is None if unknown before the end."""

    stream: IO[bytes]
    raw: BufferedReader
    size: int | None

    @property
    def place(self) -> int:
        """How many bytes of the file have been read."""
        return self.raw.tell() if self.size else 0

    def lines(self) -> Iterator[Line]:
        """Yield the lines in their order. Raises Unreadable."""
        try:
            yield from lines_in(self.stream)
        except (OSError, EOFError, BadDeflate) as error:
            raise Unreadable(str(error)) from None


@contextmanager
def opened(name: str) -> Iterator[Source]:
    """Open a file, or standard input for `-`. Raises Unreadable."""
    try:
        descriptor = 0 if name == STANDARD_INPUT else os.open(name, os.O_RDONLY)
        with open(descriptor, "rb", closefd=descriptor != 0) as raw:
            is_gzipped = raw.peek(2)[:2] == GZIP
            stream: Any = gzip.GzipFile(fileobj=raw) if is_gzipped else raw
            size = os.fstat(descriptor).st_size if raw.seekable() else None
            yield Source(stream, raw, size)
    except OSError as error:
        raise Unreadable(str(error.strerror)) from None


def lines_in(stream: IO[bytes]) -> Iterator[Line]:
    most, number = settings.MAX_BODY_BYTES, 0
    while piece := stream.readline(most + 2):  # with \r\n
        number += 1
        body = piece.rstrip(b"\r\n")
        if not piece.endswith(b"\n") and len(piece) > most:
            skip_line(stream)
        if len(body) > most:
            yield Line(number, None)
        elif body.strip():
            yield Line(number, body)


def skip_line(stream: IO[bytes]) -> None:
    while (piece := stream.readline(SKIPPED_AT_ONCE)) and not piece.endswith(b"\n"):
        pass


# Results


def result_line(number: int, result: Result) -> str:
    """Return the result of a line as a line of JSON."""
    subject = result.subject
    written: dict[str, Any] = {
        "line": number,
        "outcome": result.outcome.value,
        "code": result.code or None,
        "type": subject.type,
        "id": subject.id and str(subject.id),
    }
    if isinstance(result.refusal, InvalidEvent):
        written["errors"] = [asdict(error) for error in result.refusal.errors]
    return json.dumps(written) + "\n"


def last_result(results: IO[bytes]) -> dict[str, Any] | None:
    """Return the last whole result of a file, and cut off a torn one. Raises OtherResults.

    Changes no file of other lines.
    """
    last = torn = b""
    end = 0
    results.seek(0)
    for line in results:
        if line.endswith(b"\n"):
            last, end = line, end + len(line)
        else:
            torn = line
    result = result_in(last) if last else None
    if torn[: len(RESULT)] != RESULT[: len(torn)]:
        raise OtherResults(NOT_RESULTS)
    results.truncate(end)
    return result


def result_in(line: bytes) -> dict[str, Any]:
    try:
        result = json.loads(line)
    except ValueError:
        raise OtherResults(NOT_RESULTS) from None
    if isinstance(result, dict) and isinstance(result.get("line"), int):
        return result
    raise OtherResults(NOT_RESULTS)


def after(last: dict[str, Any] | None, lines: Iterator[Line]) -> Iterator[Line]:
    """Yield the lines after the line of this result. Raises OtherResults if the line differs."""
    if last:
        line = next((line for line in lines if line.number >= last["line"]), None)
        if line is None or named_in(line) != (last["line"], last.get("type"), last.get("id")):
            raise OtherResults("has the results of another input")
    yield from lines


def named_in(line: Line) -> tuple[int, str | None, str | None]:
    subject = Subject() if line.body is None else subject_of(line.body)
    return line.number, subject.type, str(subject.id) if subject.id else None


def subject_of(body: bytes) -> Subject:
    try:
        return parse(body).subject
    except InvalidPayload as refusal:
        return refusal.subject


def judged(line: Line) -> str:
    """Return the type of the line's event, or the code of its refusal. Asks no database."""
    if line.body is None:
        return BodyTooLarge.code
    try:
        return str(parse(line.body).subject.type)
    except InvalidPayload as refusal:
        return refusal.code
