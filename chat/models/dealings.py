"""The users who dealt with customers' texts after closing."""

from django.db import models


class Dealing(models.Model):
    """Somebody dealt with the customer's texts after closing, and may have undone this mark.

    Rows stay when the customer writes again. They hold no text. The users are null in a service
    open to everybody, and after a user is deleted.
    """

    conversation = models.ForeignKey(
        "Conversation", on_delete=models.PROTECT, related_name="dealings"
    )
    at = models.DateTimeField(
        help_text="Equals `dealt_with_at` of the conversation while it holds."
    )
    by = models.ForeignKey("User", null=True, on_delete=models.SET_NULL, related_name="+")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey("User", null=True, on_delete=models.SET_NULL, related_name="+")

    def __str__(self) -> str:
        return f"{self.conversation_id} {self.at}"
