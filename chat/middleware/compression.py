"""gzip for programs: JSON, exports, metrics and transcripts."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

# A third of the time of level 6, for a tenth more bytes.
LEVEL = 1
# A shorter body would hardly be shorter in gzip. A longer one would take processor time from the
# webhook: 1 MiB takes some 50 ms.
SHORTEST, LONGEST = 200, 1024 * 1024
TEXTS = {"application/json", "application/x-ndjson", "text/csv", "text/plain"}
# Not `gzip;q=0`: this refuses gzip.
ACCEPTS = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", re.IGNORECASE)
WITH_HEADER = 16 + zlib.MAX_WBITS  # of gzip, as zlib's window bits


def is_worth_compressing(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether the answer is a text for a program, of a fitting length, and the program accepts gzip."""
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    return (
        request.method in {"GET", "HEAD"}
        and response.status_code == 200
        and media_type in TEXTS
        and not response.has_header("Content-Encoding")
        and ACCEPTS.search(request.headers.get("Accept-Encoding", "")) is not None
        and (request.method == "GET" if response.streaming else has_fitting_length(response))
    )


def has_fitting_length(response: HttpResponseBase) -> bool:
    return isinstance(response, HttpResponse) and SHORTEST <= len(response.content) <= LONGEST


def compress(response: HttpResponseBase) -> None:
    if isinstance(response, StreamingHttpResponse):
        response.streaming_content = compressed(response.streaming_content)  # type: ignore[arg-type]
    elif isinstance(response, HttpResponse):
        response.content = gzip.compress(response.content, LEVEL, mtime=0)
        response["Content-Length"] = str(len(response.content))
    response["Content-Encoding"] = "gzip"


def compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield once for each piece, often nothing yet: each piece has a time limit of its own."""
    compressor = zlib.compressobj(LEVEL, wbits=WITH_HEADER)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()
