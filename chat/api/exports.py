"""`GET /export/messages.jsonl`: all messages, a line each, in the order of their arrival."""

import re
from collections.abc import Iterator

from django.http import StreamingHttpResponse
from pydantic_core import to_json
from rest_framework.request import Request

from chat.api import examples
from chat.api.described import Tag, read
from chat.api.query_parameters import ExportParameters
from chat.api.reads import Read
from chat.bodies import BYTES_A_PIECE, streamed
from chat.models import current_generation
from chat.models.exports import MessageText, in_windows, settled_arrival, written_within
from chat.refusals import BadParameters, CursorExpired, FieldError

# Not application/jsonl: makers of clients, such as orval, read only this name line by line.
JSON_LINES = "application/x-ndjson"
# The m, because a cursor of /changes counts something else, and would skip messages here.
CURSOR = re.compile(r"([0-9a-f]{8})-m(0|[1-9][0-9]{0,17})")
INVALID_AFTER = FieldError("/after", "invalid_cursor", "Must be a cursor of an earlier export.")


class MessageExport(Read):
    """Messages as JSON lines, streamed. The last line has only the cursor of the next export."""

    described = read(
        "exportMessages",
        Tag.CONVERSATIONS,
        examples.EXPORT,
        codes=("bad_request", "cursor_expired", "too_many_reads"),
        parameters=ExportParameters,
        media_type=JSON_LINES,
        headers=("Content-Encoding",),
    )

    def get(self, request: Request) -> StreamingHttpResponse:
        parameters = ExportParameters.read(request.query_params)
        if request.method == "HEAD":
            return StreamingHttpResponse((), JSON_LINES)
        return export(parameters)


def export(parameters: ExportParameters) -> StreamingHttpResponse:
    generation = current_generation()
    last = settled_arrival()
    start = start_of(parameters.after, generation)
    if start > last:
        raise BadParameters(INVALID_AFTER)
    messages = written_within(parameters.since, parameters.until)
    pieces = json_lines(in_windows(messages, after=start, last=last), generation, last)
    return streamed(pieces, JSON_LINES)


def start_of(after: str, generation: str) -> int:
    """Return the arrival in a cursor; 0 without a cursor.

    Raises BadParameters, and CursorExpired for a cursor of another generation.
    """
    if not after:
        return 0
    cursor = CURSOR.fullmatch(after)
    if cursor is None:
        raise BadParameters(INVALID_AFTER)
    if cursor[1] != generation:
        raise CursorExpired
    return int(cursor[2])


def cursor_at(arrival: int, generation: str) -> str:
    return f"{generation}-m{arrival}"


def json_lines(
    windows: Iterator[Iterator[MessageText]], generation: str, last: int
) -> Iterator[bytes]:
    """Yield the lines in pieces, and an empty piece after each window: a sign of progress."""
    for window in windows:
        piece = bytearray()
        for message in window:
            piece += json_line_of(message, generation)
            if len(piece) >= BYTES_A_PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)
    yield to_json({"next": cursor_at(last, generation)}) + b"\n"


def json_line_of(message: MessageText, generation: str) -> bytes:
    arrival, id, conversation_id, direction, content, timestamp, received_at = message
    line = to_json(
        {
            "cursor": cursor_at(arrival, generation),
            "id": id,
            "conversation_id": conversation_id,
            "direction": direction,
            "content": content,
            "timestamp": timestamp,
            "received_at": received_at,
        }
    )
    return line + b"\n"
