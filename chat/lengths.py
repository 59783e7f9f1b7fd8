"""How long the body of a request is, as its headers tell, and how its bytes are read."""

from io import BytesIO
from typing import Any

from django.http import HttpRequest

from chat.refusals import BadLength, LengthRequired

PIECE = 64 * 1024


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
    while (left := most - read.tell()) > 0 and (piece := stream.read(min(left, PIECE))):
        read.write(piece)
    return read.getvalue()
