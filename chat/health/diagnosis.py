"""The faults of this installation, each with the command against it. Only reads, for seconds at most.

`manage.py doctor` and `/ui/status/` show the faults. Each check yields a Finding for each fault.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from pathlib import Path
from stat import S_IMODE
from typing import NamedTuple

from django.conf import settings
from django.core import checks
from django.db import Error, connection
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from chat.database import readiness
from chat.database.time_limits import TooSlow, at_most
from chat.health.vitals import vitals
from chat.models import Backup, Conversation, Delivery, Message
from realmate.postgresql.base import a_request
from realmate.sqlite.files import SUFFIXES

SECONDS_A_CHECK = 5
# The newest rows are compared. `replay --check` compares all.
COMPARED = 1_000
BACKUP_HOURS = 36
OVERDUE_DAYS = 2
CLOCK_SECONDS = 300
GROUP_AND_OTHERS = 0o077


class Finding(NamedTuple):
    """One fault, in the reader's language. `mend` is a command; `anchor` a heading of docs/faults.md."""

    part: str
    detail: str
    mend: str
    anchor: str = "alerts"


Check = Callable[[], Iterator[Finding]]


def diagnose(*, apart_from: Collection[str] = ()) -> dict[str, list[Finding]]:
    """Return the findings of each part, in the order of CHECKS. A part without any is sound."""
    return {part: findings_of(part) for part in CHECKS if part not in apart_from}


