"""Compare conversations of two databases: their fields, their messages and their changes."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from chat.models import Change, Conversation, Message

# A delivery may take effect after a later arrival, because waits for the database differ. No delivery
# waits so long.
DISORDER = timedelta(minutes=1)
COMPARED_OF_CHANGES = ["type", "message_id", "at"]
WROTE = Change.Type.WROTE_AFTER_CLOSING
# The log has no marks of dealing. The scratch database applies early events where the log has them,
# so none wait there.
UNTOLD_FIELDS = ("dealt_with_at", "early_since")
COMPARED = [
    field.attname
    for field in Conversation._meta.concrete_fields
    if not field.generated and field.name not in UNTOLD_FIELDS
]
# Without generated keys: messages are compared in their order of arrival.
COMPARED_OF_MESSAGES = ["id", "direction", "content", "timestamp", "received_at", "late"]

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contents:
    """Some conversations and their messages, as one database has them."""

    conversations: dict[UUID, Values]
    messages: dict[UUID, list[Values]]

    @classmethod
    def of(cls, ids: Collection[UUID], *, using: str) -> "Contents":
        rows = conversations_in(using).filter(pk__in=ids).values(*COMPARED)
        messages: dict[UUID, list[Values]] = defaultdict(list)
        thread = Message.objects.using(using).filter(conversation_id__in=ids).order_by("arrival")
        for values in thread.values("conversation_id", *COMPARED_OF_MESSAGES):
            messages[values["conversation_id"]].append(values)
        return cls({values["id"]: values for values in rows}, messages)

    def has_written(self, id: UUID) -> bool:
        """Whether the customer wrote after closing."""
        return bool(self.conversations[id]["wrote_after_closing_count"])

    def has_changed_since(self, id: UUID, moment: datetime | None) -> bool:
        conversation = self.conversations.get(id)
        return bool(conversation and moment and conversation["updated_at"] >= moment)

    def unlike(self, other: "Contents", id: UUID, *, apart_from: Collection[str]) -> str:
        """Return the names of differing fields of one conversation, or "" if nothing differs."""
        if id not in other.conversations:
            return "is stored, and not in the log"
        differences = differing(self.conversations[id], other.conversations[id])
        differences = [name for name in differences if name not in apart_from]
        messages, rebuilt = self.messages.get(id, []), other.messages.get(id, [])
        if len(messages) != len(rebuilt):
            differences.append(f"{len(messages)} messages, and {len(rebuilt)} by the log")
        for message, copy in zip(messages, rebuilt, strict=False):
            differences += [f"message {message['id']}: {name}" for name in differing(message, copy)]
        return ", ".join(differences)


def changes_of(
    ids: list[UUID], *, apart_from: Collection[UUID | None], using: str
) -> dict[UUID, list[Values]]:
    """Return the changes by conversation, in the order of effect. `ids` are in order.

    Leaves out changes made by no event, and changes of writing after closing in the conversations
    `apart_from`. Reads the whole table: an index by conversation would slow down each event.
    """
    rows = Change.objects.using(using).exclude(type=Change.Type.DEALT_WITH).order_by("id")
    rows = rows.filter(conversation_id__gte=ids[0], conversation_id__lte=ids[-1])
    changes: dict[UUID, list[Values]] = {id: [] for id in ids}
    for id, *values in rows.values_list("conversation_id", *COMPARED_OF_CHANGES):
        if id in changes and not (id in apart_from and WROTE in values):
            changes[id].append(dict(zip(COMPARED_OF_CHANGES, values, strict=True)))
    return changes


def unlike_changes(stored: list[Values], rebuilt: list[Values], since: datetime | None) -> str:
    """Return the difference between a conversation's stored changes and its changes by the log, or "".

    The oldest may be missing, if they are older than `since`: the time of the oldest stored change.
    """
    missing = len(rebuilt) - len(stored)
    if missing < 0 or (since and any(row["at"] >= since + DISORDER for row in rebuilt[:missing])):
        return f"{len(stored)} changes, and {len(rebuilt)} by the log"
    for number, (change, copy) in enumerate(
        zip(stored, rebuilt[missing:], strict=True), missing + 1
    ):
        if names := differing(change, copy):
            return f"change {number}: {', '.join(names)}"
    return ""


def differing(stored: Values, rebuilt: Values) -> list[str]:
    return [name for name, value in stored.items() if value != rebuilt[name]]


def conversations_in(database: str) -> QuerySet[Conversation]:
    return Conversation.objects.using(database)
