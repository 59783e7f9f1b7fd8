"""Bodies: the length of a request's body, how its bytes are read, and answers sent piece by piece."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BytesIO
from itertools import chain
from typing import Any, AnyStr

from django.http import HttpRequest, StreamingHttpResponse

from chat.heavy.reading import turn_to_read
from chat.refusals import BadLength, LengthRequired

# Of a request's body, and of a streamed answer.
BYTES_A_READ = 64 * 1024
BYTES_A_PIECE = 64 * 1024


def is_chunked(request: HttpRequest) -> bool:
    return "HTTP_TRANSFER_ENCODING" in request.META


def declared_length(request: HttpRequest) -> int:
    """Return the Content-Length in bytes; 0 for a chunked body, and without a body.

    Raises BadLength, and LengthRequired if the server does not tell where a chunked body ends.
    """
    if is_chunked(request):
        if not request.META.get("wsgi.input_terminated"):
            raise LengthRequired
        return 0
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise BadLength from None


def read_up_to(most: int, stream: Any) -> bytes:
    """Read the stream to its end, or `most` bytes of it.

    Reads pieces, because granian keeps the memory of the largest read for each of its threads.
    """
    read = BytesIO()
    while (left := most - read.tell()) > 0 and (piece := stream.read(min(left, BYTES_A_READ))):
        read.write(piece)
    return read.getvalue()


def streamed(
    pieces: Iterator[AnyStr], content_type: str | None = None, *, messages: int | None = None
) -> StreamingHttpResponse:
    """Answer with pieces read one by one. Holds a turn until the answer is closed.

    An answer with few messages needs no turn. Two pieces are read before the answer begins: a failing
    database gives a 503, not a torn file. Raises TooManyReads.
    """
    held = holding(turn_to_read(messages=messages), pieces)
    next(held)
    first = [piece for piece in (next(held, None), next(held, None)) if piece is not None]
    response = StreamingHttpResponse(chain(first, held), content_type=content_type)
    # A server closes every answer, also when the client has gone away.
    response._resource_closers.append(held.close)  # type: ignore[attr-defined]
    return response


def holding(
    turn: AbstractContextManager[None], pieces: Iterator[AnyStr]
) -> Iterator[AnyStr | None]:
    """Take the turn, and yield None, which is no piece. Give the turn back at the end, or if closed."""
    with turn:
        yield None
        yield from pieces
