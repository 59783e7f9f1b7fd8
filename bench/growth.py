"""Measure whether the webhook is as fast with a million stored messages as with few.

    .venv/bin/python -m bench.growth [--rounds 3] [--seconds 10]

Loads two SQLite files in turns, with about 20,000 and 1,150,000 messages. They are built once, and
kept in bench/databases. Needs wrk (Debian: apt-get install wrk).
"""

import argparse
import statistics
from collections.abc import Iterator

from bench import inbox, webhook
from bench.report import Figure, table

MANY = 100_000
LARGEST_LOSS = 0.15


def main() -> None:
    print(table(figures(parse_options())))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    few, many = inbox.kept_databases()
    build(few, inbox.FEW)
    build(many, MANY)
    load = webhook.parse_options(["--seconds", str(options.seconds)])
    rounds = [(rate(few, load), rate(many, load)) for _ in range(options.rounds)]
    ratio = statistics.median(large / small for small, large in rounds)
    yield Figure(
        f"webhook, {webhook.count_messages(many):,} messages stored",
        f"{statistics.median(large for _, large in rounds):,.0f}/s",
        f"{statistics.median(small for small, _ in rounds):,.0f}/s ({webhook.count_messages(few):,})",
        ratio,
        f"≥ {1 - LARGEST_LOSS:.2f}",
        ratio >= 1 - LARGEST_LOSS,
    )


def build(url: str, conversations: int) -> None:
    inbox.times_of(url, conversations, inbox.parse_options(["--only", "no question"]))


def rate(url: str, load: argparse.Namespace) -> float:
    return webhook.measured(url, 16, load)["rate"]


if __name__ == "__main__":
    main()
