"""Mark a customer's texts after closing as dealt with, and take the mark back.

A mark is not an event, so `revision` and the log of deliveries do not change.
"""

from datetime import datetime
from uuid import UUID

from chat.database.migrated import writing
from chat.models import Change, Conversation, Dealing, User

CHANGED_BY_DEALING = ["dealt_with_at", "updated_at"]


def deal_with(id: UUID, *, by: User | None, seen: int, at: datetime) -> bool:
    """Mark the conversation as dealt with. Return False if there is nothing to mark, or more to see.

    `seen` is how many texts after closing the reader has seen: nobody deals with an unseen one.
    Raises Django's DatabaseError.
    """
    with writing():
        conversation = Conversation.objects.locked(id)
        if conversation is None or not conversation.needs_dealing:
            return False
        if conversation.wrote_after_closing_count != seen:
            return False
        Dealing.objects.create(conversation=conversation, at=at, by=by)
        _mark(conversation, dealt_with_at=at, at=at)
    return True


def undo(id: UUID, *, by: User | None, at: datetime) -> bool:
    """Take the mark back. Return False if there is none. Raises Django's DatabaseError."""
    with writing():
        conversation = Conversation.objects.locked(id)
        if conversation is None or conversation.dealt_with_at is None:
            return False
        last = conversation.dealings.filter(undone_at=None).order_by("id").last()
        if last:
            Dealing.objects.filter(pk=last.pk).update(undone_at=at, undone_by=by)
        _mark(conversation, dealt_with_at=None, at=at)
    return True


def _mark(conversation: Conversation, *, dealt_with_at: datetime | None, at: datetime) -> None:
    conversation.dealt_with_at = dealt_with_at
    conversation.updated_at = max(at, conversation.updated_at)
    conversation.save(update_fields=CHANGED_BY_DEALING)
    Change.objects.create(type=Change.Type.DEALT_WITH, conversation_id=conversation.id, at=at)
