"""Put a backup in the place of the database."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from chat.management.rehearsal import NOTHING_DONE, add_yes, database_errors_named
from chat.upkeep import erasure_list, restoring

NEXT = """\
Restored, as generation {generation}. {erased} conversations were erased again.
What to do next:
  1. manage.py replay --check     the log agrees with what is stored
  2. Start the server. /readyz answers 200.
  3. Let the senders send again what they sent since the backup. What is stored is a duplicate.
Programs that follow /changes get 410, and begin again by themselves."""


class Command(BaseCommand):
    help = (
        "Put a backup of manage.py backup in the place of the database of DATABASE_URL. The server "
        "must be stopped. SQLite: the file is checked, gets the owner and mode of the replaced one, "
        "and the replaced one stays beside it under another name. PostgreSQL: the database must be "
        "empty. Both are migrated, begin a new generation, and erase again everything on the list of "
        "erasures. An interrupted restore leaves the old database in place."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="the backup")
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        file = options["file"]
        try:
            with database_errors_named():
                self.announce(file)
                if not options["yes"]:
                    self.stdout.write(NOTHING_DONE)
                    return
                restored = restoring.restore(file, at=timezone.now())
        except OSError as error:
            raise CommandError(f"not restored: {error.filename}: {error.strerror}") from error
        except restoring.NotRestored as error:
            raise CommandError(f"not restored: {error}") from error
        if restored.aside:
            self.stdout.write(f"The replaced database is {restored.aside}.")
        said = NEXT.format(generation=restored.generation, erased=restored.erased_again)
        self.stdout.write(said)

    def announce(self, file: Path) -> None:
        """Say what would be restored where. Raises OSError and NotRestored."""
        with file.open("rb"):
            pass  # an error names the file
        self.stdout.write(f"Restore {file} into {connection.settings_dict['NAME']}.")
        if connection.vendor == "sqlite":
            counts = restoring.check_file(file)
            for table in ("chat_conversation", "chat_message", "chat_delivery"):
                self.stdout.write(f"  {table}: {counts.get(table, 0)} rows")
        self.stdout.write(f"  to erase again: {len(erasure_list.listed())} conversations")
