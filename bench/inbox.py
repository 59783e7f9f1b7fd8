"""Measure whether the inbox is as fast with 100,000 conversations as with 1,000.

    .venv/bin/python -m bench.inbox [--conversations 100000] [--runs 30]
                                    [--databases URL URL] [--only search]

Builds two databases with `simulate --bulk`, each with one more conversation of 10,000 messages.
Requests each page in process, with the production settings, and prints medians. ✗ marks a page
over 50 ms, or over 1.5 times as slow with many conversations as with few.

Keeps the databases in bench/databases. --databases takes a small and a large database instead, and
builds them if they are empty: sqlite:////path/to/file or postgres://…/name of an existing database.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.report import Figure, table
from bench.service import ROOT, environment, manage, set_up

KEPT = Path(__file__).parent / "databases"
FEW = 1_000
SLOWEST_MS, LARGEST_RATIO = 50, 1.5
LONG = UUID("00000000-0000-4000-8000-000000010000")
MESSAGES_OF_THE_LONG_ONE = 10_000
# The rows before a deep page, as a share of all.
DEPTH = 0.9

# Medians in milliseconds, by question.
Times = dict[str, float]


def main() -> None:
    options = parse_options()
    if options.measure:
        json.dump(measured(options), sys.stdout)
        return
    found = list(figures(options))
    print(table(found))
    sys.exit(0 if all(figure.reached for figure in found) else 1)


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--databases", nargs=2, metavar="URL")
    parser.add_argument("--only", default="", help="only pages with this text in their name")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    small, large = options.databases or kept_databases()
    few = times_of(small, FEW, options)
    many = times_of(large, options.conversations, options)
    for name in few:
        ratio = many[name] / few[name]
        yield Figure(
            f"{name}, {options.conversations:,} conversations",
            f"{many[name]:.1f} ms",
            f"{few[name]:.1f} ms ({FEW:,})",
            ratio,
            f"≤ {LARGEST_RATIO}, ≤ {SLOWEST_MS} ms",
            many[name] <= SLOWEST_MS and ratio <= LARGEST_RATIO,
        )


def kept_databases() -> tuple[str, str]:
    """Return the URLs of the small and the large database. The first question builds them."""
    KEPT.mkdir(exist_ok=True)
    return f"sqlite:///{KEPT / 'few.sqlite3'}", f"sqlite:///{KEPT / 'many.sqlite3'}"


# Building, with a process for each database, because a process of Django keeps to one database


def times_of(database_url: str, conversations: int, options: argparse.Namespace) -> Times:
    set_up(database_url)
    command = [sys.executable, "-m", "bench.inbox", "--measure", str(conversations)]
    command += ["--runs", str(options.runs), "--only", options.only]
    output = subprocess.check_output(command, cwd=ROOT, env=environment(database_url))
    times: Times = json.loads(output)
    return times


def build(conversations: int) -> None:
    """Build the database, unless the file exists already."""
    from chat.events.bulk import ingest_many
    from chat.models import Conversation

    if not Conversation.objects.exclude(id=LONG).exists():
        load = ("simulate", "--bulk", str(conversations), "--seed", "1", "--yes")
        manage(*load, database_url=os.environ["DATABASE_URL"])
    if not Conversation.objects.filter(id=LONG).exists():
        for result in ingest_many(long_conversation()):
            assert result.outcome == "applied"


def long_conversation() -> Iterator[tuple[bytes, datetime]]:
    """Yield events of the last 90 days. Only the 100th message has the rare word of the search."""
    at = datetime.now(UTC) - timedelta(days=90)
    yield event("NEW_CONVERSATION", at, id=str(LONG))
    for number in range(MESSAGES_OF_THE_LONG_ONE):
        at += timedelta(minutes=5)
        yield event(
            "NEW_MESSAGE",
            at,
            id=message_id(number),
            conversation_id=str(LONG),
            direction="RECEIVED" if number % 3 else "SENT",
            content=f"Mensagem {number} {'otorrinolaringologista' if number == 99 else 'de novo'}",
        )


def message_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000010000"


def event(type: str, at: datetime, **data: str) -> tuple[bytes, datetime]:
    timestamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return json.dumps({"type": type, "timestamp": timestamp, "data": data}).encode(), at


# Measuring


def measured(options: argparse.Namespace) -> Times:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realmate.settings")
    django.setup()
    build(options.measure)
    chosen = {name: ask for name, ask in questions().items() if options.only in name}
    return {name: median_ms(ask, options.runs) for name, ask in chosen.items()}


def median_ms(ask: Callable[[], object], runs: int) -> float:
    ask()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1_000


def questions() -> dict[str, Callable[[], object]]:
    """Return the measured requests by name. A new page needs one line here."""
    from chat.models import Filter

    get = reader()
    pages = {
        "inbox": "/ui/",
        "inbox, a deep page": f"/ui/?cursor={deep_cursor()}",
        **{f"inbox, {filter.value}": f"/ui/?filter={filter.value}" for filter in Filter},
        "thread of 10,000": f"/ui/{LONG}/",
        "thread, an old page": f"/ui/{LONG}/?message={message_id(500)}",
        "thread, its page before": f"/ui/fragments/thread/{LONG}/?before={message_id(9_950)}",
        "search, a common word": "/ui/search/?q=pedido",
        "search, a rare word": "/ui/search/?q=otorrinolaringologista",
        "search, a common prefix": "/ui/search/?q=p",
        "messages, a word and filters": "/messages?q=pedido&state=OPEN&direction=SENT",
        "messages, none that fits": "/messages?state=OPEN&to=1980-01-01T00:00:00Z",
    }
    return {
        **{name: get(url) for name, url in pages.items()},
        "poll, nothing new": get(idle_poll(get), HTTPStatus.NO_CONTENT),
    }


def reader() -> Callable[..., Callable[[], Any]]:
    """Return a function from a URL to a request with an agent's session."""
    from django.test import Client

    from chat.models import User

    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.get_or_create(username="bench")[0])

    def get(url: str, status: int = HTTPStatus.OK) -> Callable[[], Any]:
        def ask() -> Any:
            answer = client.get(url)
            assert answer.status_code == status, f"{answer.status_code} to {url}"
            return answer

        return ask

    return get


def deep_cursor() -> str:
    from chat.database.keyset import cursor_of
    from chat.models import Conversation, Filter, Sort, ordering_of

    ordering = ordering_of(Filter.ALL, Sort.LATEST)
    rows = Conversation.objects.order_by(*ordering)
    return cursor_of(rows[int(rows.count() * DEPTH)], ordering)


def idle_poll(get: Callable[..., Callable[[], Any]]) -> str:
    """Return the URL of a poll with the stamp and the number of rows of the page."""
    page = get("/ui/")().content.decode()
    stamp = re.search(r'name="stamp" value="([^"]+)"', page)
    assert stamp is not None
    return f"/ui/fragments/poll/?stamp={stamp[1]}&rows=50"


if __name__ == "__main__":
    main()
