"""The filters of the delivery log. A page is read from one index, the most selective."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db.models import Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from chat.database.keyset import Page, page_of, page_of_some

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from chat.database.keyset import Ordering
    from chat.models.deliveries import Delivery, DeliveryQuerySet

NEWEST_FIRST: Ordering = ("-id",)
LATEST_FIRST: Ordering = ("-received_at", "-id")
# The most deliveries judged for one page by filters without an index.
LOOKED_AT = 10_000
REQUEST_COLUMNS = ("request_id", "caller_request_id")
# Ids chosen by senders come last, because a sender may give a conversation's id to its requests too.
ID_COLUMNS = ("conversation_id", "message_id", *REQUEST_COLUMNS, "webhook_id")


@dataclass(frozen=True, slots=True)
class LogFilters:
    """The filters of a page of the log. `received_to` is excluded.

    `ids` are the spellings of one id. Only one pair of spelling and column counts: the first pair
    found in the log.
    """

    outcome: str = ""
    type: str = ""
    code: str = ""
    ids: tuple[str, ...] = ()
    columns: tuple[str, ...] = ID_COLUMNS
    received_from: datetime | None = None
    received_to: datetime | None = None

    @property
    def ordering(self) -> Ordering:
        """The order of the index for these filters."""
        return LATEST_FIRST if self.has_bounds and not self.ids else NEWEST_FIRST

    @property
    def has_bounds(self) -> bool:
        return bool(self.received_from or self.received_to)

    @property
    def contradict_themselves(self) -> bool:
        return bool(self.code) and self.outcome not in ("", "refused")

    @property
    def received(self) -> Q:
        bounds = {"received_at__gte": self.received_from, "received_at__lt": self.received_to}
        return Q(**{name: value for name, value in bounds.items() if value})


def page_of_log(
    log: DeliveryQuerySet, filters: LogFilters, *, size: int, cursor: str
) -> Page[Delivery]:
    """Return a page of the deliveries that match every filter. Raises BadCursor.

    If no index covers all filters, the page looks at LOOKED_AT deliveries at most. A short or empty
    page may then still have a next page.
    """
    rows, others = filtered_by_index(log, filters)
    if not others:
        return page_of(rows, filters.ordering, size=size, cursor=cursor)
    return page_of_some(rows, others, filters.ordering, size=size, at_most=LOOKED_AT, cursor=cursor)


def filtered_by_index(log: DeliveryQuerySet, filters: LogFilters) -> tuple[DeliveryQuerySet, Q]:
    """Return the rows of the most selective index, and the condition of the other filters."""
    if filters.contradict_themselves:
        return log.none(), Q()
    type = Q(type=filters.type) if filters.type else Q()
    if filters.ids or filters.has_bounds:
        # No other index: SQLite has no statistics, and would read all rows of one outcome.
        others = type & hidden("outcome", filters.outcome) & hidden("code", filters.code)
        if filters.ids:
            return with_id(log, filters.ids, filters.columns), others & filters.received
        return log.filter(filters.received), others
    if filters.code:
        # SQLite uses the index of the code only if the query repeats the index's condition.
        return log.filter(code=filters.code).exclude(code=""), type
    return (log.filter(outcome=filters.outcome) if filters.outcome else log), type


def hidden(column: str, value: str) -> Q:
    """Return a condition for which no index is read. Empty without a value."""
    return Q(Exact(Coalesce(column, Value("")), value)) if value else Q()


def with_id(
    log: DeliveryQuerySet, ids: tuple[str, ...], columns: tuple[str, ...] = ID_COLUMNS
) -> DeliveryQuerySet:
    """Return the deliveries with one id in one column: the first pair of both with a delivery."""
    candidates = [
        equal(log, column, value) for id in ids for column, value in values_of(log, id, columns)
    ]
    if len(candidates) == 1:
        return candidates[0]
    return next((rows for rows in candidates if rows.exists()), log.none())


def values_of(
    log: DeliveryQuerySet, id: str, columns: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    """Yield each column able to hold the id, and the id as a value of the column."""
    for column in columns:
        field: Any = log.model._meta.get_field(column)
        with suppress(ValidationError):
            yield column, field.to_python(id)


def equal(log: DeliveryQuerySet, column: str, value: Any) -> DeliveryQuerySet:
    rows = log.filter(**{column: value})
    # SQLite uses a partial index only if the query repeats the index's condition.
    return rows.exclude(webhook_id="") if column == "webhook_id" else rows
