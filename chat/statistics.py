"""Statistics of a period: counts by day and hour of DISPLAY_TIME_ZONE, and durations."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import BigIntegerField, Count, F, Func, Value
from django.utils import timezone
from pydantic import BaseModel, ConfigDict

from chat.database.json_texts import Instant
from chat.database.time_limits import TooSlow, at_most
from chat.heavy.reading import turn_to_read
from chat.models import Conversation, Direction, Filter
from chat.refusals import PeriodTooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PERIODS = (7, 30, 90)
DEFAULT_PERIOD = 30
KEPT_SECONDS = 60
# Less than the deadline of a request: past the deadline the answer is a 503 without advice.
MOST_SECONDS = 4.2
TOO_LONG = "too long"

SECOND = 1_000_000  # in microseconds, as all instants and durations below
# Zones differ from UTC by whole quarters of an hour, so a quarter lies in one local hour.
QUARTER = 900 * SECOND


class Figures(BaseModel):
    model_config = ConfigDict(frozen=True)


class Durations(Figures):
    """The number of durations, and their median in seconds; null if there are none."""

    count: int
    median_seconds: float | None


class DayFigures(Figures):
    """One day. A duration counts on the day of its end: of the reply or of the closing."""

    date: date
    conversations_opened: int
    messages_received: int
    messages_sent: int
    first_reply: Durations
    reply: Durations
    time_to_close: Durations


class HourFigures(Figures):
    """One hour of the day, 0 to 23, over all days of the period."""

    hour: int
    messages_received: int
    messages_sent: int


class Statistics(Figures):
    """Figures of the days `first` to `last` in `time_zone`. Fields ending in `_now` are of `as_of`."""

    days: int
    first: date
    last: date
    time_zone: str
    as_of: Instant
    open_now: int
    needs_reply_now: int
    conversations_opened: int
    messages_received: int
    messages_sent: int
    first_reply: Durations
    reply: Durations
    time_to_close: Durations
    by_day: list[DayFigures]
    by_hour: list[HourFigures]

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened in the period."""
        counts = self.conversations_opened, self.messages_received, self.messages_sent
        return not any(counts) and not self.time_to_close.count


def statistics_of(days: int) -> Statistics:
    """Return statistics of the last days with today. Up to a minute old: `as_of` is their time.

    Raises PeriodTooLong, for a minute without a query, and TooManyReads.
    """
    key = f"statistics.{days}.{settings.DISPLAY_TIME_ZONE}"
    answer: Statistics | str | None = cache.get(key)
    if answer is None:
        with turn_to_read():
            answer = read_in_time(days)
        cache.set(key, answer, KEPT_SECONDS)
    if isinstance(answer, str):
        raise PeriodTooLong
    return answer


def read_in_time(days: int) -> Statistics | str:
    """Read the statistics. Return TOO_LONG if reading takes longer than MOST_SECONDS."""
    try:
        with at_most(MOST_SECONDS) as check_time:
            return read_statistics(days, now=timezone.now(), check_time=check_time)
    except TooSlow:
        return TOO_LONG


def no_limit() -> None:
    """Let a read take its time."""


def read_statistics(
    days: int, *, now: datetime, check_time: Callable[[], None] = no_limit
) -> Statistics:
    """Read the statistics from the database, in five queries. Call `check_time` between rows."""
    period = Period.ending(now, days=days)
    opened = opened_by_day(period)
    messages, replies, first_replies = threads_within(period, check_time)
    closings = closings_within(period, check_time)
    return Statistics(
        days=days,
        first=period.first,
        last=period.last,
        time_zone=settings.DISPLAY_TIME_ZONE,
        as_of=now,
        open_now=Conversation.objects.filtered(Filter.OPEN).count(),
        needs_reply_now=Conversation.objects.filtered(Filter.NEEDS_REPLY).count(),
        conversations_opened=opened.total(),
        messages_received=sum(messages.by_hour[hour, Direction.RECEIVED] for hour in range(24)),
        messages_sent=sum(messages.by_hour[hour, Direction.SENT] for hour in range(24)),
        first_reply=first_replies.all,
        reply=replies.all,
        time_to_close=closings.all,
        by_day=[
            DayFigures(
                date=day,
                conversations_opened=opened[day],
                messages_received=messages.by_day[day, Direction.RECEIVED],
                messages_sent=messages.by_day[day, Direction.SENT],
                first_reply=first_replies.on(day),
                reply=replies.on(day),
                time_to_close=closings.on(day),
            )
            for day in period.dates
        ],
        by_hour=[
            HourFigures(
                hour=hour,
                messages_received=messages.by_hour[hour, Direction.RECEIVED],
                messages_sent=messages.by_hour[hour, Direction.SENT],
            )
            for hour in range(24)
        ],
    )


