"""The messages found by a search, or all messages, filtered and by pages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.db.models import BooleanField, ExpressionWrapper, Max, Min, Q, Value
from django.db.models.functions import Substr

from chat.database.keyset import Page, cursor_of, decoded, page_of_some
from chat.models.messages import BACKWARDS, Message
from chat.models.words import HITS_A_PAGE, NEWEST_FIRST, MessageWords
from chat.text.folding import MAX_SEARCHED, has_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from uuid import UUID

    from django.db.models import QuerySet

# Texts per query in the search for a phrase.
TEXTS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class HitFilters:
    """The filters of a search, beside its words. All times are the times of the messages.

    `until` is excluded. With `is_exact` the words stand side by side.
    """

    since: datetime | None = None
    until: datetime | None = None
    direction: str = ""
    state: str = ""
    conversation: UUID | None = None
    is_exact: bool = False

    def condition(self, prefix: str = "") -> Q:
        """Return the condition, maybe empty, for the message reached by this prefix of field names."""
        lookups = {
            "timestamp__gte": self.since,
            "timestamp__lt": self.until,
            "direction": self.direction,
            "conversation__state": self.state,
            "conversation": self.conversation,
        }
        return Q(**{f"{prefix}{name}": value for name, value in lookups.items() if value})


NO_FILTERS = HitFilters()


def find_messages(
    query: str | None, filters: HitFilters = NO_FILTERS, *, size: int, cursor: str = ""
) -> Page[Message]:
    """Return a page of the messages that match the words and the filters. Raises BadCursor.

    A query of None means any words. The latest arrival comes first; only a conversation without a
    query is in the order of its thread, newest first. The messages are `in_brief`.

    A page with filters looks at HITS_A_PAGE messages at most, so a short or empty page may still
    have a next page.
    """
    messages = Message.objects.in_brief().select_related("conversation")
    if query is None and filters.conversation:
        thread = messages.filter(conversation=filters.conversation)
        fits = filters.condition()
        return page_of_some(thread, fits, BACKWARDS, size=size, at_most=HITS_A_PAGE, cursor=cursor)
    most = size if filters == NO_FILTERS else HITS_A_PAGE
    looked_at = judged(query, filters, cursor=cursor, most=most + 1)
    fitting: Iterable[int] = (arrival for arrival, fits in looked_at[:most] if fits)
    if query and filters.is_exact:
        fitting = with_phrase(fitting, query)
    arrivals = list(islice(fitting, size + 1))
    if len(arrivals) > size:
        following = cursor_at(arrivals[size - 1])
    else:
        following = cursor_at(looked_at[most - 1][0]) if len(looked_at) > most else ""
    rows = messages.filter(pk__in=arrivals[:size]).order_by(*NEWEST_FIRST)
    return Page(list(rows), following)


def cursor_at(arrival: int) -> str:
    return cursor_of(Message(arrival=arrival), NEWEST_FIRST)


def judged(
    query: str | None, filters: HitFilters, *, cursor: str, most: int
) -> list[tuple[int, bool | None]]:
    """Return the latest arrivals with these words, or of all, and whether each fits. Raises BadCursor.

    A column judges the rows, not a WHERE clause. With a WHERE clause the database may begin with another
    index, and read every message of all open conversations.
    """
    rows: QuerySet[Any]
    if query is None:
        rows, condition = Message.objects.order_by("-pk"), filters.condition()
    else:
        rows, condition = MessageWords.objects.search(query), filters.condition("message__")
    if cursor:
        rows = rows.filter(pk__lt=decoded(cursor, Message, NEWEST_FIRST)[0])
    if filters.conversation:
        rows = within(rows, filters.conversation)
    fits = ExpressionWrapper(condition, BooleanField()) if condition else Value(True)
    return list(rows.values_list("pk", fits)[:most])


def within(rows: QuerySet[Any], conversation: UUID) -> QuerySet[Any]:
    """Return the rows between a conversation's first and last arrival, also rows of other conversations."""
    messages = Message.objects.filter(conversation=conversation)
    ends = messages.aggregate(first=Min("arrival"), last=Max("arrival"))
    if ends["first"] is None:
        return rows.none()
    return rows.filter(pk__gte=ends["first"], pk__lte=ends["last"])


def with_phrase(arrivals: Iterable[int], phrase: str) -> Iterator[int]:
    """Yield the arrivals of messages with the phrase, in the same order. Reads the texts in batches."""
    remaining = iter(arrivals)
    while some := list(islice(remaining, TEXTS_AT_ONCE)):
        searched = Substr("content", 1, MAX_SEARCHED)
        texts = dict(Message.objects.filter(pk__in=some).values_list("pk", searched))
        yield from (arrival for arrival in some if has_phrase(texts.get(arrival, ""), phrase))
