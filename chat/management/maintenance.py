"""What all commands of the operator do before their work: they name the database, and never make it."""

from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from chat.management.rehearsal import database_errors_named


class MaintenanceCommand(BaseCommand):
    """A command that acts on a service's database, which it names on stderr.

    realmate/environment.py refuses it in a checkout without settings.
    """

    makes_the_file = False

    def execute(self, *args: Any, **options: Any) -> Any:
        if connection.vendor == "postgresql" or not self.makes_the_file:
            refuse_a_missing_database()
        (options.get("stderr") or self.stderr).write(f"{which_database()}\n")
        with database_errors_named():
            return super().execute(*args, **options)


def refuse_a_missing_database() -> None:
    """Raise CommandError unless there is such a database. SQLite would make an empty file."""
    path = connection.settings_dict["NAME"]
    if connection.vendor == "postgresql":
        refuse_a_missing_server_or_name()
    elif not Path(path).is_file():
        raise CommandError(f"There is no database at {path}. `manage.py migrate` creates one.")


def refuse_a_missing_server_or_name() -> None:
    """Connect outside the pool, because the pool does not say why it cannot connect."""
    try:
        psycopg.connect(**connection.get_connection_params()).close()
    except psycopg.Error as error:
        [said, *_] = str(error).splitlines()
        raise CommandError(
            f"There is no database {name_of(connection.settings_dict)}: {said}"
        ) from None


def which_database() -> str:
    file = settings.ENV_FILE or "none"
    return f"Database: {name_of(connection.settings_dict)}. Env file: {file}."


def name_of(database: dict[str, Any]) -> str:
    """Return the engine and the place of a database, without user and password."""
    if "sqlite" in database["ENGINE"]:
        return f"SQLite, {Path(database['NAME']).absolute()}"
    host, port = database["HOST"] or "local socket", database["PORT"] or "5432"
    return f"PostgreSQL, {host}:{port}/{database['NAME']}"
