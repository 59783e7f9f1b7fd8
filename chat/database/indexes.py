"""Migrations to build or drop an index of a large table while the service writes.

PostgreSQL works concurrently. SQLite locks its file for one index at a time. The migration is not
atomic: after an interruption it runs again from its first index.
"""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db.migrations import AddIndex, RemoveIndex


class AddIndexBesideWriters(AddIndexConcurrently):
    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """First drop the index of an interrupted build: PostgreSQL keeps such an index without using it."""
        drop(self.index.name, schema_editor)
        operation = AddIndexConcurrently if is_postgresql(schema_editor) else AddIndex
        operation.database_forwards(self, app_label, schema_editor, *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        drop(self.index.name, schema_editor)


class RemoveIndexBesideWriters(RemoveIndexConcurrently):
    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        drop(self.name, schema_editor)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        drop(self.name, schema_editor)
        operation = RemoveIndexConcurrently if is_postgresql(schema_editor) else RemoveIndex
        operation.database_backwards(self, app_label, schema_editor, *states)


def drop(name: str, schema_editor: Any) -> None:
    concurrently = "CONCURRENTLY" if is_postgresql(schema_editor) else ""
    schema_editor.execute(f"DROP INDEX {concurrently} IF EXISTS {schema_editor.quote_name(name)}")


def is_postgresql(schema_editor: Any) -> bool:
    return bool(schema_editor.connection.vendor == "postgresql")
