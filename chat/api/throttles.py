"""Limits on reads a minute: by token, or by address for readers with neither a token nor a login.

REST framework counts in Django's cache, and each process has its own in memory. So a service of four
processes lets through up to four times the number.
"""

from abc import ABC, abstractmethod
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from chat.logins import client_address
from chat.models import Token


class ReadsAMinute(ABC, SimpleRateThrottle):
    """The throttle of a setting. 0 turns the throttle off."""

    setting: str

    def get_rate(self) -> str | None:
        most = getattr(settings, self.setting)
        return f"{most}/min" if most else None

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        reader = self.reader(request)
        return None if reader is None else f"{self.setting}:{reader}"

    @abstractmethod
    def reader(self, request: Request) -> Any:
        """Return the key of the counted reader, or None if this throttle does not count the reader."""


class ByToken(ReadsAMinute):
    setting = "READS_PER_MINUTE_BY_TOKEN"

    def reader(self, request: Request) -> int | None:
        return request.auth.pk if isinstance(request.auth, Token) else None


class ByAddress(ReadsAMinute):
    setting = "READS_PER_MINUTE_BY_ADDRESS"

    def reader(self, request: Request) -> str | None:
        is_known = isinstance(request.auth, Token) or request.user.is_authenticated
        return None if is_known else client_address(request._request)
