"""The webhook's statements, and those of a login. Django writes the SQL of each once, and not anew
for every event: that takes it several times as long as SQLite takes to answer.

Of each engine its own: a check of the log has both in one process. Each promises what the queryset
or `save()` that it stands for promises, without signals.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Row = TypeVar("Row", bound=models.Model)
Item = TypeVar("Item")
Fields = list["models.Field[Any, Any]"]

# How many one statement reads or writes. Of each number there is a statement, kept for good.
MOST_ROWS = 64


class Lookup(Generic[Row]):
    """`rows.filter(id=id).first()`, or by another unique field.

    Rows to be locked are asked for inside a transaction.
    """

    def __init__(self, rows: models.QuerySet[Row], *, by: str = "id") -> None:
        self._rows = rows
        self._id = field_of(rows.model, by)
        self._names = [field.attname for field in rows.model._meta.concrete_fields]
        self._compiled = cache(self._compile)
        self._readers = cache(self._reader)

    def __call__(self, id: Any) -> Row | None:
        return next(iter(self._found([id])), None)

    def among(self, ids: Iterable[Any]) -> dict[Any, Row]:
        """`rows.filter(id__in=ids)`, each by its id. Where the rows have an order, in that of the ids."""
        found: dict[Any, Row] = {}
        for part in in_parts(sorted(ids)):
            found |= {getattr(row, self._id.attname): row for row in self._found(part)}
        return found

    def _found(self, ids: list[Any]) -> list[Row]:
        sql = self._compiled(len(ids), connection.vendor)
        compiler, converters = self._readers(connection.vendor)
        with connection.cursor() as cursor:
            cursor.execute(sql, [self._id.get_db_prep_value(id, connection) for id in ids])
            found = cursor.fetchall()
        model, alias = self._rows.model, connection.alias
        return [
            model.from_db(alias, self._names, values)
            for values in compiler.apply_converters(found, converters)
        ]

    def _compile(self, count: int, vendor: str) -> str:
        return str(self._compiler(count).as_sql()[0])

    def _reader(self, vendor: str) -> tuple[Any, Any]:
        """One for all: it keeps the connection open of the thread that asked for it first."""
        compiler = self._compiler(1)
        compiler.as_sql()
        return compiler, compiler.get_converters([column for column, *_ in compiler.select])

    def _compiler(self, count: int) -> Any:
        any_ids = [self._id.to_python(f"{number:032}") for number in range(count)]
        query = self._rows.filter(**{f"{self._id.name}__in": any_ids}).query
        return query.get_compiler(connection=connection)


def in_parts(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), MOST_ROWS):
        yield items[start : start + MOST_ROWS]


def insert(*rows: models.Model) -> None:
    """`row.save(force_insert=True)` of each, all of one model. A key that the database gives is set."""
    for part in in_parts(list(rows)):
        fields, sql = _insert_of(type(part[0]), len(part), connection.vendor)
        with connection.cursor() as cursor:
            cursor.execute(sql, [value for row in part for value in _values(row, fields)])
            if part[0].pk is None:
                for row, [key] in zip(part, cursor.fetchall(), strict=True):
                    row.pk = key


@cache
def _insert_of(model: type[models.Model], count: int, vendor: str) -> tuple[Fields, str]:
    given = [field for field in model._meta.concrete_fields if not field.generated]
    fields = [field for field in given if not isinstance(field, models.AutoField)]
    columns = ", ".join(quoted(field) for field in fields)
    row = ", ".join(_placeholder(field) for field in fields)
    table, rows = connection.ops.quote_name(model._meta.db_table), ", ".join([f"({row})"] * count)
    returning = f" RETURNING {quoted(model._meta.pk)}" if len(fields) < len(given) else ""
    return fields, f"INSERT INTO {table} ({columns}) VALUES {rows}{returning}"  # noqa: S608


def _placeholder(field: models.Field[Any, Any]) -> str:
    of_its_own = getattr(field, "get_placeholder", None)
    return str(of_its_own(None, None, connection)) if of_its_own else "%s"


def update(*rows: models.Model, names: Iterable[str]) -> None:
    """`row.save(force_update=True, update_fields=names)` of each, all of one model and found just now."""
    if not rows:
        return
    fields, sql = _update_of(type(rows[0]), tuple(names), connection.vendor)
    values = [_values(row, fields) for row in rows]
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(sql, values[0])
        else:
            cursor.executemany(sql, values)


@cache
def _update_of(
    model: type[models.Model], names: tuple[str, ...], vendor: str
) -> tuple[Fields, str]:
    fields = [field_of(model, name) for name in names]
    changes = ", ".join(f"{quoted(field)} = %s" for field in fields)
    table, key = connection.ops.quote_name(model._meta.db_table), model._meta.pk
    sql = f"UPDATE {table} SET {changes} WHERE {quoted(key)} = %s"  # noqa: S608 - no value in it
    return [*fields, key], sql


def quoted(field: models.Field[Any, Any]) -> str:
    return connection.ops.quote_name(str(field.column))


def field_of(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)  # noqa: S101 - for mypy: not a relation from elsewhere
    return field


def _values(row: models.Model, fields: Fields) -> list[Any]:
    database = connections[DEFAULT_DB_ALIAS]  # once: `connection` looks it up at each use
    return [field.get_db_prep_save(getattr(row, field.attname), database) for field in fields]
