"""The list of erasures: a file outside the database, because a restore undoes what is inside.

It holds ids and times, and no text. A line is written before its erasure is committed, so the list may
name an erasure that failed, and never misses one.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection

from chat.upkeep.backup import sync


@dataclass(frozen=True, slots=True)
class Erasure:
    """One line of the list. `is_scrubbed`: old text is gone from the files too."""

    id: UUID
    at: datetime
    is_scrubbed: bool = False


def path() -> Path:
    """Return ERASURES_FILE, or the path beside SQLite's database file."""
    if settings.ERASURES_FILE:
        return Path(settings.ERASURES_FILE)
    if connection.vendor == "sqlite":
        return Path(f"{connection.settings_dict['NAME']}-erasures")
    return Path(settings.BASE_DIR) / "erasures.jsonl"


def add(erasure: Erasure) -> None:
    """Append a line, and return when it is on disk. Raises OSError."""
    line = {
        "conversation": str(erasure.id),
        "at": erasure.at.isoformat(),
        "scrubbed": erasure.is_scrubbed,
    }
    file = path()
    is_new = not file.exists()
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # The line break first: a crash may have cut the last line short.
        os.write(descriptor, b"\n" + json.dumps(line).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync(file.parent)


def listed() -> list[Erasure]:
    """Return the conversations that were erased, the first one first, each with its latest state.

    A line that a crash cut short is left out: its erasure was not committed. Raises OSError.
    """
    found: dict[UUID, Erasure] = {}
    if not path().exists():
        return []
    for line in path().read_bytes().splitlines():
        try:
            entry = json.loads(line)
            id, at = UUID(entry["conversation"]), datetime.fromisoformat(entry["at"])
        except (ValueError, KeyError, TypeError):
            continue
        first = found.get(id)
        is_scrubbed = entry.get("scrubbed", False)
        found[id] = Erasure(id, first.at if first else at, is_scrubbed=is_scrubbed)
    return list(found.values())
