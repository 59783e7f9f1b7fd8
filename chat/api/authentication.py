"""Signatures, tokens and sessions as authentication classes, and the permissions to send and read."""

from hmac import compare_digest
from ipaddress import ip_address
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import Error
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from chat.models import Scope, Token
from chat.models.tokens import digest_of
from chat.refusals import HttpsRequired, InsufficientScope, InvalidSignature
from chat.signatures import WRONG, configured
from realmate.postgresql.base import a_request


def body_of(request: Request) -> bytes:
    """Return the body. The parser RawBody reads it at the first call."""
    return cast(bytes, request.data)


class SenderSignature(BaseAuthentication):
    """The signature of a delivery. `request.auth` is the scheme of a valid signature.

    The headers are judged first. If they rule out a valid signature, the body is not read.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Any] | None:
        """Return None where no secrets are set. Raises InvalidSignature."""
        scheme = configured()
        if scheme is None:
            return None
        if fault := scheme.fault_of_headers(request.headers):
            raise InvalidSignature(*fault, address=address_of(request))
        if not scheme.accepts(body_of(request), request.headers):
            raise InvalidSignature(WRONG, address=address_of(request))
        return AnonymousUser(), scheme


def address_of(request: Request) -> str:
    """Return the client's address as trusted proxies report it, or ""."""
    return str(request.META.get("REMOTE_ADDR", ""))


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
        token = self.find(text.strip())
        return (AnonymousUser(), token) if token else None

    def find(self, text: str) -> Any:
        """Return the token, and note its use. None if unknown, revoked or expired."""
        now = timezone.now()
        token = Token.objects.of(text, at=now)
        if token:
            token.note_use(at=now)
        return token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ScrapeToken(BearerToken):
    """A token of `manage.py createtoken`, or METRICS_TOKEN, which needs no database.

    While the database fails, a token counts for SECONDS_REMEMBERED after its last successful look-up.
    """

    def find(self, text: str) -> Any:
        """Raises Django's `Error` if the database fails, and this process does not remember the token."""
        if settings.METRICS_TOKEN and compare_digest(
            text.encode(errors="replace"), settings.METRICS_TOKEN.encode()
        ):
            return text
        remembered = f"scraped_with_{digest_of(text)}"
        try:
            with a_request(seconds=SECONDS_FOR_A_TOKEN):
                token = super().find(text)
        except Error:
            if cache.get(remembered):
                return text
            raise
        opens = bool(token and token.opens(Scope.METRICS))
        cache.set(remembered, opens, SECONDS_REMEMBERED)
        return token


SECONDS_FOR_A_TOKEN = 1
SECONDS_REMEMBERED = 3600


def is_this_machine(request: Request) -> bool:
    try:
        return ip_address(address_of(request)).is_loopback
    except ValueError:  # a proxy gave no address
        return False


def is_staff(request: Request) -> bool:
    """Whether this is the session of staff. A token has no user, so a token is never staff."""
    return bool(request.user and request.user.is_staff)


class IsReader(BasePermission):
    """Allow a token with the view's `scope`, and any login. In development everyone is a reader."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raises InsufficientScope."""
        if not settings.LOGIN_REQUIRED:
            return True
        if isinstance(request.auth, Token):
            if request.auth.opens(view.scope):
                return True
            raise InsufficientScope(view.scope)
        if request.auth is not None:  # the text of a ScrapeToken
            return True
        return bool(request.user and request.user.is_authenticated)
