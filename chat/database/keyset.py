"""Keyset pages: each begins after a known row, so depth costs nothing and inserts shift no rows."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import DateTimeField, IntegerField, Model, Q, QuerySet, UUIDField

from chat.database import YEARS

MAX_CURSOR = 200

Row = TypeVar("Row", bound=Model)
# Fields as for `order_by`. The last one is unique, so the order is total.
Ordering = tuple[str, ...]


class BadCursor(ValueError):
    """The cursor was not issued for this order."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows in their order, and the cursor of the next page: empty on the last page."""

    rows: list[Row]
    next: str = ""


def page_of(
    queryset: QuerySet[Row], ordering: Ordering, *, size: int, cursor: str = ""
) -> Page[Row]:
    """Return the first page, or the page after the cursor. Raises BadCursor."""
    rows = list(rows_of(queryset, ordering, cursor=cursor)[: size + 1])
    following = cursor_of(rows[size - 1], ordering) if len(rows) > size else ""
    return Page(rows[:size], following)


def page_of_some(
    queryset: QuerySet[Row], wanted: Q, ordering: Ordering, *, size: int, at_most: int, cursor: str
) -> Page[Row]:
    """Return the wanted rows among the next `at_most` rows. Raises BadCursor.

    The page may be short, or empty, and still have a next page.
    """
    rows = rows_of(queryset, ordering, cursor=cursor)
    keys = (
        rows.select_related(None)
        .prefetch_related(None)
        .only(*(name.lstrip("-") for name in ordering))
    )
    last_ones = list(keys[at_most - 1 : at_most + 1])
    if len(last_ones) < 2:
        return page_of(queryset.filter(wanted), ordering, size=size, cursor=cursor)
    last, beyond = last_ones
    within = queryset.filter(wanted & before(ordering, beyond))
    page = page_of(within, ordering, size=size, cursor=cursor)
    return page if page.next else replace(page, next=cursor_of(last, ordering))


def rows_of(queryset: QuerySet[Row], ordering: Ordering, *, cursor: str = "") -> QuerySet[Row]:
    """Return the rows in this order, from the cursor on. Raises BadCursor."""
    if cursor:
        queryset = queryset.filter(after(ordering, decoded(cursor, queryset.model, ordering)))
    return queryset.order_by(*ordering)


def after(ordering: Ordering, position: Sequence[Any]) -> Q:
    """Return the condition for rows after a position. The first field's bound lets an index seek."""
    (first, *rest), (value, *values) = ordering, position
    name, beyond = first.lstrip("-"), "lt" if first.startswith("-") else "gt"
    if not rest:
        return Q(**{f"{name}__{beyond}": value})
    return Q(**{f"{name}__{beyond}e": value}) & (
        Q(**{f"{name}__{beyond}": value}) | after(tuple(rest), values)
    )


def before(ordering: Ordering, row: Model) -> Q:
    """Return the condition for rows before this row."""
    reverse = tuple(name[1:] if name.startswith("-") else f"-{name}" for name in ordering)
    return after(reverse, [getattr(row, name.lstrip("-")) for name in ordering])


# Cursors


def cursor_of(row: Model, ordering: Ordering) -> str:
    values = [getattr(row, name.lstrip("-")) for name in ordering]
    plain = [value if isinstance(value, int) else str(value) for value in values]
    text = json.dumps([tag_of(type(row), ordering), *plain])
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decoded(cursor: str, model: type[Model], ordering: Ordering) -> list[Any]:
    if len(cursor) > MAX_CURSOR:
        raise BadCursor
    try:
        tag, *values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if tag != tag_of(model, ordering):
            raise BadCursor
        fields = [model._meta.get_field(name.lstrip("-")) for name in ordering]
        return [value_of(field, value) for field, value in zip(fields, values, strict=True)]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadCursor from error


@cache
def tag_of(model: type[Model], ordering: Ordering) -> str:
    """Return a short hash of the order, because another order may have values of the same types."""
    return blake2b(repr((model._meta.label, ordering)).encode(), digest_size=3).hexdigest()


def value_of(field: Any, value: Any) -> Any:
    """Parse a value. Raises ValueError, TypeError or AttributeError if no row can have this value."""
    field = getattr(field, "output_field", field)  # of a generated field
    field = getattr(field, "target_field", field)  # of a foreign key
    if isinstance(field, IntegerField) and type(value) is int and 0 <= value < 2**63:
        return value
    if isinstance(field, UUIDField):
        return UUID(value)
    if isinstance(field, DateTimeField):
        at = datetime.fromisoformat(value)
        if at.utcoffset() is not None and at.year in YEARS:
            return at.astimezone(UTC)  # PostgreSQL takes no offset of 16 hours or more
    raise ValueError("not a value of this field")
