"""Back up the database while the service goes on."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.management.progress import progress
from chat.management.rehearsal import database_errors_named
from chat.models import Backup
from chat.upkeep import backup


class Command(MaintenanceCommand):
    needs_the_schema = False

    help = (
        "Copy a snapshot of the whole database into a new file, while the service goes on writing. "
        "The file gets its name when the copy is verified and on disk; nothing is overwritten. "
        "SQLite: a database file. PostgreSQL: pg_dump's custom format. "
        "`manage.py restore` restores a backup."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="a new file, readable by its owner only"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file = options["file"]
        try:
            with database_errors_named(), progress(unit=" pages", delay=1) as bar:

                def show(done: int, total: int) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                counts = backup.back_up(file, on_progress=show)
        except FileExistsError:
            raise CommandError(f"{file} exists; nothing is overwritten") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from error
        except backup.BackupFailed as error:
            raise CommandError(f"no backup: {error}") from error
        self.note_it()
        rows = ", ".join(f"{table}: {counts[table]} rows" for table in REPORTED)
        self.stdout.write(f"{file}: {file.stat().st_size:,} bytes, verified; {rows}")

    def note_it(self) -> None:
        """Note the time for `/metrics`. A failure does no harm: a read-only database can be backed up too."""
        try:
            Backup.objects.note(at=timezone.now())
        except Error as error:
            reason = str(error).partition("\n")[0]
            self.stderr.write(f"The time of the backup is not noted in the database: {reason}")


REPORTED = ("chat_conversation", "chat_message", "chat_delivery")
