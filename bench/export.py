"""Measure the export of all messages, beside plain sqlite3 writing the same lines.

    .venv/bin/python -m bench.export [--conversations 10000] [--runs 3]

Both read the same SQLite file, in turns, and write a file. The floor is one SELECT whose json_object
makes each line. Builds a database of about 11 messages a conversation.
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
from pathlib import Path

from bench.report import Figure, table
from bench.service import ROOT, environment, set_up

MOST_TIMES = 5
INSTANT = "substr({0}, 1, 10) || 'T' || substr({0} || '.000000', 12, 15) || 'Z'"
ID = (
    "substr({0}, 1, 8) || '-' || substr({0}, 9, 4) || '-' || substr({0}, 13, 4) || '-' || "
    "substr({0}, 17, 4) || '-' || substr({0}, 21)"
)
LINES = f"""
    SELECT json_object('cursor', '%s-' || arrival, 'id', {ID.format("id")},
        'conversation_id', {ID.format("conversation_id")}, 'direction', direction,
        'content', content, 'timestamp', {INSTANT.format("timestamp")},
        'received_at', {INSTANT.format("received_at")})
    FROM chat_message ORDER BY arrival
"""


def main() -> None:
    print(table(figures(parse_options())))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        database, out = Path(folder) / "bench.sqlite3", Path(folder) / "messages.jsonl"
        url = f"sqlite:///{database}"
        set_up(url)
        manage(url, "simulate", "--bulk", str(options.conversations), "--seed", "1", "--yes")
        rounds = [(exported(url, out), floor(database, out)) for _ in range(options.runs)]
    messages = rounds[0][0][1]
    assert all(count == messages for pair in rounds for _, count in pair), rounds
    ratio = statistics.median(ours[0] / plain[0] for ours, plain in rounds)
    yield Figure(
        f"export of {messages:,} messages",
        f"{statistics.median(ours[0] for ours, _ in rounds):.1f} s",
        f"{statistics.median(plain[0] for _, plain in rounds):.1f} s (sqlite3)",
        ratio,
        f"≤ {MOST_TIMES} × the time",
        ratio <= MOST_TIMES,
    )


def manage(url: str, *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment(url), check=True, capture_output=True)


def exported(url: str, out: Path) -> tuple[float, int]:
    """Return the seconds of the command without its start, and the number of lines."""
    command = [sys.executable, "-c", TIMED, str(out)]
    seconds = subprocess.check_output(
        command, cwd=ROOT, env=environment(url), text=True, stderr=subprocess.DEVNULL
    )
    return float(seconds), lines_of(out)


TIMED = """
import sys, time
import realmate.wsgi
from django.core.management import call_command
began = time.perf_counter()
call_command("export_messages", sys.argv[1])
print(time.perf_counter() - began)
"""


def floor(database: Path, out: Path) -> tuple[float, int]:
    began = time.perf_counter()
    with sqlite3.connect(database) as connection, out.open("w") as file:
        (key,) = connection.execute(
            "SELECT key FROM chat_generation ORDER BY id DESC LIMIT 1"
        ).fetchone()
        file.writelines(f"{line}\n" for (line,) in connection.execute(LINES % key))
    return time.perf_counter() - began, lines_of(out)


def lines_of(out: Path) -> int:
    """Return the number of lines, and delete the file. The last one is JSON."""
    lines = out.read_bytes().splitlines()
    json.loads(lines[-1])
    out.unlink()
    return len(lines)


if __name__ == "__main__":
    main()
