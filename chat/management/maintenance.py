"""What all commands of the operator do before their work: they name the database, and never make it."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from chat.management.rehearsal import database_errors_named


class MaintenanceCommand(BaseCommand):
    """A command that acts on a service's database, which it names on stderr.

    realmate/environment.py refuses it in a checkout without settings.
    """

    makes_the_database = False

    def execute(self, *args: Any, **options: Any) -> Any:
        if not self.makes_the_database:
            refuse_a_missing_database()
        (options.get("stderr") or self.stderr).write(f"{which_database()}\n")
        with database_errors_named():
            return super().execute(*args, **options)


def refuse_a_missing_database() -> None:
    """Raise CommandError without SQLite's file, because SQLite would make an empty one."""
    path = Path(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and not path.is_file():
        raise CommandError(f"There is no database at {path}. `manage.py migrate` creates one.")


def which_database() -> str:
    file = settings.ENV_FILE or "none"
    return f"Database: {name_of(connection.settings_dict)}. Env file: {file}."


def name_of(database: dict[str, Any]) -> str:
    """Return the engine and the place of a database, without user and password."""
    if "sqlite" in database["ENGINE"]:
        return f"SQLite, {Path(database['NAME']).absolute()}"
    host, port = database["HOST"] or "local socket", database["PORT"] or "5432"
    return f"PostgreSQL, {host}:{port}/{database['NAME']}"
