"""The edge: request ids, the shape of every error, security headers, languages, logins and CSRF."""

import logging
from collections.abc import Callable
from io import BytesIO
from time import perf_counter
from typing import Any
from uuid import uuid4

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import TooManyFieldsSent
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.utils.encoding import escape_uri_path
from django.utils.translation import activate, get_language, get_language_from_request, override

from chat.compression import compress, is_worth_compressing
from chat.database.migrated import WrongSchema, refuse_wrong_schema
from chat.lengths import declared_length, is_chunked, read_up_to
from chat.logins import clear_the_cache
from chat.metrics import observe
from chat.problems import MEDIA_TYPE, REQUEST_ID, ids_of, problem, request_id
from chat.refusals import (
    BadRequest,
    FormTooLarge,
    NotAuthenticated,
    NotMigrated,
    Refusal,
    refusal_for,
)

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("realmate.access")

LONGEST_PATH = 200
PLACES_OF_PEOPLE = ("/ui/", "/admin/")
PROBES = {"/healthz", "/readyz"}
FRAGMENTS = "/ui/fragments/"
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

    It is the outermost middleware. Below it Django has turned every exception into an answer: a bad
    Host, an unknown path, a bug of ours (logged there with its traceback).
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
        """Answer a refusal that a page raised. REST framework answers those of JSON itself."""
        return refused(exception) if isinstance(exception, Refusal) else None


def refused(refusal: Refusal) -> HttpResponse:
    """Return an answer that EdgeMiddleware gives its shape."""
    response = HttpResponse(status=refusal.status)
    response.refusal = refusal  # type: ignore[attr-defined]
    return response


def log_error(request: HttpRequest, response: HttpResponse) -> None:
    """Log one line for each refused or failed request: codes and ids, never its body or query."""
    line = line_of(request, response) | {
        "code": getattr(response, "code", refusal_for(response.status_code).code),
        **getattr(response, "logged", {}),
    }
    logger.warning("%(method)s %(path)s %(status)s %(code)s", line, extra=line)


def log_access(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    line = line_of(request, response) | {
        "milliseconds": round(seconds * 1000, 1),
        "address": request.META.get("REMOTE_ADDR", ""),
    }
    access_logger.info("%(method)s %(path)s %(status)s", line, extra=line)


def line_of(request: HttpRequest, response: HttpResponse) -> dict[str, Any]:
    return ids_of(request) | {
        "method": request.method,
        "path": escape_uri_path(request.path)[:LONGEST_PATH],
        "status": response.status_code,
    }


def drop_cookies_with_nul(request: HttpRequest) -> None:
    """PostgreSQL fails on a session key with NUL, which a quoted cookie can spell."""
    for name in [name for name, value in request.COOKIES.items() if "\0" in value]:
        del request.COOKIES[name]


class SecurityPolicy:
    """Content-Security-Policy and Cross-Origin-Resource-Policy on every answer that sets none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


class CrossOriginReads(CorsMiddleware):
    """The CORS headers of django-cors-headers, which answers an OPTIONS of them too. Off without origins."""

    def is_enabled(self, request: HttpRequest) -> bool:
        return bool(settings.CORS_ALLOWED_ORIGINS) and super().is_enabled(request)


class HostsOfAllButProbes(CommonMiddleware):
    """Django's, which refuses a Host outside ALLOWED_HOSTS. Whoever probes asks an address, or says no Host."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return (
            None
            if request.path_info.removesuffix("/") in PROBES
            else super().process_request(request)
        )


class CompressAnswers(GZipMiddleware):
    """Compresses what programs read, and pages, which Django pads against BREACH.

    A page with a form's token beside what the request says stays as it is: whoever chose the request
    and saw the sizes of many answers could guess the token.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if is_for_people(request):
            is_risky = has_a_token(request) and says_something(request)
            return response if is_risky else super().process_response(request, response)
        if is_worth_compressing(request, response):
            compress(response)
        return response


def has_a_token(request: HttpRequest) -> bool:
    """Whether the page asked Django for the token of a form. Its middleware has set the value to False."""
    return "CSRF_COOKIE_NEEDS_UPDATE" in request.META


def says_something(request: HttpRequest) -> bool:
    return bool(request.META.get("QUERY_STRING")) or request.method not in {"GET", "HEAD"}


class Sessions(SessionMiddleware):
    """Django's sessions. An answer that takes the cookie of a session also clears the browser's cache."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        name = settings.SESSION_COOKIE_NAME
        if (
            request.COOKIES.get(name)
            and name in response.cookies
            and not response.cookies[name].value
        ):
            clear_the_cache(response)
        return response


