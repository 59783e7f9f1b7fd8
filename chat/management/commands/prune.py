"""Delete old deliveries from the log, and old changes."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.management.progress import progress
from chat.management.rehearsal import NOTHING_DONE, add_yes
from chat.upkeep import pruning


class Command(MaintenanceCommand):
    help = (
        "Delete deliveries older than DELIVERY_RETENTION_DAYS from the log, in batches, while "
        "the service goes on. Conversations and messages stay, and so do early events still waiting "
        "for their conversation. Changes older than CHANGE_RETENTION_DAYS are deleted too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=settings.DELIVERY_RETENTION_DAYS,
            help="keep deliveries of this many days instead (%(default)s)",
        )
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now, days = timezone.now(), options["days"]
        if not 1 <= days <= settings.MOST_DAYS_KEPT:
            raise CommandError(f"--days is from 1 to {settings.MOST_DAYS_KEPT}")
        total = pruning.how_many(now=now, days=days)
        self.stdout.write(f"{total} deliveries are older than {days} days.")
        kept = settings.CHANGE_RETENTION_DAYS
        changes = pruning.outdated_changes(now=now, days=kept)
        self.stdout.write(f"{len(changes)} changes are older than {kept} days.")
        if not options["yes"]:
            self.stdout.write(NOTHING_DONE)
            return
        with progress(total=total, unit=" deliveries") as bar:
            for deleted in pruning.prune(now=now, days=days):
                bar.update(deleted)
        with progress(total=len(changes), unit=" changes") as bar_of_changes:
            for deleted in pruning.prune_changes(changes):
                bar_of_changes.update(deleted)
        self.stdout.write(f"{bar.n} deliveries and {bar_of_changes.n} changes deleted.")