# The period


@dataclass(frozen=True)
class Period:
    """Whole days in a time zone."""

    first: date
    days: int
    zone: ZoneInfo

    @classmethod
    def ending(cls, now: datetime, *, days: int) -> Period:
        zone = ZoneInfo(settings.DISPLAY_TIME_ZONE)
        return cls(now.astimezone(zone).date() - timedelta(days=days - 1), days, zone)

    @property
    def dates(self) -> list[date]:
        return [self.first + timedelta(days=number) for number in range(self.days)]

    @property
    def last(self) -> date:
        return self.dates[-1]

    @property
    def instants(self) -> tuple[datetime, datetime]:
        """The first midnight, and the midnight after the last day (excluded)."""
        midnights = self.first, self.last + timedelta(days=1)
        start, end = (datetime.combine(day, time(), self.zone).astimezone(UTC) for day in midnights)
        return start, end

    @property
    def microseconds(self) -> tuple[int, int]:
        """The same instants. Both lie on a quarter of an hour."""
        start, end = (int(instant.timestamp()) * SECOND for instant in self.instants)
        return start, end

    def within(self, field: str) -> dict[str, datetime]:
        start, end = self.instants
        return {f"{field}__gte": start, f"{field}__lt": end}


@lru_cache(maxsize=16_384)
def on_the_clock(quarter: int, zone: ZoneInfo) -> tuple[date, int]:
    """Return the local day and hour of a quarter of an hour, counted from 1970 in UTC."""
    local = datetime.fromtimestamp(quarter * QUARTER // SECOND, zone)
    return local.date(), local.hour


class Microseconds(Func):
    """An instant as microseconds since 1970: exact, and equal on both engines.

    SQLite keeps text in UTC. Django's own truncations are Python functions there, called per row.
    """

    output_field = BigIntegerField()
    SQLITE = (
        "(CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) * 1000000"
        " + CAST(substr(%(expressions)s, 21, 6) AS INTEGER))"
    )
    POSTGRESQL = "CAST(EXTRACT(EPOCH FROM %(expressions)s) * 1000000 AS bigint)"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=self.SQLITE, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=self.POSTGRESQL, **context)


def quarter_of(field: str) -> Any:
    return Microseconds(field) / Value(QUARTER)


# Counts


def opened_by_day(period: Period) -> Counter[date]:
    opened = Conversation.objects.filter(**period.within("opened_at")).order_by()
    opened = opened.exclude(opened_at=F("erased_at"))  # created by an erasure, and never opened
    by_day: Counter[date] = Counter()
    counted = opened.annotate(quarter=quarter_of("opened_at")).values_list("quarter")
    for quarter, number in counted.annotate(Count("pk")):
        by_day[on_the_clock(quarter, period.zone)[0]] += number
    return by_day


# Durations


