"""Cached SQL for hot paths, per engine: compiling a query takes several times as long as running it.

Each helper has the effect of the queryset or the `save()` in its docstring, without signals. This
module uses private parts of the ORM; tests/test_statements.py compares each helper with its original.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.base import ModelState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

    Field = models.Field[Any, Any]
    Quick = dict[type, Callable[[Any], Any]]
    Fields = list[tuple[Field, str, Quick]]

Row = TypeVar("Row", bound=models.Model)
Item = TypeVar("Item")

# Rows per statement. Each distinct count is compiled once and kept. Inserts on SQLite have one row.
MOST_ROWS = 64


class Lookup(Generic[Row]):
    """`rows.filter(id=id).first()`, or by another unique field.

    Rows of `select_for_update()` are read inside a transaction.
    """

    def __init__(self, rows: models.QuerySet[Row], *, by: str = "id") -> None:
        self._rows = rows
        self._id = field_of(rows.model, by)
        self._names = [field.attname for field in rows.model._meta.concrete_fields]
        self._sql: dict[tuple[int, str], str] = {}
        self._readers: dict[str, tuple[Any, Any]] = {}

    def __call__(self, id: Any, *, using: str = DEFAULT_DB_ALIAS) -> Row | None:
        return next(iter(self._read([id], using)), None)

    def among(self, ids: Iterable[Any], *, using: str = DEFAULT_DB_ALIAS) -> dict[Any, Row]:
        """`rows.filter(id__in=ids)`, keyed by id; ordered querysets are read in the order of the ids."""
        rows: dict[Any, Row] = {}
        for part in in_parts(sorted(ids)):
            rows |= {getattr(row, self._id.attname): row for row in self._read(part, using)}
        return rows

    def _read(self, ids: list[Any], using: str) -> list[Row]:
        connection = connections[using]
        sql = self._sql_for(len(ids), connection)
        compiler, converters = self._reader_for(connection)
        with connection.cursor() as cursor:
            cursor.execute(sql, [self._id.get_db_prep_value(id, connection) for id in ids])
            rows = cursor.fetchall()
        model = self._rows.model
        return [
            model.from_db(using, self._names, values)
            for values in compiler.apply_converters(rows, converters)
        ]

    def _sql_for(self, count: int, connection: BaseDatabaseWrapper) -> str:
        key = count, connection.vendor
        if key not in self._sql:
            self._sql[key] = str(self._compiler(count, connection).as_sql()[0])
        return self._sql[key]

    def _reader_for(self, connection: BaseDatabaseWrapper) -> tuple[Any, Any]:
        """The compiler and the converters of the result columns.

        All threads share both, so the compiler keeps the connection of the first thread.
        """
        if connection.vendor not in self._readers:
            compiler = self._compiler(1, connection)
            compiler.as_sql()
            converters = compiler.get_converters([column for column, *_ in compiler.select])
            self._readers[connection.vendor] = compiler, converters
        return self._readers[connection.vendor]

    def _compiler(self, count: int, connection: BaseDatabaseWrapper) -> Any:
        any_ids = [self._id.to_python(f"{number:032}") for number in range(count)]
        query = self._rows.filter(**{f"{self._id.name}__in": any_ids}).query
        return query.get_compiler(connection=connection)


def in_parts(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), MOST_ROWS):
        yield items[start : start + MOST_ROWS]


class Known(Generic[Row]):
    """Finds which of some values a column of `rows` holds:
    `set(rows.filter(column__in=values).values_list(column, flat=True))`.
    """

    def __init__(self, rows: models.QuerySet[Row], *, by: str) -> None:
        self._rows = rows
        self._column = field_of(rows.model, by)
        self._sql: dict[tuple[int, str], tuple[str, tuple[Any, ...]]] = {}

    def among(self, values: Iterable[Any], *, using: str = DEFAULT_DB_ALIAS) -> set[Any]:
        return {value for part in in_parts(sorted(values)) for value in self._read(part, using)}

    def _read(self, values: list[Any], using: str) -> list[Any]:
        connection = connections[using]
        sql, own_params = self._sql_for(len(values), connection)
        params = [self._column.get_db_prep_value(value, connection) for value in values]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*own_params, *params])
            return [self._column.to_python(value) for (value,) in cursor.fetchall()]

    def _sql_for(self, count: int, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        """Return the statement, and the parameters of the queryset's own filters, which come first."""
        key = count, connection.vendor
        if key not in self._sql:
            any_values = [self._column.to_python(f"{number:032}") for number in range(count)]
            rows = self._rows.filter(**{f"{self._column.name}__in": any_values}).order_by()
            query = rows.values_list(self._column.name).distinct().query
            sql, params = query.get_compiler(connection=connection).as_sql()
            self._sql[key] = str(sql), params[: len(params) - count]
        return self._sql[key]


