"""Export everything stored about a conversation."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chat.management.maintenance import MaintenanceCommand, new_private_file
from chat.management.rehearsal import conversation_id
from chat.upkeep import erasure, exporting


class Command(MaintenanceCommand):
    help = (
        "Write everything stored about a conversation as one JSON document: the conversation, its "
        "messages, and every delivery about it with its body. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=conversation_id, help="the conversation's id")
        parser.add_argument(
            "file", metavar="FILE", nargs="?", help="a new file (default: standard output)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        id, file = options["id"], options["file"]
        try:
            stock = erasure.stock_of(id)
        except erasure.NothingStored:
            raise CommandError(f"nothing is stored about {id}") from None
        if file is None:
            for piece in exporting.document(id):
                self.stdout.write(piece, ending="")
            return
        try:
            with new_private_file(Path(file)) as written:
                written.writelines(exporting.document(id))
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from error
        self.stdout.write(f"{stock.messages} messages, {stock.deliveries} deliveries in {file}")
