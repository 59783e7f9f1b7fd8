"""Measure NEW_MESSAGE events a second at the webhook, each answered after a durable commit.

    .venv/bin/python -m bench.webhook [--connections 16 64] [--seconds 8] [--rounds 3]
                                      [--processes 2] [--threads 128] [--database URL]

The same run measures the floor: one thread writes the same rows with plain sqlite3, or with psycopg
if --database names a PostgreSQL database. Name a new database, because the bench fills the tables.
Needs wrk (Debian: apt-get install wrk).
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from bench.report import Figure, table
from bench.service import PROCESSES, ROOT, THREADS, Service, need_wrk, serving, set_up

CONVERSATIONS = 100
LEAST_RATIO, SLOWEST_P99_MS, SLOWEST_MS = 0.30, 25, 1_000


def main() -> None:
    print(table(figures(parse_options())))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--threads", type=int, default=THREADS, help="of each process")
    parser.add_argument("--database", default="", help="URL; a new SQLite file unless given")
    need_wrk(parser)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        for connections in options.connections:
            rounds = [measured(url, connections, options) for _ in range(options.rounds)]
            yield figure_of(rounds, connections, options)


def measured(url: str, connections: int, options: argparse.Namespace) -> dict[str, float]:
    """Measure the webhook under load, then the floor. Exits if an acknowledged event is missing."""
    with server(url, options) as service:
        before = count_messages(url)
        load = wrk(service.address, connections, options.seconds)
        stored = count_messages(url) - before
    if stored < load["answered"] - load["refused"] or load["refused"]:
        sys.exit(f"stored {stored}, answered {load['answered']}, not 2xx {load['refused']}")
    return load | {"rate": load["answered"] / load["seconds"], "floor": floor(url, seconds=2)}


def figure_of(
    rounds: list[dict[str, float]], connections: int, options: argparse.Namespace
) -> Figure:
    def median(name: str) -> float:
        return statistics.median(round[name] for round in rounds)

    ratio = statistics.median(round["rate"] / round["floor"] for round in rounds)
    few = connections <= 16
    return Figure(
        f"webhook, {connections} connections, {options.processes} × {options.threads}",
        f"{median('rate'):,.0f}/s; p50 {median('p50_ms'):.0f}, p99 {median('p99_ms'):.0f}, "
        f"max {max(round['max_ms'] for round in rounds):.0f} ms",
        f"{median('floor'):,.0f}/s",
        ratio,
        f"≥ {LEAST_RATIO:.2f}, p99 ≤ {SLOWEST_P99_MS} ms" if few else f"max ≤ {SLOWEST_MS} ms",
        (ratio >= LEAST_RATIO and median("p99_ms") <= SLOWEST_P99_MS)
        if few
        else max(round["max_ms"] for round in rounds) <= SLOWEST_MS,
    )


# The load


@contextmanager
def server(url: str, options: argparse.Namespace) -> Iterator[Service]:
    """Run the production server with 100 conversations."""
    set_up(url)
    workers = {"processes": options.processes, "threads": options.threads}
    with serving(url, **workers) as service:
        open_conversations(service.address)
        yield service


def open_conversations(address: str) -> None:
    """Open the conversations of the load."""
    for number in range(CONVERSATIONS):
        open_conversation(address, number)


def open_conversation(address: str, number: int) -> None:
    event = {
        "type": "NEW_CONVERSATION",
        "timestamp": "2025-02-21T10:20:41",
        "data": {"id": f"00000000-0000-4000-8000-{number:012x}"},
    }
    headers = {"Content-Type": "application/json"}
    body = json.dumps(event).encode()
    urllib.request.urlopen(urllib.request.Request(f"{address}/webhook/", body, headers)).close()


def wrk(address: str, connections: int, seconds: int) -> dict[str, float]:
    """Send the load. Ids begin with a number of this run, so that a database takes several runs."""
    run = f"{int(time.time() * 10) % 16**6:06x}"
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", ROOT / "bench/webhook.lua"]
    command += [f"{address}/webhook/", "--", str(CONVERSATIONS), run]
    output = subprocess.check_output(command, text=True)
    load: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return load


# The stored rows, and the floor


@contextmanager
def connected(url: str) -> Iterator[Any]:
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as file:
            file.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            yield file
    else:
        with closing(psycopg.connect(url, autocommit=True)) as database:
            yield database


def count_messages(url: str) -> int:
    with connected(url) as database:
        count: int = database.execute("SELECT count(*) FROM chat_message").fetchone()[0]
        return count


def floor(url: str, *, seconds: float) -> float:
    """Return events a second: find the conversation, write message, conversation, delivery, commit."""
    with connected(url) as database:
        (id,) = database.execute("SELECT id FROM chat_conversation LIMIT 1").fetchone()
        started, number = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            number += 1
            write_event(database, id, uuid4().hex)
        return number / (time.perf_counter() - started)


def write_event(database: Any, conversation: object, message: str) -> None:
    at = "2025-02-21 10:20:42.000000+00"
    begin, mark, lock = (
        ("BEGIN IMMEDIATE", "?", "")
        if isinstance(database, sqlite3.Connection)
        else ("BEGIN", "%s", " FOR UPDATE")
    )

    def execute(statement: str, *values: object) -> Any:
        return database.execute(statement.replace("?", mark), values)

    execute(begin)
    execute(f"SELECT * FROM chat_conversation WHERE id = ?{lock}", conversation).fetchone()
    execute(
        "INSERT INTO chat_message (id, direction, content, timestamp, received_at, late,"
        " conversation_id) VALUES (?, 'SENT', 'Olá', ?, ?, ?, ?)",
        *(message, at, at, False, conversation),
    )
    execute(
        "UPDATE chat_conversation SET revision = revision + 1, activity_at = ? WHERE id = ?",
        *(at, conversation),
    )
    execute(
        "INSERT INTO chat_delivery (received_at, type, conversation_id, message_id, timestamp, body,"
        " outcome, code, request_id, webhook_id)"
        " VALUES (?, 'NEW_MESSAGE', ?, ?, ?, ?, 'applied', '', ?, '')",
        *(at, conversation, message, at, b"{}" * 120, message),
    )
    execute("COMMIT")


if __name__ == "__main__":
    main()