def new(model: type[Row], **values: Any) -> Row:
    """Return what `model(**values)` returns, several times as fast, without signals.

    Names are those of attributes: `conversation_id`, not `conversation`.
    """
    defaults = _defaults_of(model)
    if not values.keys() <= defaults.keys():
        unknown = ", ".join(sorted(values.keys() - defaults.keys()))
        raise TypeError(f"{model.__name__} has no attribute {unknown}")
    row = model.__new__(model)
    row._state = ModelState()
    row.__dict__.update(defaults, **values)
    return row


@cache
def _defaults_of(model: type[models.Model]) -> dict[str, Any]:
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    if any(field.has_default() and callable(field.default) for field in fields):
        raise TypeError(f"a default of {model.__name__} differs from row to row")
    return {field.attname: field.get_default() for field in fields}


def insert(*rows: models.Model, with_keys: bool = False, using: str = DEFAULT_DB_ALIAS) -> None:
    """`row.save(force_insert=True)` of each row. All are of one model.

    Call it in a transaction, because an error may leave some rows. Generated keys are set only
    `with_keys`, which needs a transaction and a model with such keys.
    """
    connection = connections[using]
    if rows and with_keys:
        assert connection.in_atomic_block  # noqa: S101 - else the keys may not be consecutive
        assert isinstance(rows[0]._meta.pk, models.AutoField)  # noqa: S101
    if rows and connection.vendor == "sqlite":
        _insert_each(rows, connection, with_keys)
    else:
        for part in in_parts(list(rows)):
            _insert_at_once(part, connection, with_keys)


def _insert_each(
    rows: Sequence[models.Model], connection: BaseDatabaseWrapper, with_keys: bool
) -> None:
    """Insert row by row with one statement, so SQLite compiles it once for any number of rows."""
    fields, sql = _insert_of(type(rows[0]), 1, False, connection.vendor, connection.alias)
    values = [_values(row, fields, connection) for row in rows]
    with connection.cursor() as cursor:
        if not with_keys:
            cursor.executemany(sql, values)
            return
        if len(values) > 1:
            cursor.executemany(sql, values[:-1])
        cursor.execute(sql, values[-1])
        # The keys of a transaction are consecutive, because SQLite has one writer.
        for key, row in enumerate(rows, cursor.lastrowid - len(rows) + 1):
            row.pk = key


def _insert_at_once(
    rows: Sequence[models.Model], connection: BaseDatabaseWrapper, with_keys: bool
) -> None:
    model, count = type(rows[0]), len(rows)
    fields, sql = _insert_of(model, count, with_keys, connection.vendor, connection.alias)
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for row in rows for value in _values(row, fields, connection)])
        if with_keys:
            for row, [key] in zip(rows, cursor.fetchall(), strict=True):
                row.pk = key


@cache
def _insert_of(
    model: type[models.Model], count: int, returns_keys: bool, vendor: str, using: str
) -> tuple[Fields, str]:
    connection = connections[using]
    writable = [field for field in model._meta.concrete_fields if not field.generated]
    fields = [field for field in writable if not isinstance(field, models.AutoField)]
    columns = ", ".join(_quoted(field, connection) for field in fields)
    row = ", ".join(_placeholder(field, connection) for field in fields)
    table, rows = connection.ops.quote_name(model._meta.db_table), ", ".join([f"({row})"] * count)
    returning = f" RETURNING {_quoted(model._meta.pk, connection)}" if returns_keys else ""
    sql = f"INSERT INTO {table} ({columns}) VALUES {rows}{returning}"  # noqa: S608
    return _with_quick_ways(fields, vendor), sql


