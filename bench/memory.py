"""Measure whether a worker under load stays as large as after half of the events.

    .venv/bin/python -m bench.memory [--events 1000000] [--processes 2] [--threads 128]

Uses a new SQLite file. A worker grows while threads start, each with a connection and a cache. A
leak would go on growing. Needs wrk (Debian: apt-get install wrk).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from bench import webhook
from bench.report import Figure, table
from bench.service import PROCESSES, THREADS, Service, need_wrk

LOAD_SECONDS = 10
LARGEST_GROWTH = 1.10


def main() -> None:
    print(table(figures(parse_options())))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--threads", type=int, default=THREADS, help="of each process")
    need_wrk(parser)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    with (
        tempfile.TemporaryDirectory() as folder,
        webhook.server(f"sqlite:///{Path(folder) / 'bench.sqlite3'}", options) as service,
        tqdm(total=options.events, unit=" events") as bar,
    ):
        feed(service, bar, until=options.events / 2)
        half, size_at_half = bar.n, service.memory_mib()
        feed(service, bar, until=options.events)
        size = service.memory_mib()
    yield Figure(
        f"memory of a worker after {bar.n:,.0f} events",
        f"{size:.0f} MiB",
        f"{size_at_half:.0f} MiB ({half:,.0f})",
        size / size_at_half,
        f"≤ {LARGEST_GROWTH:.2f}",
        size / size_at_half <= LARGEST_GROWTH,
    )


def feed(service: Service, bar: "tqdm[None]", *, until: float) -> None:
    """Load the service until this number of events. Exits if an event is refused, or none answered."""
    while bar.n < until:
        load = webhook.wrk(service.address, 16, LOAD_SECONDS)
        if load["refused"] or not load["answered"]:
            sys.exit(f"answered {load['answered']}, not 2xx {load['refused']}")
        bar.set_postfix_str(f"{service.memory_mib():.0f} MiB")
        bar.update(load["answered"])


if __name__ == "__main__":
    main()
