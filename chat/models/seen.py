"""What each user has seen of each conversation."""

from django.db import models


class Seen(models.Model):
    """How much of a conversation a user has seen: a number, no text."""

    user = models.ForeignKey("User", on_delete=models.CASCADE, related_name="+", db_index=False)
    conversation = models.ForeignKey(
        "Conversation", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    count = models.PositiveIntegerField(help_text="Of `Conversation.from_customer_count`.")

    class Meta:
        verbose_name_plural = "seen"
        constraints = [
            models.UniqueConstraint(fields=["user", "conversation"], name="seen_once_a_user"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.conversation_id} {self.count}"