def _placeholder(field: Field, connection: BaseDatabaseWrapper) -> str:
    get_placeholder = getattr(field, "get_placeholder", None)
    return str(get_placeholder(None, None, connection)) if get_placeholder else "%s"


def update(*rows: models.Model, names: Iterable[str], using: str = DEFAULT_DB_ALIAS) -> None:
    """`row.save(force_update=True, update_fields=names)` of each row. All are of one model, and exist."""
    changed = tuple(names)
    if not rows or not changed:
        return
    connection = connections[using]
    fields, sql = _update_of(type(rows[0]), changed, connection.vendor, using)
    values = [_values(row, fields, connection) for row in rows]
    with connection.cursor() as cursor:
        if len(rows) == 1:
            cursor.execute(sql, values[0])
        else:
            cursor.executemany(sql, values)


@cache
def _update_of(
    model: type[models.Model], names: tuple[str, ...], vendor: str, using: str
) -> tuple[Fields, str]:
    connection = connections[using]
    fields = [field_of(model, name) for name in names]
    changes = ", ".join(
        f"{_quoted(field, connection)} = {_placeholder(field, connection)}" for field in fields
    )
    table, key = connection.ops.quote_name(model._meta.db_table), model._meta.pk
    sql = f"UPDATE {table} SET {changes} WHERE {_quoted(key, connection)} = %s"  # noqa: S608 - no value in it
    return _with_quick_ways([*fields, key], vendor), sql


def execute(
    statement: str, params: Sequence[Any] = (), *, using: str = DEFAULT_DB_ALIAS
) -> tuple[Any, ...] | None:
    """Run one statement. Return its first row, or None without rows."""
    with connections[using].cursor() as cursor:
        cursor.execute(statement, params)
        row: tuple[Any, ...] | None = cursor.fetchone() if cursor.description else None
        return row


def _quoted(field: Field, connection: BaseDatabaseWrapper) -> str:
    return connection.ops.quote_name(str(field.column))


def field_of(model: type[models.Model], name: str) -> Field:
    field = model._meta.get_field(name)
    assert isinstance(field, models.Field)  # noqa: S101 - for mypy: not a relation from elsewhere
    return field


AS_IT_IS: Any = None
SLOW: Any = object()


def _values(row: models.Model, fields: Fields, connection: BaseDatabaseWrapper) -> list[Any]:
    values = []
    for field, name, quick in fields:
        value = getattr(row, name)
        prepare = quick.get(type(value), SLOW)
        if prepare is SLOW:
            value = field.get_db_prep_save(value, connection)
        elif prepare is not AS_IT_IS:
            value = prepare(value)
        values.append(value)
    return values


def _with_quick_ways(fields: Iterable[Field], vendor: str) -> Fields:
    """Return each field, its attribute, and for the usual types of values what replaces `get_db_prep_save`."""
    quick = QUICK_ON_SQLITE if vendor == "sqlite" else {}
    return [(field, field.attname, quick.get(type(field), {})) for field in fields]


def _naive_in_utc(aware: datetime) -> str:
    """Return a time as SQLite stores it."""
    return _without_zone(aware.astimezone(UTC))


@lru_cache(maxsize=1024)
def _without_zone(utc: datetime) -> str:
    """Cached, because several columns of an event hold the same time. Only of UTC: elsewhere a time
    that occurs twice equals itself.
    """
    return str(utc.replace(tzinfo=None))


OF_TEXT: Quick = {str: AS_IT_IS, NoneType: AS_IT_IS}
OF_NUMBERS: Quick = {int: AS_IT_IS, NoneType: AS_IT_IS}
OF_IDS: Quick = {UUID: attrgetter("hex"), NoneType: AS_IT_IS}
# The same as `get_db_prep_save` for the usual values, in a fraction of its time.
QUICK_ON_SQLITE: dict[type, Quick] = {
    models.CharField: OF_TEXT,
    models.TextField: OF_TEXT,
    models.BinaryField: {bytes: AS_IT_IS},
    models.PositiveIntegerField: OF_NUMBERS,
    models.PositiveBigIntegerField: OF_NUMBERS,
    models.DateTimeField: {datetime: _naive_in_utc, NoneType: AS_IT_IS},
    models.UUIDField: OF_IDS,
    models.ForeignKey: OF_IDS | OF_NUMBERS,
}
