"""What customers wrote in any conversation since a poll's cursor, whatever the page lists."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from chat.models import Change, Conversation, Cursor, Direction, Message, latest_cursor
from chat.views.seen import SeenOf

# The changes that one answer tells. The next poll follows at once if there are more.
MOST_CHANGES = 200
# A browser that missed more changes begins at now.
MOST_BEHIND = 20_000


@dataclass(frozen=True, slots=True)
class News:
    """How often a customer wrote in all, how often since the cursor, and how much the user has seen."""

    id: UUID
    count: int
    new: int
    seen: int | None


@dataclass(frozen=True, slots=True)
class Heard:
    """The conversations in which customers wrote, and the cursor after them."""

    cursor: Cursor
    news: list[News] = field(default_factory=list)
    has_more: bool = False


def heard_after(text: str | None, seen_of: SeenOf) -> Heard | None:
    """Return what customers wrote after the cursor, or None if nothing has happened.

    Without news, and at now, for a cursor that is too old, of another generation, or none of ours.
    None also if the page sends no cursor. One statement if nothing has happened.
    """
    if text is None:
        return None
    now, asked = latest_cursor(), Cursor.parse(text)
    if asked == now:
        return None
    if not asked or asked.generation != now.generation:
        return Heard(now)
    if now.place - asked.place > MOST_BEHIND:
        return Heard(now)
    changes = list(Change.objects.between(asked.place + 1)[:MOST_CHANGES])
    if not changes:  # a cursor from the future
        return Heard(now)
    last = changes[-1].place or now.place
    return Heard(Cursor(now.generation, last), news_in(changes, seen_of), has_more=last < now.place)


def news_in(changes: list[Change], seen_of: SeenOf) -> list[News]:
    """Return what customers wrote, once a conversation. What the company sent is no news."""
    ids = [
        each.message_id for each in changes if each.message_id and each.type == Change.Type.MESSAGE
    ]
    received = Message.objects.filter(id__in=ids, direction=Direction.RECEIVED)
    new = Counter(received.values_list("conversation_id", flat=True))
    # An erasure lowers the count.
    new.update({each.conversation_id: 0 for each in changes if each.type == Change.Type.ERASED})
    new.update(
        change.conversation_id
        for change in changes
        if change.type == Change.Type.WROTE_AFTER_CLOSING
    )
    conversations = Conversation.objects.filter(pk__in=new).only(
        "received_count", "wrote_after_closing_count"
    )
    seen = seen_of(new)
    return [
        News(each.pk, each.from_customer_count, new[each.pk], seen.get(each.pk))
        for each in conversations
    ]
