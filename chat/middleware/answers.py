"""Security headers, CORS and compression of every answer, and the check of the Host of every request."""

from collections.abc import Callable

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.gzip import GZipMiddleware

from chat.middleware.compression import compress, is_worth_compressing
from chat.middleware.edge import is_for_people, refused
from chat.refusals import HostNotAllowed

PROBES = {"/healthz", "/readyz"}


class SecurityPolicy:
    """Content-Security-Policy and Cross-Origin-Resource-Policy on every answer without its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


class CrossOriginReads(CorsMiddleware):
    """Adds the CORS headers of django-cors-headers, which also answers OPTIONS. Off without origins."""

    def is_enabled(self, request: HttpRequest) -> bool:
        return bool(settings.CORS_ALLOWED_ORIGINS) and super().is_enabled(request)


class HostsOfAllButProbes(CommonMiddleware):
    """Refuses a Host outside ALLOWED_HOSTS, but not of probes: a probe names an IP address, or sends no Host."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:  # type: ignore[override]
        if request.path_info.removesuffix("/") in PROBES:
            return None
        try:
            return super().process_request(request)
        except DisallowedHost:
            return refused(HostNotAllowed())


class CompressAnswers(GZipMiddleware):
    """Compresses answers for programs, and pages. Django pads the pages against BREACH.

    A page with the token of a form is not compressed if the request has a query string or a body.
    From the sizes of many answers to chosen requests, an attacker could guess the token.
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
    """Whether the page asked Django for the token of a form. Django's middleware has set the value to False."""
    return "CSRF_COOKIE_NEEDS_UPDATE" in request.META


def says_something(request: HttpRequest) -> bool:
    return bool(request.META.get("QUERY_STRING")) or request.method not in {"GET", "HEAD"}
