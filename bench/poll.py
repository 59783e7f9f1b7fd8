"""Measure idle polls of the inbox a second, beside a Django view without middleware.

    .venv/bin/python -m bench.poll [--connections 16] [--seconds 5] [--rounds 3] [--processes 2]
                                   [--threads 128]

An open page polls every three seconds; idle means that nothing is new (204). A poll with a login
also looks up the session and the user. A poll without a login goes to an open server, as in
development. Polls and floor run in turns, and the share is of the floor in the same round. Needs
wrk (Debian: apt-get install wrk).
"""

import argparse
import re
import statistics
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from bench.report import Figure, requests_a_second, table
from bench.service import PROCESSES, THREADS, log_in, manage, need_wrk, serving, set_up

CONVERSATIONS = 200
LEAST_SHARE = 0.25
LEAST_SHARE_WITH_A_LOGIN = 0.10
OPEN = "bench.open"
FLOOR = "realmate.server bench.ok:application"


def main() -> None:
    print(table(figures(parse_options())))


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    workers = {"processes": options.processes, "threads": options.threads}
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        set_up(database)
        manage(
            "simulate", "--bulk", str(CONVERSATIONS), "--seed", "1", "--yes", database_url=database
        )
        cookie = log_in(database)
        with (
            serving(database, **workers) as service,
            serving(database, settings=OPEN, **workers) as open_service,
            serving(database, command=FLOOR, **workers) as floor,
        ):
            poll_of_list = poll_of(f"{open_service.address}/ui/")
            poll_of_thread = poll_of(first_thread(open_service.address))
            polls = {
                "list": (open_service.address + poll_of_list, "", LEAST_SHARE),
                "thread": (open_service.address + poll_of_thread, "", LEAST_SHARE),
                "thread with a login": (
                    service.address + poll_of_thread,
                    cookie,
                    LEAST_SHARE_WITH_A_LOGIN,
                ),
            }
            for name, (poll, held, least) in polls.items():
                rounds = [
                    compare(f"{floor.address}/ok/", poll, held, options)
                    for _ in range(options.rounds)
                ]
                yield figure_of(name, rounds, least)


def figure_of(name: str, rounds: list[tuple[float, float]], least: float) -> Figure:
    share = statistics.median(polls / ok for ok, polls in rounds)
    return Figure(
        f"idle poll of a {name}",
        f"{statistics.median(polls for _, polls in rounds):,.0f}/s",
        f'{statistics.median(ok for ok, _ in rounds):,.0f}/s ("ok")',
        share,
        f"≥ {least:.2f}",
        share >= least,
    )


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--threads", type=int, default=THREADS, help="of each process")
    need_wrk(parser)
    return parser.parse_args(arguments)


def first_thread(server: str) -> str:
    found = re.search(r'href="(/ui/[0-9a-f-]{36}/)', page_at(f"{server}/ui/"))
    assert found is not None
    return server + found[1]


def poll_of(address: str) -> str:
    """Return the path of the poll of the page at this address."""
    inputs = re.findall(r"<input [^>]*data-poll[^>]*>", page_at(address))
    held = {attribute("name", tag): attribute("value", tag) for tag in inputs}
    return f"/ui/fragments/poll/?{urlencode(held | {'rows': 50})}"


def attribute(name: str, tag: str) -> str:
    found = re.search(f'{name}="(.*?)"', tag)
    assert found is not None
    return found[1]


def page_at(address: str) -> str:
    with urllib.request.urlopen(address) as answer:
        html: str = answer.read().decode()
        return html


def compare(floor: str, poll: str, cookie: str, options: argparse.Namespace) -> tuple[float, float]:
    with urllib.request.urlopen(urllib.request.Request(poll, headers={"Cookie": cookie})) as answer:
        assert answer.status == 204, answer.status
    bounds = {"connections": options.connections, "seconds": options.seconds}
    return requests_a_second(floor, **bounds), requests_a_second(poll, cookie=cookie, **bounds)


if __name__ == "__main__":
    main()
