"""What is stored, as the rules in events.py read and write it, in the caller's transaction."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from chat.models import (
    CHANGED_BY_A_MESSAGE,
    CHANGED_BY_CLOSING,
    Conversation,
    Delivery,
    Message,
    MessageWords,
)
from chat.models.statements import Lookup, insert, update

find_message = Lookup(Message.objects.all())


class Stored:
    """The database, at once. held.py has another, which writes many events together."""

    def __init__(self) -> None:
        self.conversations: dict[UUID, Conversation | None] = {}
        self.messages: dict[UUID, Message | None] = {}

    def conversation(self, id: UUID) -> Conversation | None:
        """Locked until the transaction ends, an absent one too; looked up once."""
        if id not in self.conversations:
            self.conversations[id] = Conversation.objects.locked(id)
        return self.conversations[id]

    def message(self, id: UUID) -> Message | None:
        if id not in self.messages:
            self.messages[id] = find_message(id)
        return self.messages[id]

    def has_erased(self, conversation_id: UUID | None, message_id: UUID | None) -> bool:
        """Whether the text of either was erased: then the log keeps nothing of it either."""
        conversation = self.conversation(conversation_id) if conversation_id else None
        message = self.message(message_id) if message_id else None
        return any(found is not None and found.is_erased for found in (conversation, message))

    def has_erased_any(self, ids: Collection[UUID]) -> bool:
        """Whether one of these stands for what was erased; without locking it."""
        if not ids:
            return False
        conversations = Conversation.objects.filter(pk__in=ids, erased_at__isnull=False)
        return conversations.exists() or Message.objects.filter(id__in=ids, content="").exists()

    def open(self, conversation: Conversation) -> None:
        insert(conversation)

    def close(self, conversation: Conversation) -> None:
        update(conversation, CHANGED_BY_CLOSING)

    def add(self, message: Message, conversation: Conversation) -> None:
        """With its words, and with what its conversation now shows."""
        insert(message)
        insert(MessageWords.of(message))
        if message.late:
            conversation.see_who_waits()
        update(conversation, CHANGED_BY_A_MESSAGE)

    def note_writing_after_closing(self, conversation_id: UUID, *, at: datetime) -> None:
        noted = Conversation.objects.filter(pk=conversation_id)
        # A replay may be older than what was noted.
        noted.exclude(wrote_after_closing_at__gte=at).update(wrote_after_closing_at=at)

    def log(self, delivery: Delivery) -> None:
        insert(delivery)
