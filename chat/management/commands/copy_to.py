"""Copy everything into another database, and verify the copy."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error
from environs import ValidationError

from chat.management.maintenance import MaintenanceCommand, name_of
from chat.management.progress import progress
from chat.upkeep import copying


class Command(MaintenanceCommand):
    help = (
        "Copy conversations, messages, the log, users, permissions and tokens from the database of "
        "DATABASE_URL into another, empty database: from SQLite to PostgreSQL or back. Migrates the "
        "other database first. Every row is read again on both sides and compared. Meanwhile the "
        "webhook of this database answers 503, so senders keep their events. Stop the server before, "
        "and start it with the new DATABASE_URL after. Sessions are not copied: people log in again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "url", help="postgres://user:password@host:5432/name, or sqlite:////path/to/file"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stderr.write(f"Copy: {name_of(copying.parse(options['url']))}.")
            with copying.target(options["url"]), copying.nothing_written():
                self.copy()
                self.compare()
        except copying.NotEmpty:
            raise CommandError("the other database is not empty; nothing was copied") from None
        except ValidationError as error:
            raise CommandError(f"not the URL of a database: {error}") from None
        except Error as error:
            raise CommandError(f"nothing was copied; a database says: {error}") from error

    def copy(self) -> None:
        with progress(total=copying.how_many(), unit=" rows", desc="copying") as bar:
            for written in copying.copy():
                bar.update(written)

    def compare(self) -> None:
        different = []
        for checked in copying.check():
            verdict = "equal" if checked.is_equal else "DIFFERENT"
            self.stdout.write(f"{checked.table}: {checked.copied_rows} rows, {verdict}")
            if not checked.is_equal:
                different.append(checked.table)
        if different:
            raise CommandError(f"the copy differs from the original in: {', '.join(different)}")