def findings_of(part: str) -> list[Finding]:
    findings: list[Finding] = []
    try:
        with a_request(seconds=SECONDS_A_CHECK):
            findings.extend(CHECKS[part]())
    except TooSlow:
        findings.append(Finding(part, _("This could not be judged in time."), "manage.py doctor"))
    except (Error, OSError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        detail = _("This could not be judged: %(error)s.") % {"error": reason}
        findings.append(Finding(part, detail, "journalctl -u realmate -n 50"))
    return findings


# The surroundings


def judge_settings() -> Iterator[Finding]:
    if settings.DEBUG:
        yield Finding("settings", _("DEBUG is on: nobody needs a login."), "DEBUG=false")
        return
    for message in checks.run_checks(include_deployment_checks=True):
        if not message.is_silenced():  # `check --deploy` leaves out the same
            mend = str(message.hint or "manage.py check --deploy")
            yield Finding("settings", str(message.msg), mend)


def judge_proxy() -> Iterator[Finding]:
    if settings.SECURE_SSL_REDIRECT and not settings.TRUSTED_PROXIES:
        detail = _(
            "No proxy is trusted, so https behind one is not seen, and pages redirect for ever."
        )
        yield Finding("proxy", detail, "TRUSTED_PROXIES=127.0.0.1", "people-cannot-work")


def judge_database() -> Iterator[Finding]:
    for fault in readiness.faults():
        words, mend = OF_READINESS.get(fault.code, (fault.detail, "manage.py doctor"))
        detail = f"{words} ({fault.code})"
        if connection.vendor == "sqlite" and fault.code in OF_THE_FILE:
            mend = look_at_the_file()
        yield Finding("database", detail, mend, "senders-get-errors")


def look_at_the_file() -> str:
    """Return commands that show whether SQLite's disk is read-only, and whose its files are."""
    folder = Path(connection.settings_dict["NAME"]).parent
    return f"findmnt -T {folder}; ls -la {folder}"


OF_THE_FILE = ("database_read_only", "database_unreachable")


OF_READINESS = {
    "wrong_schema": (
        gettext_lazy("The code and the database are of different versions."),
        "manage.py migrate",
    ),
    "database_unreachable": (gettext_lazy("The database does not answer."), "pg_isready -h HOST"),
    "database_replaced": (
        gettext_lazy("The database file is gone, or another one."),
        "manage.py restore FILE",
    ),
    "disk_full": (gettext_lazy("The disk of the database has almost no space left."), "df -h"),
    "database_read_only": (
        gettext_lazy("The database takes no writes."),
        "SELECT source, sourcefile FROM pg_settings WHERE name = 'default_transaction_read_only';",
    ),
    "database_in_recovery": (
        gettext_lazy("The database is a standby, or recovers."),
        "DATABASE_URL=postgres://…?target_session_attrs=read-write",
    ),
    "write_failed": (
        gettext_lazy("The last write failed just now."),
        "journalctl -u realmate -n 50",
    ),
}


def judge_files() -> Iterator[Finding]:
    """SQLite's files must belong to their folder's owner, and be closed to everybody else."""
    if connection.vendor != "sqlite":
        return
    database = Path(connection.settings_dict["NAME"])
    owner = database.parent.stat().st_uid
    for path in (Path(f"{database}{suffix}") for suffix in SUFFIXES):
        if not path.exists():
            continue
        status = path.stat()
        if S_IMODE(status.st_mode) & GROUP_AND_OTHERS:
            yield Finding(
                "files",
                _("Others than its owner may open %(file)s.") % {"file": path},
                f"chmod 600 {path}",
            )
        if status.st_uid != owner:
            mend = f"chown --reference={database.parent} {path}"
            detail = _("%(file)s belongs to another user than its folder.") % {"file": path}
            yield Finding("files", detail, mend)


def judge_clock() -> Iterator[Finding]:
    """Compare the clock with the newest delivery's arrival, and with its sender's timestamp."""
    newest = Delivery.objects.order_by("-id").defer("body").first()
    if newest is None:
        return
    ahead = newest.received_at - timezone.now()
    if ahead > timedelta(seconds=CLOCK_SECONDS):
        yield Finding("clock", _("The newest delivery came in the future."), "timedatectl")
    if newest.timestamp and newest.timestamp - newest.received_at > timedelta(
        seconds=CLOCK_SECONDS
    ):
        detail = _(
            "The newest event happened after its arrival: our clock is slow, or its sender’s fast."
        )
        yield Finding("clock", detail, "timedatectl")


# The stored rows


def judge_search() -> Iterator[Finding]:
    newest = Message.objects.order_by("-pk").values("pk")[:COMPARED]
    with at_most(SECONDS_A_CHECK):
        missing = Message.objects.filter(pk__in=newest, words=None).count()
    if missing:
        detail = _("Search misses %(number)s of the newest %(of)s messages.") % {
            "number": missing,
            "of": COMPARED,
        }
        yield Finding("search", detail, "manage.py reindex", "people-cannot-work")


def judge_log() -> Iterator[Finding]:
    """Check that the newest applied events have left their conversations and messages."""
    applied = Delivery.objects.filter(outcome=Delivery.Outcome.APPLIED).order_by("-id")
    with at_most(SECONDS_A_CHECK):
        rows = list(applied.values_list("conversation_id", "message_id")[:COMPARED])
        conversations = {id for id, _ in rows if id}
        messages = {id for _, id in rows if id}
        stored = Conversation.objects.filter(pk__in=conversations).count()
        stored += Message.objects.filter(id__in=messages).count()
    lost = len(conversations) + len(messages) - stored
    if lost:
        detail = _("Of the newest %(of)s events, %(number)s effects are not stored.") % {
            "number": lost,
            "of": COMPARED,
        }
        yield Finding("log", detail, "manage.py replay --check")


# Upkeep


def judge_backup() -> Iterator[Finding]:
    at = Backup.objects.last_at()
    if at is None:
        yield Finding("backup", _("There was no backup yet."), "manage.py backup FILE")
    elif timezone.now() - at > timedelta(hours=BACKUP_HOURS):
        hours = int((timezone.now() - at).total_seconds() // 3600)
        detail = _("The last good backup is %(hours)s hours old.") % {"hours": hours}
        yield Finding("backup", detail, "manage.py backup FILE")


def judge_upkeep() -> Iterator[Finding]:
    figures = vitals() or {}
    limit = timedelta(days=OVERDUE_DAYS).total_seconds()
    for table, rows in (("chat_delivery", "deliveries"), ("chat_change", "changes")):
        overdue = figures.get(f"{rows}_overdue_seconds", 0)
        if overdue > limit:
            days = int(overdue // 86400)
            sentence = ngettext(
                "The oldest rows of %(table)s should have been deleted %(days)s day ago.",
                "The oldest rows of %(table)s should have been deleted %(days)s days ago.",
                days,
            )
            yield Finding("upkeep", sentence % {"table": table, "days": days}, "manage.py upkeep")


CHECKS: dict[str, Check] = {
    "settings": judge_settings,
    "proxy": judge_proxy,
    "database": judge_database,
    "files": judge_files,
    "clock": judge_clock,
    "search": judge_search,
    "log": judge_log,
    "backup": judge_backup,
    "upkeep": judge_upkeep,
}
