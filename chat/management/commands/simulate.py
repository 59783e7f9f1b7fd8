"""Simulate conversations: post them to a running server as a sender would, or load many at once."""

import json
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError, InvalidHeader, LocationParseError
from urllib3.util import parse_url

from chat.events.bulk import ingest_many, tuned_for_loading
from chat.management.maintenance import find_database
from chat.management.progress import above_the_bar, progress
from chat.management.rehearsal import NOTHING_DONE, add_yes, database_errors_named
from chat.management.simulation import Posting, postings, utc_now
from chat.management.simulation.history import history
from chat.signatures import configured, new_webhook_id, signed

DEFAULT_URL = "http://127.0.0.1:8000/webhook/"
RATE = 5.0
LIVE = 8
DEFAULTS: dict[str, Any] = {"url": DEFAULT_URL, "rate": RATE, "conversations": LIVE}
SLOWEST_RATE = 0.01
MOST_CONVERSATIONS = 10_000
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 3_600.0


class Command(BaseCommand):
    help = (
        "Post simulated customer-service conversations to a running server, signed if "
        "WEBHOOK_SECRETS is set: openings, messages, closings, and now and then a duplicate, a late "
        "or early message, or a message after the closing. Open /ui/ and watch. With --bulk: write "
        "months of conversations into the database at once."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--url", help=f"the webhook, or its host:port ({DEFAULT_URL})")
        add("--rate", type=float, help=f"events a second ({RATE:g}); 0: without a limit")
        add("--count", type=int, help="stop after this many events (never, until Ctrl+C)")
        add("--conversations", type=int, help=f"conversations at the same time ({LIVE})")
        add(
            "--bulk",
            type=int,
            metavar="N",
            help="instead of posting: write N conversations of the last months, about 11 messages "
            "each, straight into the database of DATABASE_URL",
        )
        add(
            "--seed",
            type=int,
            help="repeat the conversations and ids of another run with this seed; a database with "
            "these conversations refuses them as id_conflict",
        )
        add_yes(parser, why="--bulk outside DEBUG: ")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["bulk"] is None:
            self.post(options)
        else:
            self.load(options)

    def post(self, options: dict[str, Any]) -> None:
        chosen = DEFAULTS | {name: options[name] for name in DEFAULTS if options[name] is not None}
        url, rate, live = webhook_url(chosen["url"]), chosen["rate"], chosen["conversations"]
        count = options["count"]
        check(rate == 0 or SLOWEST_RATE <= rate < math.inf, f"--rate is 0 or from {SLOWEST_RATE}")
        check(count is None or count >= 1, "--count is at least 1")
        check(1 <= live <= MOST_CONVERSATIONS, f"--conversations is from 1 to {MOST_CONVERSATIONS}")
        stream = postings(conversations=live, seed=options["seed"])
        tally = Tally()
        with suppress(KeyboardInterrupt):  # the way to end an endless run
            self.post_all(paced(islice(stream, count), rate), url, tally, total=count)
        self.stdout.write(tally.summary())

    def load(self, options: dict[str, Any]) -> None:
        conversations = options["bulk"]
        check(conversations >= 1, "--bulk is at least 1")
        for name in ("url", "rate", "count", "conversations"):
            check(options[name] is None, f"--{name} is for posting, and --bulk posts nothing")
        self.stderr.write(find_database())
        if not (settings.DEBUG or options["yes"]):
            self.stdout.write(f"{conversations} made-up conversations would be written into it.")
            self.stdout.write(NOTHING_DONE)
            return
        stream = history(conversations=conversations, until=utc_now(), seed=options["seed"])
        tally = Tally()
        # Loaded batches stay after an interruption.
        with database_errors_named(), tuned_for_loading(), suppress(KeyboardInterrupt):
            self.load_all(stream, tally, total=conversations)
        self.stdout.write(tally.summary())

    def load_all(
        self, stream: Iterator[tuple[datetime, Posting]], tally: "Tally", *, total: int
    ) -> None:
        pending: deque[Posting] = deque()

        def deliveries() -> Iterator[tuple[bytes, datetime]]:
            for received_at, posting in stream:
                pending.append(posting)
                yield posting.body, received_at

        with progress(total=total, unit=" conversations") as bar:
            for result in ingest_many(deliveries()):
                posting = pending.popleft()
                answer = Answer(code=result.code or result.outcome.value)
                if tally.count_in(posting, answer):
                    self.warn(f"unexpected: {answer} to {posting.type}, not {posting.expected}")
                if (posting.type, answer.code) == ("NEW_CONVERSATION", "applied"):
                    bar.set_postfix(tally.figures(), refresh=False)
                    bar.update()

    def post_all(
        self, stream: Iterator[Posting], url: str, tally: "Tally", *, total: int | None
    ) -> None:
        with Sender(url, on_wait=self.warn) as sender, progress(total=total, unit=" events") as bar:
            for posting in stream:
                answer = sender.post(posting.body)
                if tally.count_in(posting, answer):
                    self.warn(f"unexpected: {answer} to {posting.type}, not {posting.expected}")
                bar.set_postfix(tally.figures(), refresh=False)
                bar.update()

    def warn(self, text: str) -> None:
        """Write a line above the progress bar."""
        with above_the_bar():
            self.stderr.write(text)


# Options


def check(right: bool, rule: str) -> None:
    if not right:
        raise CommandError(rule)


def webhook_url(text: str) -> str:
    """Return the whole URL, also for `host:port` or a server's root. Raises CommandError."""
    try:
        url = parse_url(text if "://" in text else f"http://{text}")
    except LocationParseError:
        raise CommandError(f"--url is not a URL: {text}") from None
    check(bool(url.host), f"--url names no host: {text}")
    check(url.scheme in ("http", "https"), f"--url is not http or https: {text}")
    path = url.path if url.path not in (None, "", "/") else "/webhook/"
    return url._replace(path=path, fragment=None).url


def paced(stream: Iterator[Posting], rate: float) -> Iterator[Posting]:
    """Yield at most `rate` postings a second; 0 is no limit. No burst makes up for lost time."""
    interval = 1 / rate if rate else 0
    due = monotonic()
    for posting in stream:
        yield posting
        now = monotonic()
        due = max(due + interval, now)
        sleep(due - now)


# Sending


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer to an event. The code is the outcome, or the code of the refusal."""

    code: str
    status: int | None = None
    retried: bool = False

    def __str__(self) -> str:
        return f"HTTP {self.status} {self.code}".strip() if self.status else self.code


class Sender:
    """Delivers at least once, in order, over one kept connection."""

    def __init__(self, url: str, *, on_wait: Callable[[str], None]) -> None:
        self.url = url
        self.on_wait = on_wait
        self.was_answered = False
        self.http = PoolManager(maxsize=1, retries=False, timeout=Timeout(connect=5, read=60))

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.http.clear()

    def post(self, body: bytes) -> Answer:
        """Post until an answer is not 503. Raises CommandError if the server has never answered."""
        wait, tries, id = FIRST_WAIT_SECONDS, 1, new_webhook_id()
        while (response := self.try_to_post(body, id)) is None or response.status == 503:
            seconds = wait if response is None else retry_after(response, wait)
            reason = "no answer" if response is None else "HTTP 503"
            self.on_wait(f"{reason}; the same event again in {seconds:g} s")
            sleep(seconds)
            wait, tries = min(wait * 2, LONGEST_WAIT_SECONDS), tries + 1
        return Answer(code_in(response.data), response.status, retried=tries > 1)

    def try_to_post(self, body: bytes, id: str) -> BaseHTTPResponse | None:
        # Signed for every try, because a retry may come after the signature has expired.
        headers = signed(configured(), body, id=id)
        try:
            response = self.http.request(
                "POST", self.url, body=body, headers=headers, redirect=False
            )
        except HTTPError:
            check(
                self.was_answered,
                f"no server at {self.url}; start it with `make run`, or name another by --url",
            )
            return None
        self.was_answered = True
        return response


def retry_after(response: BaseHTTPResponse, otherwise: float) -> float:
    """Return seconds, from either form of the header (RFC 9110, section 10.2.3)."""
    try:
        seconds = Retry().get_retry_after(response)
    except InvalidHeader:
        seconds = None
    return otherwise if seconds is None else min(seconds, LONGEST_RETRY_AFTER_SECONDS)


def code_in(body: bytes) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    return str(document.get("outcome") or document.get("code") or "")


# Counting


@dataclass(slots=True)
class Tally:
    started: float = field(default_factory=monotonic)
    answers: Counter[str] = field(default_factory=Counter)
    surprises: Counter[str] = field(default_factory=Counter)
    open: int = 0

    def count_in(self, posting: Posting, answer: Answer) -> bool:
        """Count an answer. Return whether this is the first unexpected answer of its kind."""
        self.answers[answer.code or str(answer)] += 1
        if not is_expected(posting, answer):
            self.surprises[str(answer)] += 1
            return self.surprises[str(answer)] == 1
        if posting.expected == "applied":
            self.open += {"NEW_CONVERSATION": 1, "CLOSE_CONVERSATION": -1}.get(posting.type, 0)
        return False

    def figures(self) -> dict[str, int]:
        applied, duplicates = self.answers["applied"], self.answers["duplicate"]
        refused = self.answers.total() - applied - duplicates
        return {"open": self.open, "applied": applied, "duplicates": duplicates, "refused": refused}

    def summary(self) -> str:
        seconds, total = monotonic() - self.started, self.answers.total()
        lines = [f"{total} events in {seconds:.1f} s, {total / seconds:.1f} a second"]
        lines += [f"{number:>8}  {code}" for code, number in self.answers.most_common()]
        lines += [
            f"UNEXPECTED: {answer}, {number} times"
            for answer, number in self.surprises.most_common()
        ]
        return "\n".join(lines)


def is_expected(posting: Posting, answer: Answer) -> bool:
    """Whether the answer is expected. A retried event may be a duplicate, as an answer was lost."""
    if answer.retried and posting.expected == "applied" and answer.code == "duplicate":
        return True
    return answer.code == posting.expected
