"""The cards of the statistics page: figures with their meaning, a chart, and the same as a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from chat.statistics import DayFigures, Durations, HourFigures, Statistics
from chat.views.charts import COUNTS, DURATIONS, Chart, Plot, Series, bar_chart
from chat.views.durations import in_words

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in words. `kind` is the class of the series with this sum, if any."""

    value: str
    name: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One row a day (with its date) or an hour, one column a series."""

    columns: list[str]
    rows: list[tuple[str, date | None, list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TabulatedPlot(Plot):
    """A plot with the rest of its table. `heading` is the title of the column of names.

    `last_column` stands in the table only: its title, then one cell a row.
    """

    heading: str
    dates: Sequence[date | None]
    last_column: tuple[str, list[str]] | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One subject. Its meaning is one sentence. `chart` is None without any bar."""

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
    days = statistics.by_day
    opened = Series("accent", _("opened"), [day.conversations_opened for day in days])
    return card(
        key="conversations",
        title=_("Conversations opened"),
        meaning=_("Each conversation counts on the day when it was opened."),
        figures=[Figure(counted(statistics.conversations_opened), _("in the period"))],
        plot=by_day(days, [opened]),
    )


def messages_by_day(statistics: Statistics) -> Card:
    days = statistics.by_day
    return card(
        key="messages",
        title=_("Messages a day"),
        meaning=_("Each message counts on the day when it was written, also when it came late."),
        figures=sums(statistics),
        plot=by_day(days, received_and_sent(days)),
    )


def messages_by_hour(statistics: Statistics) -> Card:
    return card(
        key="hours",
        title=_("Messages by hour of the day"),
        meaning=_("All messages of the period, by the hour in which they were written."),
        figures=sums(statistics),
        plot=by_hour(statistics.by_hour),
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


# Parts of a card


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
    """Return the card of the medians of a duration, of each day and of the whole period."""
    total, durations = of(statistics), [of(day) for day in statistics.by_day]
    of_how_many = ngettext("median of %(count)s", "median of %(count)s", total.count)
    return card(
        key=key,
        title=title,
        meaning=meaning,
        figures=[
            Figure(spoken(total.median_seconds), of_how_many % {"count": counted(total.count)})
        ],
        plot=by_day(
            statistics.by_day,
            [Series("accent", _("median"), [each.median_seconds for each in durations])],
            steps=DURATIONS,
            words=spoken,
            last_column=(_("Number"), [counted(each.count) for each in durations]),
        ),
    )


def counted(number: float | None) -> str:
    return number_format(number or 0, decimal_pos=0, force_grouping=True)


def spoken(seconds: float | None) -> str:
    return NOTHING if seconds is None else in_words(seconds)


def by_day(
    figures: Sequence[DayFigures],
    series: list[Series],
    *,
    steps: Sequence[int] = COUNTS,
    words: Callable[[float | None], str] = counted,
    last_column: tuple[str, list[str]] | None = None,
) -> TabulatedPlot:
    """Return the plot of a bar a day. In more than a week, five days at most have a label."""
    days = [day.date for day in figures]
    every = max(1, -(-len(days) // 5)) if len(days) > 7 else 1
    return TabulatedPlot(
        heading=_("Day"),
        names=[date_format(day, "SHORT_DATE_FORMAT") for day in days],
        labels=[short(day) if place % every == 0 else "" for place, day in enumerate(days)],
        dates=days,
        series=series,
        steps=steps,
        words=words,
        last_column=last_column,
    )


def short(day: date) -> str:
    return date_format(day, pgettext("day and month under a chart, as Django's date format", "M j"))


def by_hour(figures: Sequence[HourFigures]) -> TabulatedPlot:
    hours = [hour.hour for hour in figures]
    return TabulatedPlot(
        heading=_("Hour"),
        names=[f"{hour:02}:00" for hour in hours],
        labels=[f"{hour}" if hour % 4 == 0 else "" for hour in hours],
        dates=[None for _hour in hours],
        series=received_and_sent(figures),
        words=counted,
    )


def card(*, key: str, title: str, meaning: str, figures: list[Figure], plot: TabulatedPlot) -> Card:
    chart = bar_chart(title, meaning, plot)
    return Card(
        key=key,
        title=title,
        meaning=meaning,
        figures=figures,
        table=table(plot),
        chart=chart if chart.bars else None,
    )


def table(plot: TabulatedPlot) -> Table:
    columns = [each.name for each in plot.series]
    cells = [[plot.words(value) for value in each.values] for each in plot.series]
    if plot.last_column:
        title, last = plot.last_column
        columns.append(title)
        cells.append(last)
    rows = zip(plot.names, plot.dates, zip(*cells, strict=True), strict=True)
    return Table([plot.heading, *columns], [(name, day, list(row)) for name, day, row in rows])
