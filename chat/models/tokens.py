"""The tokens of programs."""

import re
import secrets
from collections.abc import Collection
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from hashlib import sha256

from django.core.exceptions import ValidationError
from django.db import Error, models
from django.db.models import Q
from django.utils import timezone

from chat.database.locks import without_waiting
from chat.database.migrated import refuse_wrong_schema

PREFIX = "realmate_"
NOTED_EVERY = timedelta(minutes=1)
LONGEST_LIFE_DAYS = 36_500
DAYS = re.compile(r"([1-9][0-9]{0,4})d")


class Scope(StrEnum):
    """The rights of a token."""

    READ = "read"
    DELIVERIES = "deliveries"
    REPLAY = "replay"
    METRICS = "metrics"


# For a token created without scopes, and for tokens older than scopes. None of these can write.
SCOPES_BY_DEFAULT = (Scope.READ, Scope.DELIVERIES, Scope.METRICS)


class TokenQuerySet(models.QuerySet["Token"]):
    def holding(self) -> "TokenQuerySet":
        return self.filter(revoked_at=None)

    def of(self, text: str, *, at: datetime) -> "Token | None":
        """Return the token with this text, or None if unknown, revoked or expired."""
        token = self.holding().filter(digest=digest_of(text)).first()
        return None if token is None or token.has_expired(at=at) else token

    def issue(
        self,
        *,
        name: str,
        at: datetime,
        scopes: Collection[str] = SCOPES_BY_DEFAULT,
        expires_at: datetime | None = None,
    ) -> str:
        """Return the text of a new token; only its digest is stored. Raises ValidationError for a name in use.

        The name of an expired token may be used again, and the expired one is revoked.
        """
        self.filter(name=name, expires_at__lte=at).revoke(at=at)
        if self.holding().filter(name=name).exists():
            raise ValidationError("A token has this name already. `manage.py revoketoken` ends it.")
        text = PREFIX + secrets.token_urlsafe(32)
        token = Token(name=name, digest=digest_of(text), created_at=at, expires_at=expires_at)
        token.scopes = " ".join(scope for scope in Scope if scope in scopes)
        token.full_clean()
        token.save()
        return text

    def revoke(self, *, at: datetime) -> int:
        """Revoke for good. Return the number of tokens revoked now."""
        return self.holding().update(revoked_at=at)


class Token(models.Model):
    """A token of 256 random bits, so one round of SHA-256 keeps the text secret."""

    name = models.CharField(max_length=100, help_text="Which program has it.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256, in hexadecimal.")
    scopes = models.CharField(
        max_length=100, default=" ".join(SCOPES_BY_DEFAULT), help_text="Separated by spaces."
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = TokenQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(revoked_at=None), name="token_one_of_a_name_holds"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def has_expired(self, *, at: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= at

    def opens(self, scope: str) -> bool:
        return scope in self.scopes.split()

    def note_use(self, *, at: datetime) -> None:
        """Note the use, at most once a minute, unless another writer is at work.

        Errors are ignored: a read-only database can still be read.
        """
        if self.last_used_at and at < self.last_used_at + NOTED_EVERY:
            return
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=at - NOTED_EVERY)
        with suppress(Error), without_waiting():
            refuse_wrong_schema()
            Token.objects.filter(unnoted, pk=self.pk).update(last_used_at=at)


def digest_of(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()


def expiry_of(text: str, *, at: datetime) -> datetime:
    """Return the end of `90d` from `at`, or of the day of a date in DISPLAY_TIME_ZONE.

    Raises ValueError for any other text, and for a past day.
    """
    if days := DAYS.fullmatch(text):
        if int(days[1]) > LONGEST_LIFE_DAYS:
            raise ValueError(text)
        return at + timedelta(days=int(days[1]))
    next_day = date.fromisoformat(text) + timedelta(days=1)
    ends = timezone.make_aware(datetime.combine(next_day, time()))
    if not at < ends <= at + timedelta(days=LONGEST_LIFE_DAYS):
        raise ValueError(text)
    return ends
