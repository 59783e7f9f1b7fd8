"""Ids and instants as the JSON has them, made by Python or by the database."""

from datetime import UTC, datetime
from typing import Annotated, Any

from django.db import models
from pydantic import PlainSerializer, WithJsonSchema


def instant_text(at: datetime) -> str:
    """Return RFC 3339 in UTC with six digits after the second: the texts sort by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


# pydantic leaves the digits out at a whole second.
Instant = Annotated[
    datetime,
    PlainSerializer(instant_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class InstantText(models.Func):
    """`instant_text` of a column."""

    arity = 1
    output_field = models.TextField()

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:  # type: ignore[override]
        """Django stores `2025-02-21 10:20:41`, and six digits unless they are zeros."""
        sql, params = compiler.compile(self.source_expressions[0])
        text = f"(substr({sql}, 1, 10) || 'T' || substr({sql} || '.000000', 12, 15) || 'Z')"
        return text, (*params, *params)

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        sql, params = compiler.compile(self.source_expressions[0])
        form = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
        return f"to_char({sql} AT TIME ZONE 'UTC', '{form}')", params


class IdText(models.Func):
    """A UUID column in the form 8-4-4-4-12, in lower case."""

    arity = 1
    output_field = models.TextField()

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:  # type: ignore[override]
        """Django stores 32 digits."""
        sql, params = compiler.compile(self.source_expressions[0])
        parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        text = " || '-' || ".join(f"substr({sql}, {start}, {size})" for start, size in parts)
        return f"({text})", tuple(params) * len(parts)

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        return self.as_sql(compiler, connection, template="CAST(%(expressions)s AS text)")