class LoginForPages(LoginRequiredMiddleware):
    """Outside development every page needs a login, unless urls.py opens it.

    REST framework's views have authentication of their own. Only a GET of a page leads to the login
    with its address as `next`: htmx would swap a redirected login into a fragment's place, and a
    form's address takes no GET.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], *view_args: Any
    ) -> HttpResponseBase | None:
        # Django's own asks for the user, and so for the session, of open views too.
        if not settings.LOGIN_REQUIRED or not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, *view_args)

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> Any:
        """Also clear the browser's cache, as a logout does, if the browser names an ended session."""
        response = self.lead_to_login(request, view_func)
        if request.COOKIES.get(settings.SESSION_COOKIE_NAME):
            clear_the_cache(response)
        return response

    def lead_to_login(
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        if request.path.startswith(FRAGMENTS):
            return HttpResponse(status=401, headers=dict(NotAuthenticated.headers))
        if request.method not in {"GET", "HEAD"}:
            return redirect("login")
        return super().handle_no_permission(request, view_func)

    def get_login_url(self, view_func: Callable[..., Any]) -> str:
        """One login for all: the admin's own would be a second one to keep."""
        return settings.LOGIN_URL


class WritesOfThisSchema:
    """Refuse forms of people while the code is older or newer than the schema: 503.

    Events are judged in their own transaction.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        if request.method in {"GET", "HEAD", "OPTIONS"} or not is_for_people(request):
            return None
        try:
            refuse_wrong_schema()
        except WrongSchema:
            return HttpResponse(status=NotMigrated.status)
        return None


class SmallForms:
    """Refuses a form of more than MAX_FORM_BYTES before anything reads it, its CSRF token included.

    Django's own DATA_UPLOAD_MAX_MEMORY_SIZE does not count what a file holds.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_for_people(request) and request.method == "POST":
            try:
                receive_form(request)
            except Refusal as refusal:
                return refused(refusal)
        return self.get_response(request)


def receive_form(request: HttpRequest) -> None:
    """Raises FormTooLarge, BadLength and LengthRequired. A chunked form is read, and then counted."""
    if declared_length(request) > settings.MAX_FORM_BYTES:
        raise FormTooLarge
    if not is_chunked(request):
        return
    try:
        form = read_up_to(settings.MAX_FORM_BYTES + 1, request.META["wsgi.input"])
    except OSError:  # the client has hung up
        raise BadRequest from None
    if len(form) > settings.MAX_FORM_BYTES:
        raise FormTooLarge
    # Django takes a body without Content-Length as none.
    request._stream = BytesIO(form)
    request.META["CONTENT_LENGTH"] = str(len(form))


class NoFiles(FileUploadHandler):
    """The handler of uploaded files: no form of ours has any, and none reaches the disk."""

    def new_file(self, *args: Any, **options: Any) -> None:
        """Raises MultiPartParserError, which Django answers with 400."""
        raise MultiPartParserError("No form takes a file.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        return None

    def file_complete(self, file_size: int) -> None:
        return None


class CsrfForAllowedMethods(CsrfViewMiddleware):
    """Django's CSRF protection, after the check of the method.

    A method that urls.py does not declare for a view changes nothing: its answer is 405 or 404, and
    not a 403 about a missing token.
    """

    def process_view(
        self,
        request: HttpRequest,
        callback: Callable[..., HttpResponseBase],
        callback_args: tuple[Any, ...],
        callback_kwargs: dict[str, Any],
    ) -> Any:
        methods = getattr(callback, "methods", None)
        if methods is not None and request.method not in methods:
            return None
        return super().process_view(request, callback, callback_args, callback_kwargs)


class PagesInTheReadersLanguage:
    """Pages speak the language of ?lang, which is remembered, or the browser's. JSON is in English."""

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
            remember_language(response, chosen)
        response.headers.setdefault("Content-Language", request.LANGUAGE_CODE)
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


def remember_language(response: HttpResponse, language: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def chosen_language(request: HttpRequest) -> str | None:
    """The language of ?lang, or None if the service does not speak it."""
    wanted = request.GET.get("lang", "").lower()
    return wanted if wanted in dict(settings.LANGUAGES) else None


def is_ours(response: HttpResponse) -> bool:
    return response.headers.get("Content-Type") == MEDIA_TYPE or hasattr(response, "for_people")


def in_our_shape(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Replace an error answer of Django's or a library's, and keep its cookies, and headers such as Allow."""
    refusal = getattr(response, "refusal", None) or refusal_for(response.status_code)
    ours = error_page(request, refusal) if is_for_people(request) else problem(request, refusal)
    for name, value in response.items():
        if name not in OF_THE_BODY:
            ours.headers.setdefault(name, value)
    ours.cookies = response.cookies
    return ours


def is_for_people(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith(PLACES_OF_PEOPLE)


def error_page(request: HttpRequest, refusal: Refusal | type[Refusal]) -> HttpResponse:
    """The page without the request's context, because the session or the database may have failed."""
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
    return response
