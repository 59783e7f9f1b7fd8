"""Attempts at passwords, counted for each pair of a name and an address."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models, transaction

from chat.models.users import LONGEST_FOLDED_NAME, User, fold_name
from chat.refusals import LockedOut

# Begins the key of an older user. In upper case, like no folded name.
OLDER = "USER "


class LoginAttemptsQuerySet(models.QuerySet["LoginAttempts"]):
    def count_one(self, *, name: str, address: str, at: datetime) -> LoginAttempts:
        """Commit one more attempt, and return the pair's attempts with it.

        Raises LockedOut if there were LOGIN_ATTEMPTS already. Such an attempt is not counted, because
        a guessing script would otherwise lock its victim out for ever.
        """
        name = key_of(name)
        with transaction.atomic(durable=True):
            tried = self._locked(name=name, address=address, at=at)
            if at >= tried.forgotten_at:
                tried.count = 0
            if tried.is_locked_out:
                raise LockedOut(tried.forgotten_at - at)
            tried.count += 1
            tried.last_at = at
            tried.save(update_fields=["count", "last_at"])
        return tried

    def _locked(self, *, name: str, address: str, at: datetime) -> LoginAttempts:
        """Return the row. Create a missing row. The update locks the row (PostgreSQL)."""
        self.bulk_create(
            [LoginAttempts(name=name, address=address, last_at=at)],
            update_conflicts=True,
            unique_fields=["name", "address"],
            update_fields=["name"],
        )
        return self.get(name=name, address=address)

    def of(self, name: str) -> LoginAttemptsQuerySet:
        """Return the attempts for a name from every address."""
        return self.filter(name=key_of(name))

    def locked_out(self, *, at: datetime) -> LoginAttemptsQuerySet:
        """Return the pairs of a name and an address that get no login now."""
        return self.filter(last_at__gt=at - lockout(), count__gte=settings.LOGIN_ATTEMPTS)

    def outdated(self, *, at: datetime) -> LoginAttemptsQuerySet:
        """Return attempts that lock nobody out any more, oldest first."""
        return self.filter(last_at__lte=at - lockout()).order_by("last_at")


class LoginAttempts(models.Model):
    """The attempts for one name from one address since the last right password."""

    name = models.CharField(max_length=LONGEST_FOLDED_NAME, help_text="Folded, known or not.")
    address = models.CharField(max_length=43, help_text="An IPv4 address, or an IPv6 /64.")
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True, help_text="When the last one was counted.")

    objects = LoginAttemptsQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "address"], name="attempts_one_row_a_pair")
        ]

    def __str__(self) -> str:
        return f"{self.count} for {self.name} from {self.address}"

    def take_back(self) -> None:
        """Uncount an attempt, because its password was never judged."""
        rows = LoginAttempts.objects.filter(pk=self.pk, count__gt=0)
        rows.update(count=models.F("count") - 1)

    @property
    def is_locked_out(self) -> bool:
        return self.count >= settings.LOGIN_ATTEMPTS

    @property
    def forgotten_at(self) -> datetime:
        return self.last_at + lockout()

    @property
    def login_name(self) -> str:
        """The name of an older user as it is, and any other name folded."""
        if not self.name.startswith(OLDER):
            return self.name
        older = User.objects.filter(pk=self.name.removeprefix(OLDER))
        return older.values_list("username", flat=True).first() or self.name


def key_of(name: str) -> str:
    """Return the key for counting the attempts for a name: one key for each user, in any case.

    The key is the folded name, cut, because no user has a longer one. An older user without a folded
    name logs in by the exact name only. The key of such a user is in upper case, like no folded name.
    """
    exact = User.objects.filter(username=User.normalize_username(name), folded_name=None)
    if older := exact.values_list("pk", flat=True).first():
        return f"{OLDER}{older}"
    return fold_name(name)[:LONGEST_FOLDED_NAME]


def lockout() -> timedelta:
    return timedelta(minutes=settings.LOGIN_LOCKOUT_MINUTES)
