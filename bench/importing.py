"""Measure the import of a file of events, beside plain sqlite3 storing the same bodies.

    .venv/bin/python -m bench.importing [--conversations 10000] [--runs 3]

Each run imports about 12 events a conversation into an empty SQLite file. The floor reads each line as
JSON, and inserts its id and its body into one table with one index.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bench.report import Figure, table
from bench.service import ROOT, environment, manage
from chat.management.simulation.history import history

LEAST_A_SECOND = 5_000


def main() -> None:
    print(table(figures(parse_options())))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        events = written(folder / "events.jsonl", conversations=options.conversations)
        rounds = [(imported(folder), floor(folder)) for _ in range(options.runs)]
    ours = statistics.median(events / seconds for seconds, _ in rounds)
    yield Figure(
        f"import of {events:,} events",
        f"{ours:,.0f}/s",
        f"{statistics.median(events / seconds for _, seconds in rounds):,.0f}/s (sqlite3)",
        statistics.median(plain / seconds for seconds, plain in rounds),
        f"≥ {LEAST_A_SECOND:,}/s",
        ours >= LEAST_A_SECOND,
    )


def written(file: Path, *, conversations: int) -> int:
    """Write made-up conversations of half a year. Return the number of their events."""
    lines = [
        posting.body + b"\n"
        for _, posting in history(conversations=conversations, until=datetime.now(UTC), seed=1)
    ]
    file.write_bytes(b"".join(lines))
    return len(lines)


def imported(folder: Path) -> float:
    """Import into an empty database. Return the seconds of the command without its start."""
    database = folder / "bench.sqlite3"
    url = f"sqlite:///{database}"
    manage("migrate", "-v0", database_url=url)
    command = [sys.executable, "-c", TIMED, str(folder / "events.jsonl"), str(folder / "results")]
    seconds = subprocess.check_output(
        command, cwd=ROOT, env=environment(url), text=True, stderr=subprocess.DEVNULL
    )
    for path in (folder / "results", *folder.glob("bench.sqlite3*")):
        path.unlink()
    return float(seconds)


TIMED = """
import sys, time
import realmate.wsgi
from django.core.management import call_command
began = time.perf_counter()
call_command("import_events", sys.argv[1], results=sys.argv[2], yes=True)
print(time.perf_counter() - began)
"""


def floor(folder: Path) -> float:
    file = folder / "floor.sqlite3"
    began = time.perf_counter()
    with closing(sqlite3.connect(file)) as database, (folder / "events.jsonl").open("rb") as lines:
        database.execute("CREATE TABLE event (number INTEGER PRIMARY KEY, id TEXT, body BLOB)")
        database.execute("CREATE INDEX event_id ON event (id)")
        with database:
            rows = ((json.loads(line)["data"]["id"], line) for line in lines)
            database.executemany("INSERT INTO event (id, body) VALUES (?, ?)", rows)
    seconds = time.perf_counter() - began
    file.unlink()
    return seconds


if __name__ == "__main__":
    main()
