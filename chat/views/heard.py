"""News for a poll: customers' new messages, and the messages seen by the user in other browsers.

The news are of all conversations, not only of the listed ones.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from chat.models import Change, Conversation, Cursor, Direction, Message, Seen, User, latest_places
from chat.views.page import number
from chat.views.seen import MOST_PLACE, seen_by

# The most changes in one answer, and the most numbers of seen messages. If there are more, the next
# poll follows at once.
MOST_CHANGES = 200
# A browser with more missed changes begins now, or at the beginning for new browsers of its user.
MOST_BEHIND = 20_000
# The same for numbers of seen messages. A browser keeps as many numbers.
MOST_SEEN_BEHIND = 2_000


@dataclass(frozen=True, slots=True)
class News:
    """How often a customer wrote in all, how often since the cursor, and how much the user has seen."""

    id: UUID
    count: int
    new: int
    seen: int | None


@dataclass(frozen=True, slots=True)
class SeenNews:
    """The rows seen since a place: conversation, number of customer's messages, number seen."""

    place: int
    numbers: list[tuple[UUID, int, int]] = field(default_factory=list)
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """The conversations with news, and the cursor after the news.

    `is_afresh`: the browser must forget its numbers, because it has missed too much.
    """

    cursor: Cursor
    news: list[News] = field(default_factory=list)
    has_more: bool = False
    seen: SeenNews | None = None
    is_afresh: bool = False


def heard_after(query: Mapping[str, str], user: User | None) -> Heard | None:
    """Return the news after the cursors of a query, or None if nothing has happened.

    Return None also if the page sends no cursor. If nothing has happened, this costs one statement.
    """
    if (text := query.get("after")) is None:
        return None
    now, newest = latest_places(user)
    cursor = Cursor.parse(text)
    if user is None or "seen" not in query:
        return None if cursor == now else changes_after(cursor, now, user)
    place = place_in(query["seen"])
    if is_too_old(cursor, now) or place is None or not 0 <= newest - place <= MOST_SEEN_BEHIND:
        return beginning(user, now, newest)
    if (cursor, place) == (now, newest):
        return None
    return replace(changes_after(cursor, now, user), seen=seen_after(user, place))


def place_in(text: str) -> int | None:
    try:
        return number(text, most=MOST_PLACE)
    except ValueError:
        return None


def is_too_old(cursor: Cursor | None, now: Cursor) -> bool:
    """Whether a browser at this cursor has missed too much, or knows another database."""
    if not cursor or cursor.generation != now.generation:
        return True
    return now.place - cursor.place > MOST_BEHIND


def beginning(user: User, now: Cursor, newest: int) -> Heard:
    """Return the beginning for a new browser of the user: the first login, unless too long ago.

    The beginning is half of MOST_BEHIND ago at most. Otherwise the browser could be too old again at its
    next poll.
    """
    first = now.place if user.first_place is None else min(user.first_place, now.place)
    place = max(first, now.place - MOST_BEHIND // 2)
    seen = SeenNews(max(0, newest - MOST_SEEN_BEHIND // 2))
    has_more = place < now.place or seen.place < newest
    cursor = Cursor(now.generation, place)
    return Heard(cursor, has_more=has_more, seen=seen, is_afresh=True)


def changes_after(cursor: Cursor | None, now: Cursor, user: User | None) -> Heard:
    """Return the customers' news after the cursor.

    Return no news, and the newest cursor, if the cursor is too old, of another generation, or not ours.
    """
    if not cursor or cursor == now or is_too_old(cursor, now):
        return Heard(now)
    changes = list(Change.objects.between(cursor.place + 1)[:MOST_CHANGES])
    if not changes:  # a cursor from the future
        return Heard(now)
    last = changes[-1].place or now.place
    news = news_in(changes, user)
    return Heard(Cursor(now.generation, last), news, has_more=last < now.place)


def seen_after(user: User, place: int) -> SeenNews:
    """Return the rows seen, or marked as unread, by the user after this place."""
    newer = Seen.objects.noted_after(user, place).select_related("conversation")
    rows = list(newer[: MOST_CHANGES + 1])
    told = rows[:MOST_CHANGES]
    return SeenNews(
        told[-1].place if told else place,
        [(row.conversation_id, row.conversation.from_customer_count, row.count) for row in told],
        has_more=len(rows) > len(told),
    )


def news_in(changes: list[Change], user: User | None) -> list[News]:
    """Return one News for each conversation with new customer's messages. The company's are no news."""
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
    seen = seen_by(user, new)
    return [
        News(each.pk, each.from_customer_count, new[each.pk], seen.get(each.pk))
        for each in conversations
    ]
