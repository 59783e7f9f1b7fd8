"""What is stored, read and written for many events at once."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from chat.models import EARLY, Conversation, Delivery, Message, MessageWords
from chat.payloads import Subject
from chat.stored import Stored


class Held(Stored):
    """What many events are about, read at once and held in memory until all of it is written."""

    def __init__(self, subjects: Iterable[Subject] = (), *, awaited: Collection[UUID] = ()) -> None:
        """`awaited` are conversations for which something has come before."""
        super().__init__()
        self.awaited = set(awaited)
        self.forget()
        self.look_up(list(subjects))

    def look_up(self, subjects: list[Subject]) -> None:
        ids = {subject.conversation_id for subject in subjects if subject.conversation_id}
        known = Conversation.objects.all_locked(ids)
        self.conversations |= dict.fromkeys(ids) | known
        self.awaited |= Delivery.objects.awaiting(ids - known.keys())
        self.look_up_messages(subject.message_id for subject in subjects)

    def look_up_messages(self, message_ids: Iterable[UUID | None]) -> None:
        ids = {id for id in message_ids if id}
        self.messages |= dict.fromkeys(ids)
        self.messages |= Message.objects.in_bulk(ids, field_name="id")

    def forget(self) -> None:
        self.opened: dict[UUID, Conversation] = {}
        self.changed: dict[UUID, Conversation] = {}
        self.with_late: set[UUID] = set()
        self.added: list[Message] = []
        self.logged: list[Delivery] = []

    def early(self, conversation_id: UUID, *, since: datetime) -> Iterator[Delivery]:
        """What came before its conversation; what is made of it is written a batch at a time."""
        if conversation_id not in self.awaited:
            return
        self.write()  # they may have come in this batch
        for batch in Delivery.objects.take_early(conversation_id, since=since):
            self.look_up_messages(delivery.message_id for delivery in batch)
            yield from batch
            self.write()

    def open(self, conversation: Conversation) -> None:
        self.conversations[conversation.id] = conversation
        self.opened[conversation.id] = conversation

    def close(self, conversation: Conversation) -> None:
        self.change(conversation)

    def change(self, conversation: Conversation) -> None:
        if conversation.id not in self.opened:
            self.changed[conversation.id] = conversation

    def add(self, message: Message, conversation: Conversation) -> None:
        self.messages[message.id] = message
        self.added.append(message)
        if message.late:
            self.with_late.add(conversation.id)
        self.change(conversation)

    def note_writing_after_closing(self, conversation_id: UUID, *, at: datetime) -> None:
        conversation = self.conversation(conversation_id)
        if conversation is not None:
            conversation.wrote_after_closing_at = max(at, conversation.wrote_after_closing_at or at)
            self.change(conversation)

    def log(self, delivery: Delivery) -> None:
        self.logged.append(delivery)
        if delivery.code == EARLY and delivery.conversation_id:
            self.awaited.add(delivery.conversation_id)

    def write(self) -> None:
        """Messages before their conversations, whose waiting_since is read from them.

        Both engines ask for the conversation of a message only at the commit.
        """
        Message.objects.bulk_create(self.added)
        MessageWords.objects.index(self.added)
        for id in self.with_late:
            if conversation := self.conversations[id]:
                conversation.see_who_waits()
        Conversation.objects.bulk_create(self.opened.values())
        Conversation.objects.overwrite(self.changed.values())
        Delivery.objects.bulk_create(self.logged)
        self.forget()
