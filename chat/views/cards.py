"""Statistics as a page shows them: what each figure means, its chart, and the same in a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from chat.statistics import DayFigures, Durations, HourFigures, Statistics
from chat.views.charts import COUNTS, DURATIONS, Chart, Series, bar_chart
from chat.views.durations import in_words

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in words. `kind` is the class of the series that it sums up, if any."""

    value: str
    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A first column of headings, days (with their dates) or hours, and a column a series."""

    columns: list[str]
    rows: list[tuple[str, date | None, list[str]]]


@dataclass(frozen=True, slots=True)
class Card:
    """One subject. Its meaning is one sentence; there is no chart of nothing."""

    key: str
    title: str
    meaning: str
    figures: list[Figure]
    table: Table
    chart: Chart | None


def cards_of(statistics: Statistics) -> list[Card]:
    return [
        conversations(statistics),
        messages_by_day(statistics),
        messages_by_hour(statistics),
        first_replies(statistics),
        replies(statistics),
        closings(statistics),
    ]


def now_of(statistics: Statistics) -> dict[str, str]:
    return {
        "open": counted(statistics.open_now),
        "needs_reply": counted(statistics.needs_reply_now),
    }


def conversations(statistics: Statistics) -> Card:
    return by_day(
        statistics,
        key="conversations",
        title=_("Conversations opened"),
        meaning=_("Each conversation counts on the day when it was opened."),
        figures=[Figure(counted(statistics.conversations_opened), _("in the period"))],
        series=[
            Series("accent", _("opened"), [day.conversations_opened for day in statistics.by_day])
        ],
    )


def messages_by_day(statistics: Statistics) -> Card:
    return by_day(
        statistics,
        key="messages",
        title=_("Messages a day"),
        meaning=_("Each message counts on the day when it was written, also when it came late."),
        figures=sums(statistics),
        series=received_and_sent(statistics.by_day),
    )


def messages_by_hour(statistics: Statistics) -> Card:
    hours = [hour.hour for hour in statistics.by_hour]
    return card(
        key="hours",
        title=_("Messages by hour of the day"),
        meaning=_("All messages of the period, by the hour in which they were written."),
        figures=sums(statistics),
        heading=_("Hour"),
        names=[f"{hour:02}:00" for hour in hours],
        labels=[f"{hour}" if hour % 4 == 0 else "" for hour in hours],
        dates=[None for _hour in hours],
        series=received_and_sent(statistics.by_hour),
    )


def first_replies(statistics: Statistics) -> Card:
    return timed(
        statistics,
        key="first-replies",
        title=_("First reply time"),
        meaning=_(
            "From a conversation's first received message to the first one sent after it, "
            "on the day of that reply."
        ),
        of=attrgetter("first_reply"),
    )


def replies(statistics: Statistics) -> Card:
    return timed(
        statistics,
        key="replies",
        title=_("Reply time"),
        meaning=_(
            "From the first received message without an answer to the next one sent in the same "
            "conversation, on the day of that reply."
        ),
        of=attrgetter("reply"),
    )


def closings(statistics: Statistics) -> Card:
    return timed(
        statistics,
        key="closings",
        title=_("Time to close"),
        meaning=_(
            "From a conversation's opening to its closing, on the day of the closing; "
            "one dated before its opening counts as zero."
        ),
        of=attrgetter("time_to_close"),
    )


# What they share


def sums(statistics: Statistics) -> list[Figure]:
    return [
        Figure(counted(statistics.messages_received), _("received"), "received"),
        Figure(counted(statistics.messages_sent), _("sent"), "sent"),
    ]


def received_and_sent(figures: Sequence[DayFigures] | Sequence[HourFigures]) -> list[Series]:
    return [
        Series("received", _("received"), [each.messages_received for each in figures]),
        Series("sent", _("sent"), [each.messages_sent for each in figures]),
    ]


def timed(
    statistics: Statistics,
    *,
    key: str,
    title: str,
    meaning: str,
    of: Callable[[Statistics | DayFigures], Durations],
) -> Card:
    """Medians of the durations that both a day and the whole period have."""
    total, days = of(statistics), [of(day) for day in statistics.by_day]
    of_how_many = ngettext("median of %(count)s", "median of %(count)s", total.count)
    return by_day(
        statistics,
        key=key,
        title=title,
        meaning=meaning,
        figures=[
            Figure(spoken(total.median_seconds), of_how_many % {"count": counted(total.count)})
        ],
        series=[Series("accent", _("median"), [day.median_seconds for day in days])],
        steps=DURATIONS,
        words=spoken,
        more=(_("Number"), [counted(day.count) for day in days]),
    )


def by_day(
    statistics: Statistics,
    *,
    key: str,
    title: str,
    meaning: str,
    figures: list[Figure],
    series: list[Series],
    steps: Sequence[int] = COUNTS,
    words: Callable[[float | None], str] | None = None,
    more: tuple[str, list[str]] | None = None,
) -> Card:
    days = [day.date for day in statistics.by_day]
    every = max(1, -(-len(days) // 5)) if len(days) > 7 else 1
    return card(
        key=key,
        title=title,
        meaning=meaning,
        figures=figures,
        heading=_("Day"),
        names=[date_format(day, "SHORT_DATE_FORMAT") for day in days],
        labels=[short(day) if place % every == 0 else "" for place, day in enumerate(days)],
        dates=days,
        series=series,
        steps=steps,
        words=words,
        more=more,
    )


def card(
    *,
    key: str,
    title: str,
    meaning: str,
    figures: list[Figure],
    heading: str,
    names: list[str],
    labels: list[str],
    dates: Sequence[date | None],
    series: list[Series],
    steps: Sequence[int] = COUNTS,
    words: Callable[[float | None], str] | None = None,
    more: tuple[str, list[str]] | None = None,
) -> Card:
    words = words or counted
    cells = [[words(value) for value in each.values] for each in series]
    columns = [each.name for each in series]
    if more:
        columns.append(more[0])
        cells.append(more[1])
    by_row = zip(names, dates, zip(*cells, strict=True), strict=True)
    rows = [(name, day, list(row)) for name, day, row in by_row]
    chart = bar_chart(
        title=title,
        description=meaning,
        names=names,
        labels=labels,
        above=series[0],
        below=series[1] if len(series) > 1 else None,
        steps=steps,
        words=words,
    )
    return Card(
        key=key,
        title=title,
        meaning=meaning,
        figures=figures,
        table=Table([heading, *columns], rows),
        chart=chart if chart.bars else None,
    )


def counted(number: float | None) -> str:
    return number_format(number or 0, decimal_pos=0, force_grouping=True)


def spoken(seconds: float | None) -> str:
    return NOTHING if seconds is None else in_words(seconds)


def short(day: date) -> str:
    return date_format(day, pgettext("day and month under a chart, as Django's date format", "M j"))
