"""The number of messages seen by each user in each conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth.signals import user_logged_in
from django.db import models
from django.db.models import Max
from django.dispatch import receiver

from chat.database.migrated import writing
from chat.models.changes import Cursor, latest_beside, latest_cursor
from chat.models.users import User

if TYPE_CHECKING:
    from collections.abc import Iterable


class SeenQuerySet(models.QuerySet["Seen"]):
    def counts(self, user: User, ids: Iterable[UUID]) -> dict[UUID, int]:
        """Return the number seen by the user in these conversations, by id. Unseen ones are left out."""
        rows = self.filter(user=user, conversation__in=list(ids))
        return dict(rows.values_list("conversation_id", "count"))

    def noted_after(self, user: User, place: int) -> SeenQuerySet:
        """Return the rows seen, or marked as unread, by the user after this place, in order."""
        return self.filter(user=user, place__gt=place).order_by("place")


class Seen(models.Model):
    """How much of a conversation a user has seen: a number, no text."""

    user = models.ForeignKey("User", on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation = models.ForeignKey(
        "Conversation", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    count = models.PositiveIntegerField(help_text="Of `Conversation.from_customer_count`.")
    place = models.PositiveBigIntegerField(
        default=0, help_text="Grows with each change of a row of this user. No clock is asked."
    )

    objects = SeenQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "seen"
        constraints = [
            models.UniqueConstraint(fields=["user", "conversation"], name="seen_once_a_user"),
        ]
        indexes = [models.Index(fields=["user", "place"], name="seen_by_place")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.conversation_id} {self.count}"


def note_seen(*, user: User, conversation: UUID, count: int, may_lower: bool) -> None:
    """Keep how much the user has seen. The highest count wins unless it `may_lower`.

    The order of two tabs does not matter, and neither does a repetition. Raises DatabaseError.
    """
    with writing():
        # Places of one user become visible in order, because this lock is kept until the commit.
        list(User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk"))
        rows = Seen.objects.filter(user=user)
        known = rows.filter(conversation=conversation).values_list("count", flat=True).first()
        if known is not None and (known == count or (known > count and not may_lower)):
            return
        last = rows.aggregate(last=Max("place"))["last"] or 0
        rows.update_or_create(
            user=user, conversation_id=conversation, defaults={"count": count, "place": last + 1}
        )


def latest_places(user: User | None) -> tuple[Cursor, int]:
    """Return the cursor of the newest change, and the place of the user's newest row.

    Costs one statement unless changes need a place.
    """
    cursor, place = latest_beside(NEWEST, user and user.pk)
    return cursor, place or 0


NEWEST = "(SELECT MAX(place) FROM chat_seen WHERE user_id = %s)"


@receiver(user_logged_in)
def note_first_login(*, user: User, **_: Any) -> None:
    """Note the newest change at the user's first login. Messages before this change are not unread."""
    if user.first_place is None:
        user.first_place = latest_cursor().place
        User.objects.filter(pk=user.pk).update(first_place=user.first_place)
