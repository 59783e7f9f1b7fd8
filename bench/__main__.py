"""Run all benches: `make bench`. Print their figures, and write them to bench/results.md.

    .venv/bin/python -m bench [--quick] [--print-only]

Takes about half an hour. The first run takes longer, because it builds a database of a million
messages, and keeps the file in bench/databases. --quick skips the benches with this database.

bench/results.md names the measured commit, so a checkout with uncommitted changes is refused.
--print-only measures such a checkout too, and does not write the file.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from tqdm import tqdm

from bench import detail, export, growth, importing, inbox, memory, poll, stats, webhook
from bench.report import Figure, table
from bench.service import ROOT, need_wrk

RESULTS = Path(__file__).parent / "results.md"
POSTGRESQL = os.environ.get(
    "BENCH_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/realmate_bench"
)


def main() -> None:
    options = parse_options()
    commit = None if options.print_only else measured_commit()
    figures: list[Figure] = []
    with tqdm(questions(quick=options.quick)) as bar:
        for name, ask in bar:
            bar.set_description(name)
            figures.extend(ask())
    print(table(figures))
    if commit:
        RESULTS.write_text(f"{heading(commit)}\n{table(figures)}\n")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without a million messages")
    parser.add_argument("--print-only", action="store_true", help="do not write bench/results.md")
    need_wrk(parser)
    return parser.parse_args()


def measured_commit() -> str:
    """Return the commit of the checkout. Exit if tracked files have changes, except for the results."""
    status = ["git", "status", "--porcelain", "--untracked-files=no"]
    others = ["--", ".", f":(exclude){RESULTS.relative_to(ROOT)}"]
    if changes := subprocess.check_output([*status, *others], cwd=ROOT, text=True):
        sys.exit(
            "Nothing was measured. bench/results.md names the measured commit, and these files "
            f"differ from it:\n{changes}Commit them first. "
            "Or use --print-only: it prints the figures, and does not write the file."
        )
    return subprocess.check_output(["git", "describe", "--always"], cwd=ROOT, text=True).strip()


def questions(*, quick: bool) -> list[tuple[str, Callable[[], Iterator[Figure]]]]:
    small: list[tuple[str, Callable[[], Iterator[Figure]]]] = [
        ("webhook", lambda: webhook.figures(webhook.parse_options([]))),
        ("PostgreSQL", postgresql),
        ("poll", lambda: poll.figures(poll.parse_options([]))),
        ("memory", lambda: memory.figures(memory.parse_options([]))),
        ("detail", lambda: detail.figures(detail.parse_options([]))),
        ("export", lambda: export.figures(export.parse_options([]))),
        ("import", lambda: importing.figures(importing.parse_options([]))),
    ]
    large: list[tuple[str, Callable[[], Iterator[Figure]]]] = [
        ("inbox", lambda: inbox.figures(inbox.parse_options([]))),
        ("statistics", lambda: stats.figures(stats.parse_options([]))),
        ("growth", lambda: growth.figures(growth.parse_options([]))),
    ]
    return small if quick else small + large


def postgresql() -> Iterator[Figure]:
    """Yield the webhook's figures with 1, 2 and 4 processes, on a database of their own."""
    with maintenance() as server:
        for processes in (1, 2, 4):
            server.execute(f'DROP DATABASE IF EXISTS "{name_of(POSTGRESQL)}"')
            server.execute(f'CREATE DATABASE "{name_of(POSTGRESQL)}"')
            options = [
                "--database",
                POSTGRESQL,
                "--processes",
                str(processes),
                "--connections",
                "16",
            ]
            yield from webhook.figures(webhook.parse_options(options))
        server.execute(f'DROP DATABASE "{name_of(POSTGRESQL)}"')


def maintenance() -> psycopg.Connection:
    try:
        return psycopg.connect(POSTGRESQL.rpartition("/")[0] + "/postgres", autocommit=True)
    except psycopg.OperationalError as error:
        sys.exit(f"no server answers at BENCH_POSTGRES_URL: {error}")


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


def heading(commit: str) -> str:
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    return (
        "# Results\n\n`make bench` wrote this. Compare the ratios: absolute figures differ by machine"
        f" and by hour.\n\n- commit: {commit}\n- when: {at}\n- machine: {machine}\n"
        f"- Python {platform.python_version()}\n"
    )


if __name__ == "__main__":
    main()
