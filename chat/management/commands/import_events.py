"""Import events from a file of JSON lines, by the rules of the webhook."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error
from django.utils import timezone
from tqdm import tqdm

from chat.events.bulk import ingest_many, tuned_for_loading
from chat.events.ingest import Result, refused
from chat.management import event_lines
from chat.management.event_lines import Line, Source
from chat.management.maintenance import MaintenanceCommand
from chat.management.progress import progress
from chat.management.rehearsal import NOTHING_DONE, add_yes
from chat.refusals import BodyTooLarge, Subject

# Results between two looks at the progress.
SHOWN_EVERY = 1_000
TOO_LARGE = refused(BodyTooLarge(), Subject())


class Command(MaintenanceCommand):
    help = (
        "Import events, one JSON object a line, as if the webhook received them now. Writes a line "
        "of JSON for each event: line, outcome, code, type, id, and the errors of an invalid event. "
        "A stored event is a duplicate, so a file may be imported again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("file", metavar="FILE", help="JSON lines, plain or gzipped; - for standard input")
        add(
            "--results",
            metavar="FILE",
            help="append the results to this file (default: standard output). If the file has the "
            "results of an interrupted import, the import continues after them",
        )
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with event_lines.opened(options["file"]) as source:
                self.rehearse_or_load(source, options)
        except event_lines.Unreadable as error:
            raise CommandError(f"{options['file']} cannot be read: {error}") from None

    def rehearse_or_load(self, source: Source, options: dict[str, Any]) -> None:
        if not options["yes"]:
            counts = Counter(map(event_lines.judged, source.lines()))
            self.say(self.stdout, f"{counts.total()} events to import", counts)
            self.stdout.write(NOTHING_DONE)
        elif options["results"]:
            self.go_on(source, options["results"])
        else:
            self.load(source, source.lines(), lambda text: self.stdout.write(text, ending=""))

    def go_on(self, source: Source, results: str) -> None:
        """Import the lines without a result in the file."""
        with results_file(results) as file:
            try:
                last = event_lines.last_result(file)
                lines = event_lines.after(last, source.lines())
                self.load(source, lines, lambda text: file.write(text.encode()))
            except event_lines.OtherResults as error:
                raise CommandError(f"{results} {error}") from None

    def load(self, source: Source, lines: Iterator[Line], write: Callable[[str], Any]) -> None:
        tally: Counter[str] = Counter()
        last = 0
        with progress(total=source.size, unit="B", unit_scale=True) as bar:
            try:
                with tuned_for_loading(), suppress(KeyboardInterrupt):  # imported batches stay
                    for last, result in imported(lines):
                        write(event_lines.result_line(last, result))
                        tally[result.code or result.outcome.value] += 1
                        if tally.total() % SHOWN_EVERY == 0:
                            show(bar, source, tally)
            except Error as error:
                raise CommandError(
                    f"stopped after line {last}, the database says: {error}; run this again to go on"
                ) from error
            show(bar, source, tally)
        self.say(self.stderr, f"{tally.total()} events imported, up to line {last}", tally)

    def say(self, out: Any, title: str, counts: Counter[str]) -> None:
        out.write(f"{title}{':' if counts else '.'}")
        for name, count in sorted(counts.items()):
            out.write(f"  {name}: {count}")


def results_file(name: str) -> IO[bytes]:
    try:
        return Path(name).open("a+b")
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {error.strerror}") from None


def imported(lines: Iterator[Line]) -> Iterator[tuple[int, Result]]:
    """Import lines. Yield the number and the result of each after the commit of its batch."""
    pending: deque[Line] = deque()

    def deliveries() -> Iterator[tuple[bytes, datetime]]:
        for line in lines:
            pending.append(line)
            if line.body is not None:
                yield line.body, timezone.now()

    for result in ingest_many(deliveries()):
        yield from too_large(pending)
        yield pending.popleft().number, result
    yield from too_large(pending)


def too_large(pending: deque[Line]) -> Iterator[tuple[int, Result]]:
    """Take the first lines as long as they are too large. Nothing of them is stored, as in the webhook."""
    while pending and pending[0].body is None:
        yield pending.popleft().number, TOO_LARGE


def show(bar: "tqdm[Any]", source: Source, tally: Counter[str]) -> None:
    bar.set_postfix(tally, refresh=False)
    bar.update(source.place - bar.n)
