"""Login, logout and the change of one's own password."""

from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve, reverse, reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from chat.logins import attempt, clear_the_cache, client_address
from chat.metrics import LOGINS
from chat.refusals import LockedOut, TooManyLogins


class Credentials(AuthenticationForm):
    """A name and a password. Django's own message warns of the case of names, which counts here for nothing."""

    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": gettext_lazy("The name or the password is wrong.")
    }


class LogIn(LoginView):
    """The login. A user already logged in is sent on to the page in `next`."""

    template_name = "chat/login.html"
    authentication_form = Credentials
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = super().post(request, *args, **kwargs)
        except (LockedOut, TooManyLogins) as refusal:
            is_locked = isinstance(refusal, LockedOut)
            LOGINS.labels("locked_out" if is_locked else refusal.code).inc()
            raise
        has_failed = response.status_code == HTTPStatus.OK  # the form again
        LOGINS.labels("wrong_password" if has_failed else "logged_in").inc()
        return response

    def get_redirect_url(self) -> str:  # type: ignore[override] # the stubs are of Django 6
        """Return `next`, or "" (the inbox) if `next` leads back here or takes no GET."""
        url: str = super().get_redirect_url()
        return url if url and takes_get(urlsplit(url).path) else ""


def takes_get(path: str) -> bool:
    """Whether a path is a page other than the login. A missing page is left to its own 404."""
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


class ChangePassword(PasswordChangeForm):
    """The form of a new password. An attempt at the old one counts like a login."""

    def __init__(self, *args: Any, address: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.address = address
        # Without focus, because most visitors of the page want to log out.
        self.fields["old_password"].widget.attrs.pop("autofocus")

    @sensitive_variables("password")
    def clean_old_password(self) -> str:
        """Raises ValidationError, LockedOut and TooManyLogins."""
        password: str = self.cleaned_data["old_password"]
        if not attempt(
            lambda: self.user.check_password(password),
            name=self.user.get_username(),
            address=self.address,
        ):
            raise ValidationError(
                self.error_messages["password_incorrect"], code="password_incorrect"
            )
        return password


class Account(PasswordChangeView):
    form_class = ChangePassword
    template_name = "chat/account.html"
    success_url = reverse_lazy("account")
    extra_context = {"section": "account"}

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"address": client_address(self.request)}

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(
            self.request, _("Your password is changed. Other sessions of yours are over.")
        )
        return super().form_valid(form)


log_in = LogIn.as_view()
log_out = LogOut.as_view()
account = never_cache(Account.as_view())
