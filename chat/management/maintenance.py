"""The base of the operator's commands: each names its database first, and creates none."""

import os
from argparse import SUPPRESS
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils.translation import override

from chat.database.migrated import refuse_wrong_schema
from chat.management.rehearsal import database_errors_named


class MaintenanceCommand(BaseCommand):
    """A command on a service's database. It names the database on stderr, in English. New files are private.

    realmate/environment.py refuses such a command in a checkout without settings. If the code is not of
    the schema's version, the command ends with one line. The command makes none of Django's checks,
    because these are about code, and load every page.
    """

    requires_system_checks = ()
    makes_the_file = False
    # False for a command with its own check of the schema.
    needs_the_schema = True

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        # Django offers this option where there are checks, and a line of cron may have it.
        parser.add_argument("--skip-checks", action="store_true", help=SUPPRESS)
        return parser

    def execute(self, *args: Any, **options: Any) -> Any:
        names = find_database(may_be_missing=self.makes_the_file)
        (options.get("stderr") or self.stderr).write(f"{names}\n")
        before = os.umask(0o077)
        try:
            with override("en"), database_errors_named():
                if self.needs_the_schema:
                    refuse_wrong_schema()
                return super().execute(*args, **options)
        finally:
            os.umask(before)


def find_database(*, may_be_missing: bool = False) -> str:
    """Return the names of the database and of the env file. Raises CommandError without a database.

    `may_be_missing` allows SQLite's file to be missing. Otherwise a connection would create an empty file.
    """
    place = name_of(connection.settings_dict)
    if connection.vendor == "postgresql":
        place = reached(place)
    elif not may_be_missing and not Path(connection.settings_dict["NAME"]).is_file():
        path = connection.settings_dict["NAME"]
        raise CommandError(
            f"There is no database at {path}. If there was one, put its file back, or restore a backup. "
            "For a new service `manage.py migrate` creates one."
        )
    return f"Database: {place}. Env file: {settings.ENV_FILE or 'none'}."


def reached(place: str) -> str:
    """Return the server and database reached, because several hosts or PG* variables may be given.

    Connects outside the pool, because the pool does not say why it cannot connect.
    """
    try:
        with closing(psycopg.connect(**connection.get_connection_params())) as session:
            server = session.info
            return f"PostgreSQL, {server.host}:{server.port}/{server.dbname}"
    except psycopg.Error as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CommandError(f"There is no database {place}: {reason}") from None


def name_of(database: dict[str, Any]) -> str:
    """Return the engine and the place of a database as in its URL, without user and password."""
    if "sqlite" in database["ENGINE"]:
        return f"SQLite, {Path(database['NAME']).absolute()}"
    host, port = database["HOST"] or "local socket", database["PORT"] or "5432"
    return f"PostgreSQL, {host}:{port}/{database['NAME']}"


def new_private_file(path: Path) -> Any:
    """Create a file for its owner only. Raises FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return open(descriptor, "w", encoding="utf-8")  # noqa: PTH123 - opens a descriptor
