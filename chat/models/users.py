"""The users."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from chat.heavy.hashing import turn_to_hash

# Case folding makes up to three characters of one: "ΐ".
LONGEST_FOLDED_NAME = 3 * 150


def fold_name(name: str) -> str:
    """Return the form of a login name for comparisons: without case, but with accents."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


class Users(UserManager["User"]):
    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user of a login name in either case. Raises User.DoesNotExist.

        The exact name goes first: 0.1.0 allowed names that differ by case only.
        """
        name = username or ""
        try:
            return super().get_by_natural_key(User.normalize_username(name))
        except User.DoesNotExist:
            return self.get(folded_name=fold_name(name))


class User(AbstractUser):
    """A reader of the inbox. Agents read; staff also see raw bodies and the admin."""

    folded_name = models.CharField(  # noqa: DJ001 - unique, so "" could stand for one user only
        max_length=LONGEST_FOLDED_NAME,
        unique=True,
        null=True,
        editable=False,
        help_text="The username without case. NULL if an older user had the name first.",
    )
    first_place = models.PositiveBigIntegerField(
        null=True,
        editable=False,
        help_text="The place of the newest change when the user first logged in.",
    )

    objects: ClassVar[Users] = Users()

    def clean(self) -> None:
        """Raises ValidationError if another user's name differs by case only."""
        super().clean()
        if User.objects.filter(pk=self.pk, username=self.username).exists():
            return  # an older user may keep such a name
        if not may_have_folded_name(self):
            raise ValidationError({"username": self.unique_error_message(User, ("username",))})

    def save(self, *args: Any, **options: Any) -> None:
        if self._state.adding or self.folded_name is not None or may_have_folded_name(self):
            self.folded_name = fold_name(self.username)
        if "username" in (options.get("update_fields") or ()):
            options["update_fields"] = {*options["update_fields"], "folded_name"}
        super().save(*args, **options)

    def set_password(self, raw_password: str | None) -> None:
        with turn_to_hash():
            super().set_password(raw_password)

    def check_password(self, raw_password: str | None) -> bool:
        with turn_to_hash():
            return super().check_password(raw_password)


def may_have_folded_name(user: User) -> bool:
    """Whether no other user has the folded name of this one."""
    others = User.objects.exclude(pk=user.pk)
    return not others.filter(folded_name=fold_name(user.username or "")).exists()


@receiver([post_save, post_delete], sender=User)
def give_free_names(*, raw: bool = False, **_: Any) -> None:
    """Give each user without a folded name their own, if it is free now. The oldest user goes first.

    `raw`: a fixture is loaded, and may bring the owner of a name later.
    """
    waiting = [] if raw else User.objects.filter(folded_name=None).order_by("pk")
    for user in waiting:
        if may_have_folded_name(user):
            unchanged = User.objects.filter(pk=user.pk, username=user.username)
            with suppress(IntegrityError), transaction.atomic():  # another process was faster
                unchanged.update(folded_name=fold_name(user.username))
