"""Restore a backup."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from chat.management.maintenance import MaintenanceCommand
from chat.management.progress import progress
from chat.management.rehearsal import NOTHING_DONE, add_yes, file_and_reason
from chat.upkeep import erasure_list, restoring, restoring_sqlite
from chat.upkeep.restored import RestoreFailed

NEXT = """\
Next:
  1. Revoke the tokens, and deactivate the users, that were revoked since the backup.
  2. Start the server. People log in again, and programs that follow changes begin again.
  3. Let the senders send again what came since the last delivery.
  4. manage.py replay --check
  5. Delete a replaced database when nothing in it is needed any more: it may hold erased text."""


class Command(MaintenanceCommand):
    help = (
        "Replace the database by a backup, with the server stopped. The backup is checked before, "
        "and migrated if it is of an older version. The restore begins a new generation, so readers "
        "of the changes begin again. All conversations in the list of erasures are erased again. "
        "SQLite: the replaced database is kept under another name; owner and mode stay. PostgreSQL: "
        "the database of DATABASE_URL must be empty. An interrupted restore may be run again."
    )
    makes_the_file = True
    needs_the_schema = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="a file written by `manage.py backup`"
        )
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.announce(options["file"])
            if not options["yes"]:
                self.stdout.write(NOTHING_DONE)
                return
            self.restore(options["file"])
        except RestoreFailed as error:
            raise CommandError(f"nothing was restored: {error}") from error
        except OSError as error:
            raise CommandError(f"not restored: {file_and_reason(error)}") from error

    def announce(self, file: Path) -> None:
        checked = restoring.check(file)
        self.stdout.write(f"{file} is sound.")
        for table in ("chat_conversation", "chat_message", "chat_delivery"):
            if table in checked.counts:
                self.stdout.write(f"  {table}: {checked.counts[table]} rows")
        if checked.migrations:
            self.stdout.write(f"  {checked.migrations} migrations are missing, and are applied")
        self.announce_the_list()
        if connection.vendor == "sqlite":
            self.announce_the_place(restoring_sqlite.database_path())

    def announce_the_place(self, database: Path) -> None:
        what = "replaces {}, which is kept aside" if database.exists() else "creates {}"
        self.stdout.write(f"It {what.format(database)}.")

    def announce_the_list(self) -> None:
        path = erasure_list.find_path()
        if path is None or not path.exists():
            place = path or "set ERASURES_FILE"
            self.stdout.write(
                f"There is no list of erasures ({place}): repeat the erasures since the backup."
            )
            return
        self.stdout.write(f"{path} lists {len(erasure_list.read())} erased conversations.")

    def restore(self, file: Path) -> None:
        with progress(unit=" pages") as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            restored = restoring.restore(file, on_progress=show)
        self.stdout.write(f"Restored, as generation {restored.generation}.")
        for path in restored.aside:
            self.stdout.write(f"{path} is a replaced database.")
        self.stdout.write(f"Erased again: {len(restored.erased)} conversations.")
        if not restored.is_scrubbed:
            self.stdout.write("Old text is still in the files: run `manage.py upkeep`.")
        if restored.last_delivery:
            self.stdout.write(f"The last delivery came at {restored.last_delivery.isoformat()}.")
        self.stdout.write(NEXT)
