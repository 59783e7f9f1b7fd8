"""Who may send and who may read: signatures, tokens and sessions as authentication classes."""

from ipaddress import ip_address
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from chat.models import Token
from chat.refusals import HttpsRequired, InsufficientScope, InvalidSignature
from chat.signatures import configured


def body_of(request: Request) -> bytes:
    """The body that the parser RawBody has read, or reads now."""
    return cast(bytes, request.data)


class SenderSignature(BaseAuthentication):
    """The signature of a delivery. `request.auth` is the scheme that accepted it.

    The headers are judged first: a body that cannot have a valid signature is not read.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Any] | None:
        """Return None where no secrets are set. Raises InvalidSignature."""
        scheme = configured()
        if scheme is None:
            return None
        if not scheme.accepts_headers(request.headers):
            raise InvalidSignature
        if not scheme.accepts(body_of(request), request.headers):
            raise InvalidSignature
        return AnonymousUser(), scheme


class IsSender(BasePermission):
    """A signed delivery, or any delivery where WEBHOOK_ALLOW_UNSIGNED says so."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.auth is not None or settings.WEBHOOK_ALLOW_UNSIGNED


class BearerToken(BaseAuthentication):
    """A token of `manage.py createtoken`. `request.auth` is the Token; there is no user."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Token] | None:
        """Return None for an unknown or expired token, because the session may still be valid.

        Raises HttpsRequired for any token in plain text, where https is meant.
        """
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if settings.SECURE_SSL_REDIRECT and not (request.is_secure() or is_this_machine(request)):
            raise HttpsRequired
        now = timezone.now()
        token = Token.objects.of(text.strip(), at=now)
        if token is None:
            return None
        token.note_use(at=now)
        return AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def is_this_machine(request: Request) -> bool:
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:  # a proxy gave no address
        return False


def is_staff(request: Request) -> bool:
    """Whether this is the session of staff. A token has no user, so it is never staff."""
    return bool(request.user and request.user.is_staff)


class IsReader(BasePermission):
    """Whoever has a token with the view's `scope`, or a login. In development everyone is a reader."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raises InsufficientScope."""
        if not settings.LOGIN_REQUIRED:
            return True
        if isinstance(request.auth, Token):
            if request.auth.opens(view.scope):
                return True
            raise InsufficientScope(view.scope)
        return bool(request.user and request.user.is_authenticated)
