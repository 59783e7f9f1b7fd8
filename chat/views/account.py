"""Login, logout and the change of one's own password."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve, reverse, reverse_lazy
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from chat.logins import clear_the_cache
from chat.views.page import page

LONGEST_NAME = 150


class LogIn(LoginView):
    """The login. Whoever is logged in already goes on to the page that was asked for."""

    template_name = "chat/login.html"
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:  # type: ignore[override] # the stubs are of Django 6
        """Return `next`, or "" (the inbox) if a browser cannot be sent there: it leads back here, or
        takes no GET.
        """
        url: str = super().get_redirect_url()
        return url if url and takes_get(urlsplit(url).path) else ""


def takes_get(path: str) -> bool:
    """Whether a path is a page other than the login. A page that does not exist says so itself."""
    try:
        view = resolve(unquote(path)).func
    except Resolver404:
        return True
    methods = getattr(view, "methods", ())
    return not is_login(path) and (not methods or "GET" in methods)


def is_login(path: str) -> bool:
    return unquote(path).rstrip("/") == reverse("login").rstrip("/")


def refuse_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid CSRF token. EdgeMiddleware makes the page of the 403.

    A login form is stale once its user has logged in elsewhere, and then leads to the inbox.
    """
    if request.user.is_authenticated and is_login(request.path_info):
        return redirect(settings.LOGIN_REDIRECT_URL)
    return HttpResponse(status=403)


class LogOut(LogoutView):
    """Ends the session and clears the browser's cache of our pages."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().post(request, *args, **kwargs)
        clear_the_cache(response)
        return response


class Account(PasswordChangeView):
    template_name = "chat/account.html"
    success_url = reverse_lazy("account")
    extra_context = {"section": "account"}

    def get_form(self, form_class: Any = None) -> PasswordChangeForm:
        """Return the form without focus, because most visitors of the page want to log out."""
        form = super().get_form(form_class)
        form.fields["old_password"].widget.attrs.pop("autofocus")
        return form

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(
            self.request, _("Your password is changed. Other sessions of yours are over.")
        )
        return super().form_valid(form)


@never_cache
def locked_out(request: HttpRequest, *of_axes: Any) -> HttpResponse:
    """Answer in place of the login, after too many wrong passwords."""
    minutes = settings.LOGIN_LOCKOUT_MINUTES
    response = page(request, "chat/locked_out.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(minutes * 60)
    return response


def name_tried(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Return the tried name, cut: no user has a longer one, and none fits the table of attempts."""
    return str((credentials or request.POST).get("username", ""))[:LONGEST_NAME]


def client_address(request: HttpRequest) -> str | None:
    """Return the address, or None if a proxy gave no address. Such clients are counted together."""
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


log_in = LogIn.as_view()
log_out = LogOut.as_view()
account = never_cache(Account.as_view())
