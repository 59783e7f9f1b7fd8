"""The outermost middleware: request ids, the log's lines, and the shape of every error."""

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.encoding import escape_uri_path
from django.utils.translation import get_language_from_request, override

from chat.metrics import observe
from chat.problems import MEDIA_TYPE, REQUEST_ID, ids_of, problem, request_id
from chat.refusals import NotAuthenticated, Refusal, refusal_for

# The name of the package, because log lines have it.
logger = logging.getLogger("chat.middleware")
access_logger = logging.getLogger("realmate.access")

LONGEST_PATH = 200
PLACES_OF_PEOPLE = ("/ui/", "/admin/")
# Headers that describe a body (RFC 9110, section 8). They are wrong beside another body.
OF_THE_BODY = {
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "ETag",
    "Last-Modified",
}


class EdgeMiddleware:
    """Gives each request an id, and each error answer its promised shape, with DEBUG on too.

    This is the outermost middleware. Below, Django turns every exception into an answer: a bad Host,
    an unknown path, a bug of ours (logged there with its traceback).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = perf_counter()
        request.META[REQUEST_ID] = uuid4()
        drop_cookies_with_nul(request)
        try:
            response = self.get_response(request)
        except TooManyFieldsSent:
            # With DEBUG on, Django's own page about this error parses the query again.
            response = HttpResponse(status=400)
        if response.status_code >= 400 and not is_ours(response):
            response = in_our_shape(request, response)
        response["X-Request-Id"] = str(request_id(request))
        if response.status_code >= 400:
            log_error(request, response)
        seconds = perf_counter() - began
        observe(request, response, seconds)
        if settings.ACCESS_LOG:
            log_access(request, response, seconds)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a refusal raised by a page. REST framework answers the refusals of JSON views."""
        return refused(exception) if isinstance(exception, Refusal) else None


def refused(refusal: Refusal) -> HttpResponse:
    """Return an answer with the refusal, for EdgeMiddleware to replace."""
    response = HttpResponse(status=refusal.status)
    response.refusal = refusal  # type: ignore[attr-defined]
    return response


def log_error(request: HttpRequest, response: HttpResponse) -> None:
    """Log one line for each refused or failed request: codes and ids, never its body or query."""
    line = log_fields_of(request, response) | {
        "code": getattr(response, "code", refusal_for(response.status_code).code),
        **getattr(response, "logged", {}),
    }
    logger.warning("%(method)s %(path)s %(status)s %(code)s", line, extra=line)


def log_access(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    line = log_fields_of(request, response) | {
        "milliseconds": round(seconds * 1000, 1),
        "address": request.META.get("REMOTE_ADDR", ""),
    }
    access_logger.info("%(method)s %(path)s %(status)s", line, extra=line)


def log_fields_of(request: HttpRequest, response: HttpResponse) -> dict[str, Any]:
    return ids_of(request) | {
        "method": request.method,
        "path": escape_uri_path(request.path)[:LONGEST_PATH],
        "status": response.status_code,
    }


def drop_cookies_with_nul(request: HttpRequest) -> None:
    """Drop cookies with NUL. A quoted cookie can spell NUL, and PostgreSQL fails on a session key with it."""
    for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
        del request.COOKIES[name]


def is_ours(response: HttpResponse) -> bool:
    return response.headers.get("Content-Type") == MEDIA_TYPE or hasattr(response, "for_people")


def in_our_shape(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Replace an error answer of Django's or a library's, and keep its cookies, and headers such as Allow."""
    refusal = getattr(response, "refusal", None) or refusal_for(response.status_code)
    replacement = (
        error_page(request, refusal) if is_for_people(request) else problem(request, refusal)
    )
    for name, value in response.items():
        if name not in OF_THE_BODY:
            replacement.headers.setdefault(name, value)
    replacement.cookies = response.cookies
    return replacement


def is_for_people(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith(PLACES_OF_PEOPLE)


def error_page(request: HttpRequest, refusal: Refusal | type[Refusal]) -> HttpResponse:
    """Return the page without the request's context, because the session or the database may have failed."""
    try:
        known = getattr(request, "LANGUAGE_CODE", None)
        with override(known or get_language_from_request(request)):
            page = render_to_string("error.html", {"refusal": refusal, "status": refusal.status})
    except Exception:
        logger.exception(
            "The error page fails too; are its static files collected?", extra={"request": request}
        )
        return problem(request, refusal)
    headers = {} if refusal is NotAuthenticated else dict(refusal.headers)
    headers["Cache-Control"] = "no-store"
    response = HttpResponse(page, status=refusal.status, headers=headers)
    response.code = refusal.code  # type: ignore[attr-defined]
    response.logged = refusal.logged  # type: ignore[attr-defined]
    return response
