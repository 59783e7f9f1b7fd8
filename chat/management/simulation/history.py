"""Months of customer service at once: the same conversations, each with a clock that jumps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush, heapreplace
from random import Random

from chat.management.simulation import POSTED_AGAIN, Posting, conversation

DAYS = 180
# How busy each hour of a day in UTC is: Brasília's office hours and evening, three hours later.
BUSY = (8, 5, 2, 1, 1, 1, 1, 1, 2, 4, 8, 16, 24, 28, 26, 20, 22, 28, 28, 26, 22, 16, 12, 10)
# Between one event of a conversation and the next; a redelivery comes before that.
SHORTEST_PAUSE, MEAN_PAUSE, LONGEST_PAUSE = 2.0, 75.0, 600.0
ON_ITS_WAY = timedelta(seconds=0.3)
SENT_AGAIN_AFTER = timedelta(seconds=1)
# Enough for every conversation to have its opening before the end.
LAST_BEGINNING = timedelta(minutes=30)

Arrival = tuple[datetime, Posting]


def history(
    *, conversations: int, until: datetime, seed: int | None = None
) -> Iterator[tuple[datetime, Posting]]:
    """When each event was received, and what it was, in the order of arrival.

    So many conversations, begun within the last DAYS; what comes after `until` is left out. The
    same seed tells the same conversations with the same ids, whenever it is asked.
    """
    chance = Random(seed)
    live: list[tuple[datetime, int, Posting, Iterator[Arrival]]] = []
    beginnings = sorted(beginning(chance, until) for _ in range(conversations))
    for number, (begins, own_seed) in enumerate(beginnings):
        yield from arrivals(live, until=begins)
        story = told(begins, Random(own_seed))
        at, posting = next(story)
        heappush(live, (at, number, posting, story))
    yield from arrivals(live, until=until)


def beginning(chance: Random, until: datetime) -> tuple[datetime, int]:
    """When a conversation begins, and the seed that tells it."""
    latest = until.astimezone(UTC) - LAST_BEGINNING
    midnight = latest.replace(hour=0, minute=0, second=0, microsecond=0)
    days = chance.randrange(DAYS)
    (hour,) = chance.choices(range(24), BUSY)
    begins = midnight - timedelta(days=days) + timedelta(hours=hour + chance.random())
    return (begins if begins <= latest else begins - timedelta(days=1)), chance.getrandbits(64)


def arrivals(
    live: list[tuple[datetime, int, Posting, Iterator[Arrival]]], *, until: datetime
) -> Iterator[Arrival]:
    """Those of the live conversations, a heap by what comes next; told to the end, one leaves it."""
    while live and live[0][0] <= until:
        at, number, posting, story = live[0]
        yield at, posting
        following = next(story, None)
        if following is None:
            heappop(live)
        else:
            heapreplace(live, (following[0], number, following[1], story))


def told(begins: datetime, chance: Random) -> Iterator[Arrival]:
    """One conversation's events as they arrive, some of them twice."""
    clock = JumpingClock(begins, chance)
    at = begins
    for posting in conversation(chance, clock):
        at = max(at, clock.now + ON_ITS_WAY)
        yield at, posting
        if posting.expected == "applied" and chance.random() < POSTED_AGAIN:
            at += SENT_AGAIN_AFTER
            yield at, replace(posting, expected="duplicate")


@dataclass(slots=True)
class JumpingClock:
    """Moves on by a pause whenever it is read."""

    now: datetime
    chance: Random

    def __call__(self) -> datetime:
        pause = SHORTEST_PAUSE + self.chance.expovariate(1 / MEAN_PAUSE)
        self.now += timedelta(seconds=min(pause, LONGEST_PAUSE))
        return self.now
