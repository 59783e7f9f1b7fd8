"""The geometry of bar charts. A template draws the bars, a style sheet colours them.

The labels are HTML around the drawing, because a stretched drawing would stretch its text too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEIGHT = 100  # of the drawing, in its own units
SLOT = 10  # each bar's share of the width
BAR = 8

COUNTS = tuple(step * 10**power for power in range(9) for step in (1, 2, 5))
# Seconds: ticks fall on whole minutes, hours, days.
DURATIONS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200),
    *(86_400 * step for step in COUNTS),
)
MOST_STEPS = 4  # of one series; two series, one above the other, have half as many again


@dataclass(frozen=True, slots=True)
class Series:
    """One value a bar, or None for no bar. `kind` is the CSS class of its colour."""

    kind: str
    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The data of a chart. The first series stands on the baseline, a second one hangs below.

    `names` are the bars' names in full, `labels` the texts under the bars.
    """

    names: Sequence[str]
    labels: Sequence[str]
    series: Sequence[Series]
    steps: Sequence[int] = COUNTS
    words: Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class Bar:
    kind: str
    x: int
    y: str
    height: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    y: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Ticks run from the top down. `labels` has one entry a bar, empty for a bar without a label."""

    title: str
    description: str
    width: int
    baseline: str
    ticks: list[Tick]
    bars: list[Bar]
    labels: list[str]
    height: int = HEIGHT


def bar_chart(title: str, description: str, plot: Plot) -> Chart:
    """Return the chart of one or two series, both on the same scale."""
    above, below = plot.series[0], plot.series[1] if len(plot.series) > 1 else None
    over, under = (top_of(series) for series in (above, below))
    step = step_for(over + under, plot.steps, most=MOST_STEPS * 3 // 2 if below else MOST_STEPS)
    up, down = -(-over // step) or 1, -(-under // step)
    scale = HEIGHT / (step * (up + down))
    baseline = step * up * scale
    ticks = [
        Tick(number(baseline - at * step * scale), plot.words(abs(at) * step))
        for at in range(int(up), -int(down) - 1, -1)
    ]
    standing = bars_of(above, plot, baseline, scale)
    hanging = bars_of(below, plot, baseline, scale, is_below=True) if below else []
    return Chart(
        title=title,
        description=description,
        width=SLOT * len(plot.names),
        baseline=number(baseline),
        ticks=ticks,
        bars=standing + hanging,
        labels=list(plot.labels),
    )


def bars_of(
    series: Series, plot: Plot, baseline: float, scale: float, *, is_below: bool = False
) -> list[Bar]:
    return [
        Bar(
            kind=series.kind,
            x=SLOT * place + (SLOT - BAR) // 2,
            y=number(baseline if is_below else baseline - value * scale),
            height=number(value * scale),
            title=f"{name} · {series.name}: {plot.words(value)}",
        )
        for place, (name, value) in enumerate(zip(plot.names, series.values, strict=True))
        if value
    ]


def top_of(series: Series | None) -> float:
    return max((value or 0 for value in series.values), default=0) if series else 0


def step_for(top: float, steps: Sequence[int], *, most: int) -> int:
    """Return the smallest step that needs at most `most` steps to reach the top."""
    return next((step for step in steps if top <= step * most), steps[-1])


def number(value: float) -> str:
    """Format a number for SVG, with a point as the decimal sign in every language."""
    return f"{value:.2f}"
