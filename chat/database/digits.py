"""The last digits of an id, as an SQL expression for an index."""

from typing import Any

from django.db import models

DIGITS = 8


class LastDigits(models.Func):
    """The last eight digits of a UUID column, in lower case.

    The number stands in the SQL, not in a parameter: SQLite uses the index only if the statement
    repeats its expression literally.
    """

    template = f"substr(CAST(%(expressions)s AS text), -{DIGITS})"
    output_field = models.CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = f"right((%(expressions)s)::text, {DIGITS})"
        return self.as_sql(compiler, connection, template=template, **extra)
