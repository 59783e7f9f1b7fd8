"""Logins: the look-ups of every request with a login, and the attempts at passwords.

The SQL of the look-ups is cached, because Django's own took more than half of the time of a poll.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, TypeVar

from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from chat.database.statements import Lookup
from chat.heavy.hashing import turn_to_hash
from chat.models import LoginAttempts, User
from chat.models.attempts import lockout
from chat.refusals import LockedOut
from chat.text.folding import fold

Result = TypeVar("Result")

find_session = Lookup(Session.objects.all(), by="session_key")
find_user = Lookup(User.objects.all())


class SessionStore(db.SessionStore):
    """The session engine."""

    def _get_session_from_db(self) -> Session | None:
        session = find_session(self.session_key)
        if session and session.expire_date > timezone.now():
            return session
        self._session_key = None
        return None


class Passwords(ModelBackend):
    """The authentication backend. Every login goes through it, the admin's too."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> User | None:
        """Return the user of a right password, or None. Raises LockedOut and TooManyLogins."""
        if username is None or password is None:
            return None
        verify = super().authenticate
        return attempt(
            lambda: verify(request, username=username, password=password),
            name=username,
            address=client_address(request),
        )

    def get_user(self, user_id: Any) -> User | None:
        user = find_user(user_id)
        return user if user and self.user_can_authenticate(user) else None


def clear_the_cache(response: HttpResponseBase) -> None:
    """Let the browser forget our pages after a session, but not its stored settings."""
    response.headers["Clear-Site-Data"] = '"cache"'


# Attempts


def attempt(verify: Callable[[], Result], *, name: str, address: str) -> Result:
    """Return the result of `verify`, true exactly for a right password.

    The attempt is on disk before the hash begins, or parallel guesses would pass the limit. The turn
    comes first, so a login without a turn is not counted, and only a few logins at a time write.
    If `verify` raises, its attempt is taken back.
    Raises TooManyLogins, and LockedOut from the last wrong attempt on.
    """
    with turn_to_hash():
        tried = LoginAttempts.objects.count_one(name=name, address=address, at=timezone.now())
        try:
            result = verify()
        except BaseException:
            with suppress(Error):
                tried.take_back()
            raise
    if result:
        tried.delete()
    elif tried.is_locked_out:
        raise LockedOut(lockout())
    return result


def client_address(request: HttpRequest | None) -> str:
    """Return the client's address, or its /64: the owner of an IPv6 network has 2^64 addresses.

    Clients without an address from their proxy are counted together, under "".
    """
    try:
        address = ip_address(request.META.get("REMOTE_ADDR", "") if request else "")
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((int(address), 64), strict=False))


# New passwords

SERVICE = "realmate"
SHORTEST_NAME = 3
NOT_OF_WORDS = re.compile(r"[\W_]+")


class NoNames:
    """Refuses passwords with the name of the service or of the user, also with signs between the letters."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raises ValidationError."""
        text = letters_of(password)
        if any(name in text for name in names_of(user)):
            raise ValidationError(self.get_help_text(), code="password_with_name")

    def get_help_text(self) -> str:
        return _("Your password can’t contain your name or the name of this service.")


def names_of(user: Any) -> set[str]:
    """Return the names as a whole and in their parts. Shorter ones than SHORTEST_NAME are in any word."""
    fields = ("username", "first_name", "last_name")
    names = [getattr(user, field, "") or "" for field in fields]
    names.append((getattr(user, "email", "") or "").partition("@")[0])
    parts = [part for name in names for part in (name, *NOT_OF_WORDS.split(name))]
    return {SERVICE} | {name for part in parts if len(name := letters_of(part)) >= SHORTEST_NAME}


def letters_of(text: str) -> str:
    return NOT_OF_WORDS.sub("", fold(text))
