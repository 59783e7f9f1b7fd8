"""What is stored, as the rules in events.py read and write it, in the caller's transaction."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from chat.batches import batches
from chat.models import (
    CHANGED_BY_A_MESSAGE,
    CHANGED_BY_CLOSING,
    EARLY,
    Conversation,
    Delivery,
    Message,
    MessageWords,
)
from chat.models.statements import Lookup, insert, update
from chat.payloads import Subject

OPENING = Delivery.Type.NEW_CONVERSATION
find_message = Lookup(Message.objects.all())


class Stored:
    """What events are about: read at once, and held in memory until all that they do is written."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        self.conversations: dict[UUID, Conversation | None] = {}
        self.messages: dict[UUID, Message | None] = {}
        self.awaited: set[UUID] = set()  # conversations for which something has come before
        self.forget()
        self.look_up(list(subjects))

    def look_up(self, subjects: list[Subject]) -> None:
        """Conversations are locked until the transaction ends, absent ones too."""
        ids = {subject.conversation_id for subject in subjects if subject.conversation_id}
        self.conversations = dict.fromkeys(ids) | Conversation.objects.all_locked(ids)
        self.look_up_messages(subject.message_id for subject in subjects)
        opened = {subject.conversation_id for subject in subjects if subject.type == OPENING}
        absent = {id for id in opened if id and self.conversations[id] is None}
        if absent:
            self.awaited = Delivery.objects.awaiting(absent)

    def look_up_messages(self, message_ids: Iterable[UUID | None]) -> None:
        ids = {id for id in message_ids if id}
        self.messages |= dict.fromkeys(ids)
        self.messages |= find_message.among(ids)

    def conversation(self, id: UUID) -> Conversation | None:
        return self.conversations[id]

    def message(self, id: UUID) -> Message | None:
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

    def forget(self) -> None:
        self.opened: dict[UUID, Conversation] = {}
        self.changed: dict[UUID, Conversation] = {}
        self.changed_fields: set[str] = set()
        self.asked_who_waits: set[UUID] = set()
        self.added: list[Message] = []
        self.logged: list[Delivery] = []

    def early(self, conversation_id: UUID, *, since: datetime) -> Iterator[Delivery]:
        """What came before its conversation; what is made of it is written a batch at a time."""
        if conversation_id not in self.awaited:
            return
        self.write()  # they may have come in this batch
        held = set(self.messages)
        for batch in Delivery.objects.take_early(conversation_id, since=since):
            self.look_up_messages(delivery.message_id for delivery in batch)
            yield from batch
            self.write()
            for id in self.messages.keys() - held:  # with a text of up to 4 MiB each
                del self.messages[id]

    def open(self, conversation: Conversation) -> None:
        self.conversations[conversation.id] = conversation
        self.opened[conversation.id] = conversation

    def close(self, conversation: Conversation) -> None:
        self.change(conversation, CHANGED_BY_CLOSING)

    def change(self, conversation: Conversation, fields: Iterable[str]) -> None:
        if conversation.id not in self.opened:
            self.changed[conversation.id] = conversation
            self.changed_fields.update(fields)

    def add(self, message: Message, conversation: Conversation) -> None:
        self.messages[message.id] = message
        self.added.append(message)
        if message.late and conversation.may_wait_otherwise(message):
            self.asked_who_waits.add(conversation.id)
        self.change(conversation, CHANGED_BY_A_MESSAGE)

    def note_writing_after_closing(self, conversation_id: UUID, *, at: datetime) -> None:
        conversation = self.conversation(conversation_id)
        if conversation is not None:
            conversation.wrote_after_closing_at = max(at, conversation.wrote_after_closing_at or at)
            self.change(conversation, ["wrote_after_closing_at"])

    def log(self, delivery: Delivery) -> None:
        self.logged.append(delivery)
        if delivery.code == EARLY and delivery.conversation_id:
            self.awaited.add(delivery.conversation_id)

    def write(self) -> None:
        """Messages before their conversations, whose waiting_since may be read from them.

        Both engines ask for the conversation of a message only at the commit.
        """
        for messages in batches(self.added, lambda message: len(message.content)):
            insert(*messages)
            insert(*map(MessageWords.of, messages))
        for id in self.asked_who_waits:
            if conversation := self.conversations[id]:
                conversation.see_who_waits()
        insert(*self.opened.values())
        update(*self.changed.values(), names=sorted(self.changed_fields))
        for deliveries in batches(self.logged, lambda delivery: len(delivery.body)):
            insert(*deliveries)
        self.forget()
