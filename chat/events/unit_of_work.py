"""The rows read and changed by a batch of events: read together, written together."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS

from chat.database.batches import batches
from chat.database.statements import Known, Lookup, insert, new, update
from chat.models import (
    CHANGED_BY_A_MESSAGE,
    CHANGED_BY_CLOSING,
    CHANGED_BY_WRITING_AFTER_CLOSING,
    EARLY,
    Change,
    Conversation,
    Delivery,
    Message,
    MessageWords,
)
from chat.refusals import Subject

find_message = Lookup(Message.objects.all())
find_early = Known(Delivery.objects.filter(code=EARLY), by="conversation_id")


class UnitOfWork:
    """The conversations and messages of a batch of events, in the caller's transaction.

    Rows are read once, at the start. Changes stay in memory until `write` stores them, with
    few statements for each table. Without `early_events`, a new conversation does not apply its early events.
    """

    def __init__(
        self,
        subjects: Iterable[Subject],
        *,
        using: str = DEFAULT_DB_ALIAS,
        early_events: bool = True,
    ) -> None:
        self.using = using
        self.early_events = early_events
        self.now: datetime | None = None  # the arrival of the delivery being added
        self.written_after_closing: set[tuple[UUID, UUID, str]] = set()
        self.conversations: dict[UUID, Conversation | None] = {}
        self.messages: dict[UUID, Message | None] = {}
        self.with_early_events: set[UUID] = set()  # unknown conversations
        self.is_applying_early = False
        self.served: set[UUID] = set()  # conversations with early events taken in this transaction
        self._forget_changes()
        self._read(list(subjects))

    def _read(self, subjects: list[Subject]) -> None:
        """Read every row needed by the batch. Lock its conversations, absent ones too."""
        ids = {subject.conversation_id for subject in subjects if subject.conversation_id}
        self.conversations = dict.fromkeys(ids)
        self.conversations |= Conversation.objects.using(self.using).all_locked(ids)
        self._read_messages(subject.message_id for subject in subjects)
        opening = Delivery.Type.NEW_CONVERSATION
        opened = {subject.conversation_id for subject in subjects if subject.type == opening}
        absent = {id for id in opened if id and self.conversations[id] is None}
        if absent and self.early_events:
            self.with_early_events = find_early.among(absent, using=self.using)

    def _read_messages(self, message_ids: Iterable[UUID | None]) -> None:
        ids = {id for id in message_ids if id}
        self.messages |= dict.fromkeys(ids)
        self.messages |= find_message.among(ids, using=self.using)

    def _forget_changes(self) -> None:
        self.opened: dict[UUID, Conversation] = {}
        self.changed: dict[UUID, Conversation] = {}
        self.changed_fields: set[str] = set()
        self.stale_waiting: set[UUID] = set()  # conversations with a waiting_since to be read
        self.added: list[Message] = []
        self.changes: list[Change] = []
        self.logged: list[Delivery] = []

    def conversation(self, id: UUID) -> Conversation | None:
        return self.conversations[id]

    def message(self, id: UUID) -> Message | None:
        return self.messages[id]

    def has_erased(self, conversation_id: UUID | None, message_id: UUID | None) -> bool:
        """Whether the conversation or the message was erased. Then the log keeps no text either."""
        conversation = self.conversation(conversation_id) if conversation_id else None
        message = self.message(message_id) if message_id else None
        return any(row is not None and row.is_erased for row in (conversation, message))

    def has_erased_any(self, ids: Collection[UUID]) -> bool:
        """Whether one of these ids belongs to an erased row. Locks nothing."""
        if not ids:
            return False
        conversations = Conversation.objects.using(self.using).filter(pk__in=ids)
        messages = Message.objects.using(self.using).filter(id__in=ids)
        return (
            conversations.filter(erased_at__isnull=False).exists()
            or messages.filter(content="").exists()
        )

    def let_early_events_wait(self, conversation_id: UUID, *, since: datetime) -> None:
        """Set `early_since` on a newly opened conversation if it has early events."""
        conversation = self.conversation(conversation_id)
        if conversation and conversation_id in self.with_early_events:
            conversation.early_since = since

    def early(self, conversation_id: UUID | None) -> Iterator[Delivery]:
        """Yield the conversation's next early events, once a transaction. Then write the effects."""
        conversation = self.conversations.get(conversation_id) if conversation_id else None
        since = conversation.early_since if conversation else None
        if not (conversation and since) or conversation.id in self.served:
            return
        self.served.add(conversation.id)
        self.write()  # the early events may be part of this very batch
        held = set(self.messages)
        log = Delivery.objects.using(self.using)
        deliveries, more_follow = log.next_early(conversation.id, since=since)
        self._read_messages(delivery.message_id for delivery in deliveries)
        self.is_applying_early = True
        yield from deliveries
        self.is_applying_early = False
        if not more_follow:
            conversation.early_since = None
            self.changed[conversation.id] = conversation
            self.changed_fields.add("early_since")
        self.write()
        for id in self.messages.keys() - held:  # up to 4 MiB of text each
            del self.messages[id]

    def must_wait(self, conversation: Conversation) -> bool:
        """Whether an event of the conversation must wait until its early events are applied."""
        return conversation.has_early_events and not self.is_applying_early

    def open(self, conversation: Conversation) -> None:
        self.conversations[conversation.id] = conversation
        self.opened[conversation.id] = conversation
        self._change(conversation, Change.Type.OPENED)

    def close(self, conversation: Conversation) -> None:
        self._change(conversation, Change.Type.CLOSED, CHANGED_BY_CLOSING)

    def add(self, message: Message, conversation: Conversation) -> None:
        self.messages[message.id] = message
        self.added.append(message)
        if message.late and conversation.may_wait_otherwise(message):
            self.stale_waiting.add(conversation.id)
        self._change(conversation, Change.Type.MESSAGE, CHANGED_BY_A_MESSAGE, message.id)

    def note_writing_after_closing(
        self, conversation: Conversation, message_id: UUID, text_digest: str, *, at: datetime
    ) -> bool:
        """Note a text of the customer. Return False for a redelivery, because it changes nothing."""
        wrote = conversation.id, message_id, text_digest
        log = Delivery.objects.using(self.using)
        if wrote in self.written_after_closing or log.has_written_after_closing(*wrote):
            return False
        self.written_after_closing.add(wrote)
        conversation.count_in_after_closing(at)
        type = Change.Type.WROTE_AFTER_CLOSING
        self._change(conversation, type, CHANGED_BY_WRITING_AFTER_CLOSING, message_id)
        return True

    def has_logged_refusal(self, original: Delivery, code: str) -> bool:
        """Whether this delivery, or a replay of it, was already refused with this code."""
        if not code or original.code == code:
            return bool(code)
        replays = Delivery.objects.using(self.using).filter(replays=original.pk, code=code)
        return replays.exists() or any(
            (row.replays_id, row.code) == (original.pk, code) for row in self.logged
        )

    def log(self, delivery: Delivery) -> None:
        self.logged.append(delivery)
        if self.early_events and delivery.code == EARLY and delivery.conversation_id:
            self.with_early_events.add(delivery.conversation_id)

    def _change(
        self,
        conversation: Conversation,
        type: Change.Type,
        fields: Iterable[str] = (),
        message_id: UUID | None = None,
    ) -> None:
        assert self.now is not None  # noqa: S101 - ingest_into sets it
        conversation.updated_at = self.now
        self.changes.append(
            new(
                Change,
                type=type,
                conversation_id=conversation.id,
                message_id=message_id,
                at=self.now,
            )
        )
        if conversation.id not in self.opened:
            self.changed[conversation.id] = conversation
            self.changed_fields.update(fields)

    def write(self) -> None:
        """Write all changes. Messages go first, because `waiting_since` is read from them.

        Both engines check foreign keys at the commit, so a message may precede its conversation.
        """
        for messages in batches(self.added, lambda message: len(message.content)):
            insert(*messages, with_keys=True, using=self.using)
            insert(*map(MessageWords.of, messages), using=self.using)
        for id in self.stale_waiting:
            if conversation := self.conversations[id]:
                conversation.read_waiting_since(Message.objects.using(self.using))
        insert(*self.opened.values(), using=self.using)
        names = sorted(self.changed_fields)
        update(*self.changed.values(), names=names, using=self.using)
        insert(*self.changes, using=self.using)
        for deliveries in batches(self.logged, lambda delivery: len(delivery.body)):
            insert(*deliveries, using=self.using)
        self._forget_changes()
