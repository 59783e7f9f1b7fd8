"""How long the body of a request is, as far as its headers tell. Nothing here reads a body."""

from django.http import HttpRequest

from chat.refusals import BadLength, LengthRequired


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
