"""Bar charts as geometry: a template draws them, a style sheet colours them, HTML labels them.

Bars are stretched to any width; text inside the drawing would be stretched with them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEIGHT = 100  # of the drawing, in its own units
SLOT = 10  # each bar's share of the width
BAR = 8

COUNTS = tuple(step * 10**power for power in range(9) for step in (1, 2, 5))
# Seconds: ticks that fall on whole minutes, hours, days.
DURATIONS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200),
    *(86_400 * step for step in COUNTS),
)
MOST_STEPS = 4  # of one series; of two, one above the other, half as many again


@dataclass(frozen=True, slots=True)
class Series:
    """One value a bar; None where there is none. `kind` is the class that colours it."""

    kind: str
    name: str
    values: Sequence[float | None]


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
    """Ticks run from the top down; `labels` has one entry a bar, empty where none is written."""

    title: str
    description: str
    width: int
    baseline: str
    ticks: list[Tick]
    bars: list[Bar]
    labels: list[str]
    height: int = HEIGHT


def bar_chart(
    *,
    title: str,
    description: str,
    names: Sequence[str],
    labels: Sequence[str],
    above: Series,
    below: Series | None = None,
    steps: Sequence[int] = COUNTS,
    words: Callable[[float], str],
) -> Chart:
    """Bars that stand on a line, and a second series that hangs below it, to the same scale.

    `names` says in full what each bar is of, `labels` what is written under it.
    """
    over, under = (top_of(series) for series in (above, below))
    step = step_for(over + under, steps, most=MOST_STEPS * 3 // 2 if below else MOST_STEPS)
    up, down = -(-over // step) or 1, -(-under // step)
    scale = HEIGHT / (step * (up + down))
    baseline = step * up * scale
    ticks = [
        Tick(number(baseline - at * step * scale), words(abs(at) * step))
        for at in range(int(up), -int(down) - 1, -1)
    ]
    standing = bars_of(above, names, words, baseline, scale, up=True)
    hanging = bars_of(below, names, words, baseline, scale, up=False) if below else []
    return Chart(
        title=title,
        description=description,
        width=SLOT * len(names),
        baseline=number(baseline),
        ticks=ticks,
        bars=standing + hanging,
        labels=list(labels),
    )


def bars_of(
    series: Series,
    names: Sequence[str],
    words: Callable[[float], str],
    baseline: float,
    scale: float,
    *,
    up: bool,
) -> list[Bar]:
    return [
        Bar(
            kind=series.kind,
            x=SLOT * place + (SLOT - BAR) // 2,
            y=number(baseline - value * scale if up else baseline),
            height=number(value * scale),
            title=f"{name} · {series.name}: {words(value)}",
        )
        for place, (name, value) in enumerate(zip(names, series.values, strict=True))
        if value
    ]


def top_of(series: Series | None) -> float:
    return max((value or 0 for value in series.values), default=0) if series else 0


def step_for(top: float, steps: Sequence[int], *, most: int) -> int:
    """The smallest step that reaches the top in no more than so many."""
    return next((step for step in steps if top <= step * most), steps[-1])


def number(value: float) -> str:
    """As SVG reads it, whatever the reader's decimal sign is."""
    return f"{value:.2f}"
