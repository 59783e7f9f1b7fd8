"""Measure the statistics of a year, beside plain sqlite3 counting the same messages.

    .venv/bin/python -m bench.stats [--conversations 100000] [--runs 3]

Reads the large database of bench.inbox, where all conversations are of the last half year. Without a
limit of time: the service stops a reading after `MOST_SECONDS` of chat/statistics.py.
"""

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

from bench import inbox
from bench.report import Figure, table
from bench.service import ROOT, environment

MOST_SECONDS_A_MILLION = 5


def main() -> None:
    print(table(figures(parse_options())))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    _, url = inbox.kept_databases()
    nothing = inbox.parse_options(["--only", "no question"])
    inbox.times_of(url, options.conversations, nothing)  # `build` of bench.inbox makes the database
    rounds = [(read(url), floor(url)) for _ in range(options.runs)]
    messages = rounds[0][0][1]
    seconds = statistics.median(ours[0] for ours, _ in rounds)
    yield Figure(
        f"statistics of {messages:,} messages",
        f"{seconds:.1f} s",
        f"{statistics.median(plain for _, plain in rounds):.1f} s (sqlite3)",
        statistics.median(ours[0] / plain for ours, plain in rounds),
        f"≤ {MOST_SECONDS_A_MILLION} s a million",
        seconds / messages * 1_000_000 <= MOST_SECONDS_A_MILLION,
    )


def read(url: str) -> tuple[float, int]:
    """Return the seconds, and the number of messages in the period."""
    command = [sys.executable, "-c", TIMED]
    output = subprocess.check_output(command, cwd=ROOT, env=environment(url))
    seconds, messages = json.loads(output)
    return seconds, messages


TIMED = """
import json, time
import realmate.wsgi
from django.utils import timezone
from chat.statistics import read_statistics
began = time.perf_counter()
found = read_statistics(365, now=timezone.now())
print(json.dumps([time.perf_counter() - began, found.messages_sent + found.messages_received]))
"""


def floor(url: str) -> float:
    began = time.perf_counter()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        database.execute(
            "SELECT substr(timestamp, 1, 10), direction, count(*) FROM chat_message GROUP BY 1, 2"
        ).fetchall()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
