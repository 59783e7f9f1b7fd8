"""Months of customer service at once: the same conversations, each with a jumping clock."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush, heapreplace
from random import Random

from chat.management.simulation import POSTED_AGAIN, Posting, conversation

DAYS = 180
# The weight of each hour of the day in UTC: Brasília's office hours and evening, three hours later.
BUSY = (8, 5, 2, 1, 1, 1, 1, 1, 2, 4, 8, 16, 24, 28, 26, 20, 22, 28, 28, 26, 22, 16, 12, 10)
# Seconds between two events of a conversation. A redelivery comes before the next event.
SHORTEST_PAUSE, MEAN_PAUSE, LONGEST_PAUSE = 2.0, 75.0, 600.0
ON_ITS_WAY = timedelta(seconds=0.3)
SENT_AGAIN_AFTER = timedelta(seconds=1)
# Early enough for every conversation to have its opening before the end.
LAST_BEGINNING = timedelta(minutes=30)

Arrival = tuple[datetime, Posting]


def history(
    *, conversations: int, until: datetime, seed: int | None = None
) -> Iterator[tuple[datetime, Posting]]:
    """Yield each event with its arrival time, in the order of arrival.

    All conversations begin within the last DAYS, and events after `until` are left out. The same
    seed gives the same conversations and ids at any time.
    """
    chance = Random(seed)
    live: list[tuple[datetime, int, Posting, Iterator[Arrival]]] = []
    beginnings = sorted(beginning(chance, until) for _ in range(conversations))
    for number, (begins, own_seed) in enumerate(beginnings):
        yield from arrivals(live, until=begins)
        story = story_of(begins, Random(own_seed))
        at, posting = next(story)
        heappush(live, (at, number, posting, story))
    yield from arrivals(live, until=until)


def beginning(chance: Random, until: datetime) -> tuple[datetime, int]:
    """Return the beginning of a conversation, and the seed of its story."""
    latest = until.astimezone(UTC) - LAST_BEGINNING
    midnight = latest.replace(hour=0, minute=0, second=0, microsecond=0)
    days = chance.randrange(DAYS)
    (hour,) = chance.choices(range(24), BUSY)
    begins = midnight - timedelta(days=days) + timedelta(hours=hour + chance.random())
    return (begins if begins <= latest else begins - timedelta(days=1)), chance.getrandbits(64)


def arrivals(
    live: list[tuple[datetime, int, Posting, Iterator[Arrival]]], *, until: datetime
) -> Iterator[Arrival]:
    """Yield arrivals until `until`. `live` is a heap by the next arrival; a finished story leaves."""
    while live and live[0][0] <= until:
        at, number, posting, story = live[0]
        yield at, posting
        following = next(story, None)
        if following is None:
            heappop(live)
        else:
            heapreplace(live, (following[0], number, following[1], story))


def story_of(begins: datetime, chance: Random) -> Iterator[Arrival]:
    """Yield one conversation's events as they arrive, some of them twice."""
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
    """A clock with a pause at each reading: its time jumps by the pause."""

    now: datetime
    chance: Random

    def __call__(self) -> datetime:
        pause = SHORTEST_PAUSE + self.chance.expovariate(1 / MEAN_PAUSE)
        self.now += timedelta(seconds=min(pause, LONGEST_PAUSE))
        return self.now
