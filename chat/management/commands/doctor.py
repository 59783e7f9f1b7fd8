"""List the faults of this installation, and a command against each."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import Error, connection, transaction

from chat.api.probes import faults_of_the_static_files
from chat.database.statements import execute
from chat.health.diagnosis import Finding, diagnose, look_at_the_file
from chat.management.maintenance import MaintenanceCommand
from chat.management.tables import add_json, print_json

# The session that waits for no other. Transactions of our own end sooner. Sessions of other users hide
# when theirs began. CREATE INDEX CONCURRENTLY waits for a reader's virtualxid, and keeps no writer out.
BLOCKER = """
SELECT blocker.pid FROM pg_stat_activity AS waiting
JOIN pg_stat_activity AS blocker ON blocker.pid = ANY (pg_blocking_pids(waiting.pid))
WHERE waiting.datname = current_database() AND waiting.wait_event_type = 'Lock'
AND waiting.wait_event <> 'virtualxid' AND cardinality(pg_blocking_pids(blocker.pid)) = 0
AND coalesce(blocker.xact_start, '-infinity') < clock_timestamp() - interval '5 seconds'
"""


class Command(MaintenanceCommand):
    needs_the_schema = False

    help = (
        "Look at settings, proxy, database, files, clock, search, log, backup, upkeep, the lock of "
        "writers and static files. Print one line for each part, with its faults and a command against "
        "each. The exit code is 1 if there is a fault. Changes nothing, and takes seconds. "
        "`replay --check` compares everything."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        parts = diagnose() | {"lock": lock(), "static_files": static_files()}
        if options["json"]:
            print_json(self.stdout, {"parts": [as_json(*part) for part in parts.items()]})
        else:
            for part, findings in parts.items():
                self.stdout.write("\n".join(lines_of(part, findings)))
        if wrong := [part for part, findings in parts.items() if findings]:
            raise CommandError(f"wrong: {', '.join(wrong)}")


def lock() -> list[Finding]:
    """Whether a forgotten shell or another program keeps all writers waiting. Takes the time of a writer."""
    try:
        if connection.vendor == "sqlite":
            with transaction.atomic():
                return []
        blocker = execute(BLOCKER)
    except Error as error:
        reason = str(error).partition("\n")[0]
        return [Finding("lock", f"No write can begin: {reason}.", mend_of(reason))]
    if blocker is None:
        return []
    detail = f"Others wait for the session {blocker[0]} of PostgreSQL."
    return [Finding("lock", detail, f"SELECT pg_terminate_backend({blocker[0]});")]


def mend_of(reason: str) -> str:
    """Return the commands that show who holds the lock, or why the file cannot be written."""
    if connection.vendor != "sqlite":
        return "journalctl -u realmate -n 50"
    return (
        f"fuser -v {connection.settings_dict['NAME']}" if "locked" in reason else look_at_the_file()
    )


def static_files() -> list[Finding]:
    mend = "manage.py collectstatic --noinput"
    return [Finding("static_files", f.detail, mend) for f in faults_of_the_static_files()]


def lines_of(part: str, findings: list[Finding]) -> list[str]:
    if not findings:
        return [f"{part}: sound"]
    return [f"{part}: {finding.detail} To mend it: {finding.mend}" for finding in findings]


def as_json(part: str, findings: list[Finding]) -> dict[str, Any]:
    objects = [{"detail": finding.detail, "mend": finding.mend} for finding in findings]
    return {"part": part, "ok": not findings, "findings": objects}
