"""The look-ups of every request with a login: the session, and the user.

Their SQL is cached, because Django's own look-ups took more than half of the time of a poll.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.http.response import HttpResponseBase
from django.utils import timezone

from chat.database.statements import Lookup
from chat.models import User

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
    """The authentication backend for passwords. Another backend before it counts attempts."""

    def get_user(self, user_id: Any) -> User | None:
        user = find_user(user_id)
        return user if user and self.user_can_authenticate(user) else None


def clear_the_cache(response: HttpResponseBase) -> None:
    """Let the browser forget our pages after a session, but not its stored settings."""
    response.headers["Clear-Site-Data"] = '"cache"'
