"""Run everything that must run now and then."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.management.tables import add_json, print_json
from chat.upkeep import steps

DONE = {
    "early": "early events applied",
    "places": "changes got their place",
    "deliveries": "deliveries deleted",
    "changes": "changes deleted",
    "sessions": "sessions deleted",
    "logins": "login attempts deleted",
    "search": "search rows of an older version rewritten",
    "erasures": "erasures finished",
}


class Command(MaintenanceCommand):
    help = (
        "Do everything that must be done every night, while the service goes on: apply early events "
        "that still wait, give changes their place (PostgreSQL), delete deliveries older than "
        "DELIVERY_RETENTION_DAYS, changes older than CHANGE_RETENTION_DAYS, sessions that are over, "
        "and names and addresses of old login attempts, rewrite search rows of an older version, and "
        "finish interrupted erasures. Print one line a step. If a step fails, the others still run, "
        "and the exit code is 1. It may be interrupted, and two runs at once do no harm."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now, reports = timezone.now(), []
        for name in steps.STEPS:
            report = steps.run(name, now=now)
            reports.append(report)
            if not options["json"]:
                self.stdout.write(line_of(report))
        if options["json"]:
            print_json(self.stdout, {"steps": [as_json(report) for report in reports]})
        failed = [report.step for report in reports if report.error]
        if failed:
            raise CommandError(f"failed: {', '.join(failed)}")


def line_of(report: steps.Report) -> str:
    line = f"{report.step}: {report.rows:,} {DONE[report.step]}"
    if report.error:
        return f"{line}, then {report.error}"
    return line if report.is_complete else f"{line}, more the next time"


def as_json(report: steps.Report) -> dict[str, Any]:
    return {
        "step": report.step,
        "rows": report.rows,
        "complete": report.is_complete,
        "error": report.error or None,
    }
