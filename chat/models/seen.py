"""What each user has seen of each conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models

from chat.database.migrated import writing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chat.models.users import User


class SeenQuerySet(models.QuerySet["Seen"]):
    def counts(self, user: User, ids: Iterable[UUID]) -> dict[UUID, int]:
        """Return what the user has seen of these conversations, by id. Others are left out."""
        found = self.filter(user=user, conversation__in=list(ids))
        return dict(found.values_list("conversation_id", "count"))


class Seen(models.Model):
    """How much of a conversation a user has seen: a number, no text."""

    user = models.ForeignKey("User", on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation = models.ForeignKey(
        "Conversation", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    count = models.PositiveIntegerField(help_text="Of `Conversation.from_customer_count`.")

    objects = SeenQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "seen"
        constraints = [
            models.UniqueConstraint(fields=["user", "conversation"], name="seen_once_a_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.conversation_id} {self.count}"


def note_seen(*, user: User, conversation: UUID, count: int, may_lower: bool) -> None:
    """Keep how much the user has seen. The highest count wins unless it `may_lower`.

    The order of two tabs does not matter, and neither does a repetition. Raises DatabaseError.
    """
    row = Seen(user=user, conversation_id=conversation, count=count)
    with writing():
        Seen.objects.bulk_create([row], ignore_conflicts=True)
        kept = Seen.objects.filter(user=user, conversation=conversation)
        changed = kept.exclude(count=count) if may_lower else kept.filter(count__lt=count)
        changed.update(count=count)
