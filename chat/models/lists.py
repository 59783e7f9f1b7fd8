"""The lists of conversations: filters, sort orders, bounds and counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from chat.database import YEARS
from chat.database.keyset import Ordering

if TYPE_CHECKING:
    from chat.models.conversations import Conversation

COUNTED_TO = 1_000
# After every `waiting_since`. A generated column stores it, so another year needs a migration.
NEVER = datetime(YEARS[-1], 12, 31, 23, 59, 59, tzinfo=UTC)


class Filter(models.TextChoices):
    """The filters of the inbox."""

    ALL = "all", pgettext_lazy("conversations", "All")
    OPEN = "open", pgettext_lazy("conversations", "Open")
    NEEDS_REPLY = "needs-reply", _("Needs reply")
    CLOSED = "closed", pgettext_lazy("conversations", "Closed")
    WROTE_AFTER_CLOSING = "wrote-after-closing", _("Wrote after closing")


class Sort(models.TextChoices):
    """The sort orders of the inbox."""

    LATEST = "latest", _("Latest activity")
    WAITING = "waiting", _("Longest waiting")
    NEWEST = "newest", _("Newest")
    OLDEST = "oldest", _("Oldest")


def ordering_of(filter: Filter, sort: Sort) -> Ordering:
    """Return the order of a list.

    In "wrote after closing", activity and waiting are the time of the customer's last refused
    message. Nobody waits in closed conversations, so "longest waiting" sorts them by activity.
    """
    match filter, sort:
        case Filter.CLOSED, Sort.WAITING:
            return ("-activity_at", "-id")
        case Filter.WROTE_AFTER_CLOSING, Sort.LATEST:
            return ("-wrote_after_closing_at", "-id")
        case Filter.WROTE_AFTER_CLOSING, Sort.WAITING:
            return ("wrote_after_closing_at", "id")
    return {
        Sort.LATEST: ("-activity_at", "-id"),
        Sort.WAITING: ("waits_from", "-activity_at", "-id"),
        Sort.NEWEST: ("-opened_at", "-id"),
        Sort.OLDEST: ("opened_at", "id"),
    }[sort]


@dataclass(frozen=True, slots=True)
class Within:
    """Bounds of one time of a conversation. `until` is excluded."""

    field: Literal["opened_at", "closed_at", "activity_at", "waits_from"]
    since: datetime | None = None
    until: datetime | None = None

    @property
    def condition(self) -> Q:
        """Return the condition. Both bounds are on the field itself, so only the index between them is read."""
        until = self.until or (NEVER if self.field == "waits_from" else None)
        bounds = {f"{self.field}__gte": self.since, f"{self.field}__lt": until}
        return Q(**{name: value for name, value in bounds.items() if value})


class ListedQuerySet(models.QuerySet["Conversation"]):
    """The lists of ConversationQuerySet."""

    def filtered(self, filter: Filter, sort: Sort = Sort.LATEST) -> Self:
        """Return the filter's rows, with a WHERE clause that matches the index of the sort order.

        SQLite has no statistics. Given any indexed value, SQLite looks the value up, and then sorts
        all matching rows. So each clause states only the condition of the right index.
        """
        match filter:
            case Filter.OPEN if sort == Sort.WAITING:
                return self.filter(closed_at=None)
            case Filter.OPEN:
                return self.filter(state=self.model.State.OPEN)
            case Filter.NEEDS_REPLY if sort == Sort.WAITING:
                return self.filter(waits_from__lt=NEVER)
            case Filter.NEEDS_REPLY:
                return self.filter(waiting_since__isnull=False)
            case Filter.CLOSED:
                return self.filter(state=self.model.State.CLOSED)
            case Filter.WROTE_AFTER_CLOSING:
                return self.needs_dealing()
        return self.all()

    def needs_dealing(self) -> Self:
        """Return the conversations with texts after closing that nobody has dealt with."""
        return self.filter(wrote_after_closing_at__isnull=False, dealt_with_at=None)

    def filtered_with_order(
        self,
        *,
        state: Conversation.State | None = None,
        needs_reply: bool | None = None,
        sort: Sort = Sort.LATEST,
        updated_since: datetime | None = None,
        wrote_after_closing: bool = False,
        within: Within | None = None,
    ) -> tuple[Self, Ordering]:
        """Return the matching rows and their order. The API combines the filters of the inbox.

        With `updated_since`, the order is by update, the oldest first. With `within` of `closed_at`,
        the order is by closing. Any other `within` must match the sort order.
        """
        if within:
            rows = self.filter(within.condition)
            if within.field == "closed_at":
                return rows, ("closed_at", "id")
            return rows.filtered_with_order(
                state=state,
                needs_reply=needs_reply,
                sort=sort,
                wrote_after_closing=wrote_after_closing,
            )
        if wrote_after_closing:
            filter = Filter.WROTE_AFTER_CLOSING
            return self.filtered(filter, sort), ordering_of(filter, sort)
        if updated_since:
            return self._updated_since(updated_since, state, needs_reply), ("updated_at", "id")
        return self._in_state(state, needs_reply, sort)

    def _in_state(
        self, state: Conversation.State | None, needs_reply: bool | None, sort: Sort
    ) -> tuple[Self, Ordering]:
        filter = Filter[state] if state else Filter.ALL
        if needs_reply:
            rows = self.none() if filter == Filter.CLOSED else self
            return rows.filtered(Filter.NEEDS_REPLY, sort), ordering_of(Filter.NEEDS_REPLY, sort)
        rows = self.filtered(filter, sort)
        if needs_reply is False and filter != Filter.CLOSED:
            by_waiting = sort == Sort.WAITING
            rows = rows.filter(waits_from=NEVER) if by_waiting else rows.filter(waiting_since=None)
        return rows, ordering_of(filter, sort)

    def _updated_since(
        self, at: datetime, state: Conversation.State | None, needs_reply: bool | None
    ) -> Self:
        rows = self.filter(updated_at__gte=at)
        if state:
            # Hide the state: SQLite would read and sort all rows of one state.
            rows = rows.filter(Exact(Coalesce("state", models.Value("")), state))
        if needs_reply is not None:
            rows = rows.filter(waiting_since__isnull=not needs_reply)
        return rows

    def longest_waiting(self) -> Conversation | None:
        """Return the open conversation with the customer waiting longest for a reply."""
        waiting = self.filtered(Filter.NEEDS_REPLY, Sort.WAITING)
        return waiting.order_by(*ordering_of(Filter.NEEDS_REPLY, Sort.WAITING)).first()

    def count_up_to(self, most: int) -> tuple[int, bool]:
        """Return how many rows there are, `most` at most, and whether there are more."""
        number = self.order_by().values("pk")[: most + 1].count()
        return min(number, most), number > most

    def counts(self) -> dict[Filter, int]:
        """Count the rows of each filter, up to COUNTED_TO + 1, so the time has a bound."""
        counted = {
            filter.name: CountOf(self.filtered(filter)[: COUNTED_TO + 1]) for filter in Filter
        }
        row = self.model.objects.order_by().values(**counted).first()
        return {filter: row[filter.name] if row else 0 for filter in Filter}


class CountOf(models.Subquery):
    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = models.IntegerField()

    def __init__(self, rows: models.QuerySet[Any]) -> None:
        super().__init__(rows.values("pk"))
