"""The edge: every answer has a request id, and every error the one shape of its place."""

import logging
from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import Any
from uuid import uuid4

from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.encoding import escape_uri_path
from django.utils.translation import activate, get_language, get_language_from_request, override

from chat.metrics import observe
from chat.models import Token
from chat.problems import (
    CHALLENGE,
    MEDIA_TYPE,
    REQUEST_ID,
    RETRY_AFTER_SECONDS,
    STATUS,
    code_for,
    problem,
    request_id,
)

logger = logging.getLogger(__name__)

LONGEST_PATH = 200
PLACES_OF_PEOPLE = ("/ui/", "/admin/")
FRAGMENTS = "/ui/fragments/"


class EdgeMiddleware:
    """Outermost, and below it Django turns every exception into an answer: a bad Host, an unknown
    path, a bug of ours (logged there, with its traceback). Here they take the shape that is
    promised, with DEBUG on too.
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
            # With DEBUG on, Django's own page about it reads the query again.
            response = HttpResponse(status=400)
        if response.status_code >= 400 and not is_ours(response):
            response = in_our_shape(request, response)
        response["X-Request-Id"] = str(request_id(request))
        if response.status_code >= 400:
            log_error(request, response)
        observe(request, response, perf_counter() - began)
        return response


def log_error(request: HttpRequest, response: HttpResponse) -> None:
    """One line for whatever was refused or failed: codes and ids, never what was sent or asked for."""
    line = {
        "request_id": str(request_id(request)),
        "method": request.method,
        "path": escape_uri_path(request.path)[:LONGEST_PATH],
        "status": response.status_code,
        "code": getattr(response, "code", code_for(response.status_code)),
    }
    logger.warning("%(method)s %(path)s %(status)s %(code)s", line, extra=line)


def drop_cookies_with_nul(request: HttpRequest) -> None:
    """A quoted cookie can spell one, and PostgreSQL fails when asked for a session under it."""
    for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
        del request.COOKIES[name]


class OnePolicy:
    """What pages of ours may load, and that no other site may load ours: the same on every answer.

    django-csp would make its header anew for each.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        parts = CSPMiddleware(get_response).get_policy_parts(HttpRequest(), HttpResponse())
        self.policy = build_policy(**asdict(parts))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault(HEADER, self.policy)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


class CompressPages(GZipMiddleware):
    """Pages only: a machine's answer is small, or streams. Django pads them against BREACH."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        return super().process_response(request, response) if is_for_people(request) else response


class ReadersOnly(LoginRequiredMiddleware):
    """Outside development whoever reads has logged in, but for what urls.py opens to all.

    Only a page leads to the login: a fragment's script would put it into the page, a machine cannot
    use it, and where a form was sent to there is nothing to come back to.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], *arguments: Any
    ) -> HttpResponseBase | None:
        is_open = not settings.LOGIN_REQUIRED or not getattr(view_func, "login_required", True)
        if is_open or request.user.is_authenticated:
            return None
        if not is_for_people(request):
            return None if has_a_token(request) else problem(request, "not_authenticated")
        if request.path.startswith(FRAGMENTS):
            return HttpResponse(status=401, headers={"WWW-Authenticate": CHALLENGE})
        if request.method not in {"GET", "HEAD"}:
            return redirect("login")
        return self.handle_no_permission(request, view_func)

    def get_login_url(self, view_func: Callable[..., Any]) -> str:
        """One for all: the admin's own would be a second one to keep."""
        return settings.LOGIN_URL


def has_a_token(request: HttpRequest) -> bool:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    token = Token.objects.of(text.strip()) if scheme.lower() == "bearer" else None
    if token:
        token.note_use(at=timezone.now())
    return token is not None


class PagesInTheReadersLanguage:
    """Pages speak the reader's language: of ?lang, which is remembered, else of the browser.

    JSON is in English whatever Accept-Language says.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_for_people(request):
            activate("en")
            return self.get_response(request)
        chosen = chosen_language(request)
        activate(chosen or get_language_from_request(request))
        request.LANGUAGE_CODE = get_language()
        response = self.get_response(request)
        if chosen:
            remember_language(response, chosen, is_secure=request.is_secure())
        response.headers.setdefault("Content-Language", request.LANGUAGE_CODE)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


def remember_language(response: HttpResponse, language: str, *, is_secure: bool) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=is_secure,
        httponly=True,
        samesite="Lax",
    )


def chosen_language(request: HttpRequest) -> str | None:
    """The language of ?lang, where it is one of ours; any other value chooses nothing."""
    wanted = request.GET.get("lang", "").lower()
    return wanted if wanted in dict(settings.LANGUAGES) else None


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
        known = getattr(request, "LANGUAGE_CODE", None)
        with override(known or get_language_from_request(request)):
            page = render_to_string("error.html", {"code": code, "status": STATUS[code]})
    except Exception:
        logger.exception(
            "The error page fails too; are its static files collected?", extra={"request": request}
        )
        return problem(request, code)
    response = HttpResponse(page, status=STATUS[code])
    if code == "try_again":
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
