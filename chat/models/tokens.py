"""The tokens of programs, which read the JSON."""

import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import Error, models
from django.db.models import Q

from chat.database.migrated import writing

PREFIX = "realmate_"
NOTED_EVERY = timedelta(minutes=1)


class TokenQuerySet(models.QuerySet["Token"]):
    def holding(self) -> "TokenQuerySet":
        return self.filter(revoked_at=None)

    def of(self, text: str) -> "Token | None":
        """Return the token with this text, or None if unknown or revoked."""
        return self.holding().filter(digest=digest_of(text)).first()

    def issue(self, *, name: str, at: datetime) -> str:
        """Return the text of a new token; only its digest is stored. Raises ValidationError for a name in use."""
        text = PREFIX + secrets.token_urlsafe(32)
        token = Token(name=name, digest=digest_of(text), created_at=at)
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
    created_at = models.DateTimeField()
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

    def note_use(self, *, at: datetime) -> None:
        """Note the use, at most once a minute. Errors are ignored: a read-only database can still be read."""
        if self.last_used_at and at < self.last_used_at + NOTED_EVERY:
            return
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=at - NOTED_EVERY)
        with suppress(Error), writing(durable=False):
            Token.objects.filter(unnoted, pk=self.pk).update(last_used_at=at)


def digest_of(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()
