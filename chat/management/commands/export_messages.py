"""Export all messages as JSON lines or as CSV."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chat.api.exports import cursor_at, json_line_of, start_of
from chat.csv_tables import BYTE_ORDER_MARK, harmless, rows
from chat.management.maintenance import MaintenanceCommand, new_private_file
from chat.management.progress import progress
from chat.management.rehearsal import moment
from chat.models import current_generation
from chat.models.exports import MessageText, in_windows, settled_arrival, written_within
from chat.refusals import BadParameters, CursorExpired

COLUMNS = (
    "timestamp",
    "direction",
    "content",
    "id",
    "conversation_id",
    "received_at",
    "cursor",
)


class Command(MaintenanceCommand):
    help = (
        "Write all messages in the order of their arrival. Each line has the cursor for an export of "
        "the later messages, and the end of this export names the last cursor. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("file", metavar="FILE", nargs="?", help="a new file (default: standard output)")
        add("--format", choices=["jsonl", "csv"], default="jsonl", help="jsonl, or csv")
        add("--from", dest="since", type=moment, help="only messages written from this time on")
        add("--to", dest="until", type=moment, help="only messages written before this time")
        add("--after", metavar="CURSOR", default="", help="only messages after this cursor")

    def handle(self, *args: Any, **options: Any) -> None:
        file = options["file"]
        if file is None:
            self.export(options, lambda text: self.stdout.write(text, ending=""))
            return
        try:
            with new_private_file(Path(file)) as written:
                self.export(options, written.write)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from error

    def export(self, options: dict[str, Any], write: Callable[[str], Any]) -> None:
        generation, last = current_generation(), settled_arrival()
        start = self.start_of(options["after"], generation, last)
        windows = in_windows(
            written_within(options["since"], options["until"]), after=start, last=last
        )
        write_rows = csv_rows if options["format"] == "csv" else json_rows
        count = 0
        with progress(total=last - start, unit=" arrivals") as bar:
            for number, arrival, text in write_rows(windows, generation):
                write(text)
                count += number
                bar.update(max(0, arrival - start - bar.n))
            bar.update(last - start - bar.n)
        cursor = cursor_at(last, generation)
        self.stderr.write(f"{count} messages. Later ones: --after {cursor}")

    def start_of(self, after: str, generation: str, last: int) -> int:
        try:
            start = start_of(after, generation)
        except CursorExpired:
            raise CommandError("--after is of before a restore: export everything again") from None
        except BadParameters:
            start = last + 1
        if start > last:
            raise CommandError("--after is not a cursor of an export")
        return start


def json_rows(
    windows: Iterator[Iterator[MessageText]], generation: str
) -> Iterator[tuple[int, int, str]]:
    """Yield the number of messages in a text, the last arrival in it, and the text."""
    for window in windows:
        for message in window:
            yield 1, message.arrival, json_line_of(message, generation).decode()


def csv_rows(
    windows: Iterator[Iterator[MessageText]], generation: str
) -> Iterator[tuple[int, int, str]]:
    """Yield as `json_rows` does, RFC 4180, as in the transcripts."""
    yield 0, 0, BYTE_ORDER_MARK + rows([COLUMNS])
    for window in windows:
        for message in window:
            yield 1, message.arrival, rows([cells_of(message, generation)])


def cells_of(message: MessageText, generation: str) -> tuple[str, ...]:
    return (
        for_people(message.timestamp),
        message.direction,
        harmless(message.content),
        message.id,
        message.conversation_id,
        for_people(message.received_at),
        cursor_at(message.arrival, generation),
    )


def for_people(instant: str) -> str:
    """Leave out the digits of a whole second, as transcripts do."""
    return instant.replace(".000000Z", "Z")
