"""The list of erasures, in a separate file: no backup contains the list, and no restore undoes it.

The file has a JSON line for each erasure and for each end of a scrub, with ids and no text.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection

from chat.models import Conversation
from chat.upkeep.backup import new_file
from realmate.sqlite.files import own_as


class Happened(StrEnum):
    ERASED = "erased"
    SCRUBBED = "scrubbed"


class NoPlace(Exception):
    """The list has no place: ERASURES_FILE is empty, and only SQLite's file has a folder for the list."""


def find_path() -> Path | None:
    """Return ERASURES_FILE, or a name beside SQLite's file. None if the list has no place."""
    if settings.ERASURES_FILE:
        return Path(settings.ERASURES_FILE)
    if connection.vendor == "sqlite":
        return Path(f"{connection.settings_dict['NAME']}-erasures")
    return None


def read() -> dict[UUID, bool]:
    """Return each id of the list, the oldest first, with whether its scrub has ended.

    Skips a line torn by a power cut, because its erasure was never committed. Raises OSError.
    """
    path = find_path()
    if path is None or not path.exists():
        return {}
    erasures = {}
    for line in path.read_bytes().splitlines():
        with suppress(ValueError, TypeError, KeyError):
            entry = json.loads(line)
            erasures[UUID(entry["id"])] = Happened(entry["what"]) is Happened.SCRUBBED
    return erasures


def unscrubbed() -> list[UUID]:
    return [id for id, is_scrubbed in read().items() if not is_scrubbed]


def note(what: Happened, *ids: UUID, at: datetime) -> None:
    """Append to the list, on disk when this returns. Raises NoPlace, and OSError."""
    create()
    append(b"".join(line_of(id, what, at) for id in ids))


def create() -> None:
    """Create a missing file, with the erasures in the database.

    These are erasures by versions without the list. Raises NoPlace, and OSError.
    """
    path = find_path()
    if path is None:
        raise NoPlace
    if path.exists():
        return
    erased = Conversation.objects.exclude(erased_at=None).values_list("pk", "erased_at")
    with suppress(FileExistsError), new_file(path) as partial, partial.open("wb") as file:
        own_as(partial, path.parent)  # `upkeep` of the service's user appends to the list
        file.writelines(both_lines_of(erased.order_by("erased_at").iterator()))


def both_lines_of(erased: Iterable[tuple[UUID, datetime | None]]) -> Iterable[bytes]:
    for id, at in erased:
        if at:
            yield line_of(id, Happened.ERASED, at)
            yield line_of(id, Happened.SCRUBBED, at)


def line_of(id: UUID, what: Happened, at: datetime) -> bytes:
    return json.dumps({"id": str(id), "what": what, "at": at.isoformat()}).encode() + b"\n"


def append(lines: bytes) -> None:
    """Begin with an empty line, because a power cut may have left half a line at the end."""
    path = find_path()
    assert path is not None  # noqa: S101 - `create` has raised NoPlace
    with path.open("ab") as file:
        file.write(b"\n" + lines)
        file.flush()
        os.fsync(file.fileno())
