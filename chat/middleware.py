"""The edge: every answer has a request id, and every error the one shape of its place."""

import logging
from collections.abc import Callable
from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.template.loader import render_to_string
from django.utils.translation import activate, get_language_from_request, override

from chat.problems import (
    MEDIA_TYPE,
    REQUEST_ID,
    RETRY_AFTER_SECONDS,
    STATUS,
    code_for,
    problem,
    request_id,
)

logger = logging.getLogger(__name__)

PLACES_OF_PEOPLE = ("/ui/", "/admin/")


class EdgeMiddleware:
    """Outermost, and below it Django turns every exception into an answer: a bad Host, an unknown
    path, a bug of ours (logged there, with its traceback). Here they take the shape that is
    promised, with DEBUG on too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.META[REQUEST_ID] = uuid4()
        drop_cookies_with_nul(request)
        response = self.get_response(request)
        if response.status_code >= 400 and not is_ours(response):
            response = in_our_shape(request, response)
        response["X-Request-Id"] = str(request_id(request))
        return response


def drop_cookies_with_nul(request: HttpRequest) -> None:
    """A quoted cookie can spell one, and PostgreSQL fails when asked for a session under it."""
    for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
        del request.COOKIES[name]


class PagesInTheReadersLanguage(LocaleMiddleware):
    """Pages speak the reader's language; JSON is in English whatever Accept-Language says."""

    def process_request(self, request: HttpRequest) -> None:
        if is_for_people(request):
            super().process_request(request)
        else:
            activate("en")

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        return super().process_response(request, response) if is_for_people(request) else response


def is_ours(response: HttpResponse) -> bool:
    return response.headers.get("Content-Type") == MEDIA_TYPE or hasattr(response, "for_people")


def in_our_shape(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """With the headers that the layers below gave it: Allow, and those that keep a browser safe."""
    code = code_for(response.status_code)
    ours = error_page(request, code) if is_for_people(request) else problem(request, code)
    for name, value in response.items():
        if name != "Content-Length":
            ours.headers.setdefault(name, value)
    return ours


def is_for_people(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith(PLACES_OF_PEOPLE)


def error_page(request: HttpRequest, code: str) -> HttpResponse:
    """Without the request's context: what failed may be the session, or the whole database."""
    try:
        with override(get_language_from_request(request)):
            page = render_to_string("error.html", {"code": code, "status": STATUS[code]})
    except Exception:
        logger.exception("The error page fails too; are its static files collected?")
        return problem(request, code)
    response = HttpResponse(page, status=STATUS[code])
    if code == "try_again":
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
