"""How many NEW_MESSAGE events a second the webhook takes in, each in a durable commit of its own.

    .venv/bin/python -m bench.webhook [--connections 16] [--seconds 10] [--processes 2]

Beside it, in the same run, its floor: one thread that writes the same rows with plain sqlite3.
Needs wrk (Debian: apt-get install wrk). Figures are ratios to the floor: machines are noisy.
"""

import argparse
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

CONVERSATIONS = 100
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "bench.sqlite3"
        with server(database, processes=options.processes) as url:
            figures = load(url, options.connections, options.seconds)
        stored = count_messages(database)
        floor = plain_sqlite(database, seconds=3)
    taken_in = figures["answered"] / figures["seconds"]
    print(f"webhook  {taken_in:7.0f} events/s  p50 {figures['p50_ms']:.1f} ms", end="  ")
    print(f"p99 {figures['p99_ms']:.1f} ms  max {figures['max_ms']:.0f} ms")
    print(f"sqlite3  {floor:7.0f} events/s  ratio {taken_in / floor:.2f}")
    print(f"stored {stored}, answered {figures['answered']}, not 2xx {figures['refused']}")
    if stored < figures["answered"] - figures["refused"]:
        sys.exit("an acknowledged event is not stored")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed (Debian: apt-get install wrk)")
    return parser.parse_args()


@contextmanager
def server(database: Path, *, processes: int) -> Iterator[str]:
    """The production server on a free port, with a database of its own and 100 conversations."""
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{database}",
        "SECRET_KEY": "bench",
        "ALLOWED_HOSTS": "127.0.0.1",
        "WEBHOOK_ALLOW_UNSIGNED": "true",
        "GRANIAN_LOG_LEVEL": "warning",
    }
    manage = [sys.executable, ROOT / "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, check=True)
    subprocess.run([*manage, "collectstatic", "--noinput", "-v0"], env=environment, check=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    granian = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
    granian += ["--port", str(port), "--workers", str(processes), "--blocking-threads", "16"]
    granian += ["--backpressure", "64", "realmate.wsgi:application"]
    process = subprocess.Popen(granian, cwd=ROOT, env=environment)
    try:
        wait_for(f"{url}/readyz")
        for number in range(CONVERSATIONS):
            open_conversation(url, number)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} does not answer")


def open_conversation(url: str, number: int) -> None:
    event = {
        "type": "NEW_CONVERSATION",
        "timestamp": "2025-02-21T10:20:41",
        "data": {"id": f"00000000-0000-4000-8000-{number:012x}"},
    }
    headers = {"Content-Type": "application/json"}
    body = json.dumps(event).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}/webhook/", body, headers)).close()


def load(url: str, connections: int, seconds: int) -> dict[str, float]:
    wrk = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "-s", ROOT / "bench/webhook.lua"]
    output = subprocess.check_output([*wrk, f"{url}/webhook/", "--", str(CONVERSATIONS)], text=True)
    figures: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return figures


def count_messages(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        count: int = connection.execute("SELECT count(*) FROM chat_message").fetchone()[0]
        return count


def plain_sqlite(database: Path, *, seconds: float) -> float:
    """Events a second: look the conversation up, write message, conversation and delivery, commit."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        (id,) = connection.execute("SELECT id FROM chat_conversation LIMIT 1").fetchone()
        started, number = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            number += 1
            write_event(connection, id, f"f{number:031x}")
        return number / (time.perf_counter() - started)


def write_event(connection: sqlite3.Connection, conversation: str, message: str) -> None:
    at = "2025-02-21 10:20:42.000000"
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("SELECT * FROM chat_conversation WHERE id = ?", [conversation]).fetchone()
    connection.execute(
        "INSERT INTO chat_message (id, direction, content, timestamp, received_at, late,"
        " conversation_id) VALUES (?, 'SENT', 'Olá', ?, ?, 0, ?)",
        [message, at, at, conversation],
    )
    connection.execute(
        "UPDATE chat_conversation SET revision = revision + 1, activity_at = ? WHERE id = ?",
        [at, conversation],
    )
    connection.execute(
        "INSERT INTO chat_delivery (received_at, type, conversation_id, message_id, timestamp, body,"
        " outcome, code, request_id, webhook_id) VALUES (?, 'NEW_MESSAGE', ?, ?, ?, ?, 'applied', '', ?, '')",
        [at, conversation, message, at, b"{}" * 120, message],
    )
    connection.execute("COMMIT")


if __name__ == "__main__":
    main()
