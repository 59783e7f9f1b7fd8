"""The last digits of an id, as SQL that an index can hold."""

from typing import Any

from django.db import models

DIGITS = 8


class LastDigits(models.Func):
    """The last eight digits of a UUID column, in lower case.

    The number stands in the SQL itself: SQLite compares an index of an expression with the text of
    a statement, and knows no parameter in it.
    """

    template = f"substr(CAST(%(expressions)s AS text), -{DIGITS})"
    output_field = models.CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = f"right((%(expressions)s)::text, {DIGITS})"
        return self.as_sql(compiler, connection, template=template, **extra)
