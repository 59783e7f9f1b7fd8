"""The steps of upkeep: each works in batches, has a time limit, and may run twice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import Error

from chat.database.batches import delete_in_batches, key_batches
from chat.events.ingest import apply_waiting
from chat.models import Change, Conversation, LoginAttempts
from chat.upkeep import erasure, erasure_list, pruning
from chat.upkeep.erasure_list import Happened
from chat.upkeep.reindexing import is_reindex_due, reindex

# A step with more to do continues in the next run.
MOST_SECONDS = 600
# Conversations scrubbed together. Then the list notes the end, and another run does not repeat the scrub.
SCRUBBED_AT_ONCE = 1_000

Step = Callable[[datetime], Iterator[int]]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a step: its rows, whether it is complete, and its error, or ""."""

    step: str
    rows: int
    is_complete: bool = True
    error: str = ""


def run(name: str, *, now: datetime) -> Report:
    """Run one step until its end, or until its time is over. An error of the machine is reported."""
    until, rows = monotonic() + MOST_SECONDS, 0
    try:
        for count in STEPS[name](now):
            rows += count
            if monotonic() > until:
                return Report(name, rows, is_complete=False)
    except erasure.OutOfTime:
        return Report(name, rows, is_complete=False)
    except (Error, OSError, erasure.StillRead) as error:
        return Report(name, rows, is_complete=False, error=said_of(error))
    return Report(name, rows)


def said_of(error: Exception) -> str:
    match error:
        case erasure.StillRead():
            return "an older transaction is still open, so old text is still in the files"
        case Error():
            return f"the database says: {str(error).partition(chr(10))[0]}"
    return str(error)


def apply_early_events(now: datetime) -> Iterator[int]:
    """Apply the early events left over from the transaction of their NEW_CONVERSATION."""
    for part in key_batches(Conversation.objects.with_early_events()):
        for id in part:
            while count := apply_waiting(id, at=now):
                yield count


def place_changes(now: datetime) -> Iterator[int]:
    """Give places to new changes, so the next reader need not (PostgreSQL)."""
    while placed := Change.objects.place():
        yield placed


def prune_deliveries(now: datetime) -> Iterator[int]:
    return pruning.prune(now=now, days=settings.DELIVERY_RETENTION_DAYS)


def prune_changes(now: datetime) -> Iterator[int]:
    places = pruning.outdated_changes(now=now, days=settings.CHANGE_RETENTION_DAYS)
    return pruning.prune_changes(places)


def delete_sessions(now: datetime) -> Iterator[int]:
    """Delete expired sessions."""
    return delete_in_batches(Session.objects.filter(expire_date__lt=now))


def forget_login_attempts(now: datetime) -> Iterator[int]:
    """Delete the names and addresses of failed logins that no longer lock anybody out."""
    return delete_in_batches(LoginAttempts.objects.outdated(at=now))


def write_search_rows(now: datetime) -> Iterator[int]:
    """Rewrite the search rows of an older version."""
    if is_reindex_due():
        yield from (rows for _, rows in reindex(every=False))


def finish_erasures(now: datetime) -> Iterator[int]:
    """Erase the listed conversations not erased yet, and scrub the ones not scrubbed yet.

    An erasure may have been interrupted, or a restore may have brought the text back. Yields the
    number of conversations after each scrub: SCRUBBED_AT_ONCE at most share one.
    """
    if erasure_list.find_path() is None:
        return
    deadline = monotonic() + MOST_SECONDS
    erasure_list.create()
    for _ in erasure.erase_again(at=now):
        yield 0
    while ids := erasure_list.unscrubbed()[:SCRUBBED_AT_ONCE]:
        for _ in erasure.scrub(*ids, deadline=deadline):
            yield 0
        erasure_list.note(Happened.SCRUBBED, *ids, at=now)
        yield len(ids)


STEPS: dict[str, Step] = {
    "early": apply_early_events,
    "places": place_changes,
    "deliveries": prune_deliveries,
    "changes": prune_changes,
    "sessions": delete_sessions,
    "logins": forget_login_attempts,
    "search": write_search_rows,
    "erasures": finish_erasures,
}
