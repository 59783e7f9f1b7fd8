"""`GET /changes`: the changes of conversations, for programs that follow them."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from time import monotonic

from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api import examples
from chat.api.described import Tag, read
from chat.api.query_parameters import ChangeParameters
from chat.api.reads import Read, with_next
from chat.api.serializers import changes_out
from chat.models import Change, Cursor, current_generation, place_new_changes
from chat.refusals import BadParameters, CursorExpired, FieldError
from realmate import stopping
from realmate.postgresql.base import a_request

INVALID_AFTER = FieldError(
    "/after", "invalid_cursor", "Must be `next` of an earlier answer, or now."
)
NOW = "now"
# Each waiting request keeps a thread. The webhook needs the others (GRANIAN_BLOCKING_THREADS).
MOST_WAITING = 16
SECONDS_BETWEEN_LOOKS = 0.5

waiting = BoundedSemaphore(MOST_WAITING)


class Changes(Read):
    """The changes after a cursor, in the same order for all readers."""

    described = read(
        "listChanges",
        Tag.CHANGES,
        examples.CHANGES,
        codes=("bad_request", "cursor_expired"),
        parameters=ChangeParameters,
        headers=("Link",),
    )

    def get(self, request: Request) -> HttpResponse:
        parameters = ChangeParameters.read(request.query_params)
        place_new_changes()
        generation = current_generation()
        start = start_of(parameters.after, generation)
        changes = changes_from(start, parameters.limit)
        refuse_if_missed(start)
        if not changes and parameters.wait and request.method == "GET":
            changes = wait_for_changes(start, parameters.limit, seconds=parameters.wait)
        last = (changes[-1].place or 0) if changes else max(0, start - 1)
        next = str(Cursor(generation, last))
        return with_next(request, Response(changes_out(changes, next=next)), after=next)


def start_of(after: str, generation: str) -> int:
    """Return the place where the answer begins: 0 for the oldest change.

    Raises BadParameters, and CursorExpired for a cursor of another generation.
    """
    if not after:
        return 0
    if after == NOW:
        return Change.objects.bounds()[1] + 1
    cursor = Cursor.parse(after)
    if cursor is None:
        raise BadParameters(INVALID_AFTER)
    if cursor.generation != generation:
        raise CursorExpired
    return cursor.place + 1


def refuse_if_missed(start: int) -> None:
    """Raise CursorExpired if changes from this place on were pruned, BadParameters if none was ever here.

    Called after the read, because a prune may come in between.
    """
    first, last = Change.objects.bounds()
    if 0 < start < first:
        raise CursorExpired
    if start > last + 1:
        raise BadParameters(INVALID_AFTER)


def changes_from(start: int, limit: int) -> list[Change]:
    return list(Change.objects.between(start)[:limit])


def wait_for_changes(start: int, limit: int, *, seconds: int) -> list[Change]:
    """Return the next changes as soon as there are some, or none after `seconds`.

    A stop of the server ends the wait. Without room to wait the answer comes at once.
    """
    until = monotonic() + seconds
    changes: list[Change] = []
    with room_to_wait() as has_room:
        while has_room and not changes and (left := until - monotonic()) > 0:
            connection.close_if_unusable_or_obsolete()
            if stopping.wait(min(left, SECONDS_BETWEEN_LOOKS)):
                break
            with a_request(
                seconds=settings.DATABASE_SECONDS
            ):  # each look has the time of a request
                place_new_changes()
                changes = changes_from(start, limit)
    return changes


@contextmanager
def room_to_wait() -> Iterator[bool]:
    """Yield whether one more request of this process may wait."""
    has_room = waiting.acquire(blocking=False)
    try:
        yield has_room
    finally:
        if has_room:
            waiting.release()
