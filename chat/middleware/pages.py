"""Pages of people: sessions, logins and languages."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.cache import patch_vary_headers
from django.utils.translation import activate, get_language, get_language_from_request

from chat.logins import clear_the_cache
from chat.middleware.edge import is_for_people
from chat.refusals import NotAuthenticated

FRAGMENTS = "/ui/fragments/"


class Sessions(SessionMiddleware):
    """Django's sessions. An answer that deletes the session's cookie also clears the browser's cache."""

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
        # Django's middleware reads the user, and so the session, also for open views.
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
        """Return the login of all pages, so the admin needs no login page."""
        return settings.LOGIN_URL


class PagesInTheReadersLanguage:
    """Pages are in the language of ?lang, now or earlier, or the browser's. JSON is in English."""

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
    """Return the language of ?lang, or None if the service lacks this language."""
    wanted = request.GET.get("lang", "").lower()
    return wanted if wanted in dict(settings.LANGUAGES) else None
