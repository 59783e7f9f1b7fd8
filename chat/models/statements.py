"""The webhook's statements, and those of a login. Django writes the SQL of each once, and not anew
for every event: that takes it several times as long as SQLite takes to answer.

Of each engine its own: a check of the log has both in one process. Each promises what the queryset
or `save()` that it stands for promises, without signals.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.models.sql import InsertQuery

if TYPE_CHECKING:
    from collections.abc import Collection

Row = TypeVar("Row", bound=models.Model)
Fields = list["models.Field[Any, Any]"]


class Lookup(Generic[Row]):
    """`rows.filter(id=id).first()`, or by another unique field.

    Rows to be locked are asked for inside a transaction.
    """

    def __init__(self, rows: models.QuerySet[Row], *, by: str = "id") -> None:
        self._rows = rows
        self._id = field_of(rows.model, by)
        self._names = [field.attname for field in rows.model._meta.concrete_fields]
        self._compiled = cache(self._compile)

    def __call__(self, id: Any) -> Row | None:
        sql, compiler, converters = self._compiled(connection.vendor)
        with connection.cursor() as cursor:
            cursor.execute(sql, [self._id.get_db_prep_value(id, connection)])
            found = cursor.fetchone()
        if found is None:
            return None
        [values] = compiler.apply_converters([found], converters)
        row: Row = self._rows.model.from_db(connection.alias, self._names, values)
        return row

    def _compile(self, vendor: str) -> tuple[str, Any, Any]:
        any_id = self._id.to_python("0" * 32)
        query = self._rows.filter(**{self._id.name: any_id}).order_by().query
        compiler = query.get_compiler(connection=connection)
        sql = compiler.as_sql()[0]
        return sql, compiler, compiler.get_converters([column for column, *_ in compiler.select])


def insert(row: models.Model) -> None:
    """`row.save(force_insert=True)`. A key that the database gives is set."""
    fields, sql = _insert_of(type(row), connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(sql, _values(row, fields))
        if row.pk is None:
            row.pk = cursor.fetchone()[0]


@cache
def _insert_of(model: type[models.Model], vendor: str) -> tuple[Fields, str]:
    given = [field for field in model._meta.concrete_fields if not field.generated]
    fields = [field for field in given if not isinstance(field, models.AutoField)]
    query = InsertQuery(model)
    query.insert_values(fields, [model()], raw=True)
    compiler = query.get_compiler(connection=connection)
    if len(fields) < len(given):
        compiler.returning_fields = [model._meta.pk]
    [(sql, _)] = compiler.as_sql()
    return fields, sql


def update(row: models.Model, names: Collection[str]) -> None:
    """`row.save(force_update=True, update_fields=names)`, of a row that was found just now."""
    fields, sql = _update_of(type(row), tuple(names), connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(sql, _values(row, fields))


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
