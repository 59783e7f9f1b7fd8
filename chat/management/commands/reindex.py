"""Write missing rows of the search index, and rows of an older rule."""

from typing import Any

from django.core.management.base import CommandParser

from chat.management.maintenance import MaintenanceCommand
from chat.management.progress import progress
from chat.models import Message
from chat.upkeep.reindexing import reindex


class Command(MaintenanceCommand):
    help = (
        "Read all messages, and write missing rows of the search index and rows of an older version, "
        "in batches, while the service goes on. May be interrupted and run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="rewrite the rows of all messages")

    def handle(self, *args: Any, **options: Any) -> None:
        written = 0
        with progress(unit=" messages") as bar:
            bar.reset(total=Message.objects.count())
            for read, rows in reindex(every=options["all"]):
                written += rows
                bar.update(read)
        what = "written" if options["all"] else "missing or out of date, and are right now"
        self.stdout.write(f"{bar.n} messages read. {written} search rows were {what}.")