@dataclass(frozen=True)
class Timed:
    """Durations by the quarter of an hour of their end, eight bytes each."""

    period: Period
    quarters: dict[int, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("q")))

    def add(self, ended: int, took: int) -> None:
        self.quarters[ended // QUARTER].append(took)

    @cached_property
    def days(self) -> dict[date, array[int]]:
        by_day: dict[date, array[int]] = defaultdict(lambda: array("q"))
        for quarter, took in self.quarters.items():
            by_day[on_the_clock(quarter, self.period.zone)[0]].extend(took)
        return by_day

    def on(self, day: date) -> Durations:
        return durations(self.days.get(day, array("q")))

    @property
    def all(self) -> Durations:
        return durations(array("q", chain.from_iterable(self.quarters.values())))


def durations(took: array[int]) -> Durations:
    return Durations(count=len(took), median_seconds=median(took) / SECOND if took else None)


def closings_within(period: Period, check_time: Callable[[], None]) -> Timed:
    closed = Conversation.objects.filter(**period.within("closed_at")).order_by()
    closed = closed.exclude(closed_at=F("erased_at"))  # closed by an erasure
    ended = Microseconds("closed_at")
    timed = Timed(period)
    for at, took in closed.values_list(ended, ended - Microseconds("opened_at")).iterator():
        check_time()
        timed.add(at, max(took, 0))  # a CLOSE may be dated before its opening
    return timed


# Threads


@dataclass(frozen=True)
class Messages:
    """Numbers of messages by day and by hour of the day, each with the direction."""

    by_day: Counter[tuple[date, str]] = field(default_factory=Counter)
    by_hour: Counter[tuple[int, str]] = field(default_factory=Counter)

    @classmethod
    def at(cls, quarters: dict[str, array[int]], period: Period) -> Messages:
        """Count the messages of the period. `quarters` has all, by the first letter of the direction."""
        messages = cls()
        start, end = (instant // QUARTER for instant in period.microseconds)
        for direction in Direction.values:
            for quarter, number in Counter(quarters[direction[0]]).items():
                if start <= quarter < end:
                    day, hour = on_the_clock(quarter, period.zone)
                    messages.by_day[day, direction] += number
                    messages.by_hour[hour, direction] += number
        return messages


# The thread of a conversation as one text: of each message, in order, the first letter of its direction
# and its instant. Python's sqlite3 lets other threads run before it fetches a row, and a million rows took
# more time than their content. SQLite has no order here but the one of the index.
THREADS = {
    "sqlite": """
        SELECT group_concat(substr(direction, 1, 1) || {at})
        FROM chat_message INDEXED BY message_thread
        WHERE conversation_id IN ({active})
        GROUP BY conversation_id
    """,
    "postgresql": """
        SELECT string_agg(left(direction, 1) || {at}, ',' ORDER BY timestamp, arrival)
        FROM chat_message
        WHERE conversation_id IN ({active})
        GROUP BY conversation_id
    """,
}


def threads_within(period: Period, check_time: Callable[[], None]) -> tuple[Messages, Timed, Timed]:
    """Return the messages of the period, the replies, and the first replies of conversations among them.

    A reply is the first SENT after some RECEIVED, timed from the first of these. Conversations are read
    from their beginning, because a question may be older than the period.
    """
    quarters = {direction[0]: array("q") for direction in Direction.values}
    replies, first_replies = Timed(period), Timed(period)
    start, end = period.microseconds
    for thread in threads(period):
        check_time()
        before, turn_began, turns = "", 0, 0
        for message in thread.split(","):
            side, at = message[0], int(message[1:])
            quarters[side].append(at // QUARTER)
            if side == before:
                continue
            turns += 1
            if side == "S" and before and start <= at < end:
                replies.add(at, at - turn_began)
                if turns <= 3:  # the company may have written first
                    first_replies.add(at, at - turn_began)
            before, turn_began = side, at
    return Messages.at(quarters, period), replies, first_replies


def threads(period: Period) -> Iterator[str]:
    """Yield the thread of each conversation that was active in the period or later."""
    start, _ = period.instants
    active = Conversation.objects.filter(last_message_at__gte=start).values("pk")
    sql, params = active.query.sql_with_params()
    template = Microseconds.SQLITE if connection.vendor == "sqlite" else Microseconds.POSTGRESQL
    at = template % {"expressions": "timestamp"}
    with connection.cursor() as cursor:
        cursor.execute(THREADS[connection.vendor].format(at=at, active=sql), params)
        for (thread,) in cursor:
            yield thread
