"""Replay refused deliveries, or check the log against the stored conversations."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error
from django.db.models import Count
from django.utils import timezone
from environs import ValidationError

from chat.events.ingest import Result, replay
from chat.management.maintenance import MaintenanceCommand
from chat.management.progress import above_the_bar, progress
from chat.management.rehearsal import (
    NOTHING_DONE,
    add_yes,
    conversation_id,
    moment,
)
from chat.models import MAY_CHANGE, Delivery, DeliveryQuerySet
from chat.refusals import OF_EVENTS
from chat.upkeep import copying, rebuilding
from chat.upkeep.reindexing import is_reindex_due

CODES = [refusal.code for refusal in OF_EVENTS]
FILTERS = ("code", "since", "until", "conversation", "id", "yes")


class Command(MaintenanceCommand):
    help = (
        "Replay refused deliveries in the order of the events' timestamps, each with its original "
        "arrival time. By default: refusals whose reason may be gone (conversation_not_found, "
        "invalid_event, invalid_json). Truncated bodies, and deliveries settled by an earlier replay, "
        "are left out. A replay leaves a row in the log, with the number of its original, unless the "
        "replay is refused for the same reason again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "--code",
            action="append",
            choices=CODES,
            metavar="CODE",
            help="only refusals with this code; may be given several times. One of "
            + ", ".join(CODES),
        )
        add("--since", type=moment, help="only deliveries from this date, or date and time, on")
        add("--until", type=moment, help="only deliveries before this date, or date and time")
        add(
            "--conversation",
            type=conversation_id,
            metavar="ID",
            help="only deliveries about this conversation",
        )
        add(
            "--id",
            type=int,
            action="append",
            metavar="N",
            help="only the delivery with this number; may be given several times",
        )
        add_yes(parser)
        add(
            "--check",
            action="store_true",
            help="instead: rebuild all conversations from the log in a scratch database, and compare "
            "them with the stored ones; exit code 1 if anything differs",
        )
        add(
            "--database",
            metavar="URL",
            help="an empty scratch database for --check (default: an SQLite file in the directory for "
            "temporary files, deleted afterwards; the directory needs room for a second database)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            others = [name for name in FILTERS if options[name]]
            if others:
                raise CommandError(
                    f"--check looks at everything: leave out --{', --'.join(others)}"
                )
            self.check_the_log(options["database"])
        elif options["database"]:
            raise CommandError("--database is the scratch database of --check")
        else:
            self.rehearse_or_replay(options)

    def rehearse_or_replay(self, options: dict[str, Any]) -> None:
        chosen = chosen_by(options)
        by_code = dict(chosen.order_by("code").values_list("code").annotate(Count("pk")))
        self.say(f"{sum(by_code.values())} refused deliveries to replay", by_code)
        if not options["yes"]:
            self.stdout.write(NOTHING_DONE)
            return
        self.replay(chosen)

    def replay(self, chosen: DeliveryQuerySet) -> None:
        tally: Counter[str] = Counter()
        try:
            with suppress(KeyboardInterrupt):  # replays so far stay, and are not repeated
                for result in replayed(chosen):
                    tally[result.code or result.outcome.value] += 1
        except Error as error:
            raise CommandError(
                f"stopped after {tally.total()}, the database says: {error}; run this again to go on"
            ) from error
        self.say(f"{tally.total()} replayed", tally)

    def check_the_log(self, url: str | None) -> None:
        with TemporaryDirectory(prefix="realmate-") as directory:
            try:
                last = rebuilding.last_delivery()
                scratch_url = url or f"sqlite:///{directory}/scratch.sqlite3"
                with copying.target(scratch_url) as scratch:
                    self.compare(rebuilding.Check(last, scratch))
            except copying.NotEmpty:
                raise CommandError("the scratch database is not empty") from None
            except ValidationError as error:
                raise CommandError(f"not the URL of a database: {error}") from None

    def compare(self, check: rebuilding.Check) -> None:
        differences = 0
        with progress(total=check.last, unit=" deliveries", desc="feeding") as bar:
            for done in check.feed():
                bar.update(done)
        with progress(unit=" conversations", desc="comparing") as bar:
            for difference in check.differences():
                bar.update()
                if difference:
                    differences += 1
                    with above_the_bar():
                        self.stdout.write(f"{difference.conversation_id}: {difference.detail}")
        self.say(f"{check.equal} conversations are equal, by {check.fed} deliveries", {})
        if is_reindex_due():
            self.say("The search index has rows of an older version: run manage.py reindex", {})
        if left_out := +check.left_out:
            self.say("Not checked", left_out)
        if differences:
            raise CommandError(f"{differences} differences")

    def say(self, title: str, counts: dict[str, int]) -> None:
        self.stdout.write(f"{title}{':' if counts else '.'}")
        for name, count in sorted(counts.items()):
            self.stdout.write(f"  {name}: {count}")


def chosen_by(options: dict[str, Any]) -> DeliveryQuerySet:
    chosen = Delivery.objects.worth_applying_again(options["code"] or MAY_CHANGE)
    chosen = chosen.received_within(options["since"], options["until"])
    if options["conversation"]:
        chosen = chosen.filter(conversation_id=options["conversation"])
    if options["id"]:
        chosen = chosen.filter(pk__in=options["id"])
    return chosen


def replayed(chosen: DeliveryQuerySet) -> Iterator[Result]:
    """Replay each delivery in its own transaction, unless an earlier replay has settled the delivery."""
    for id in progress(
        list(chosen.as_they_happened().values_list("pk", flat=True)), unit=" deliveries"
    ):
        delivery = chosen.filter(pk=id).first()
        if delivery is not None:
            yield replay(delivery, at=timezone.now())
