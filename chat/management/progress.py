"""The progress of long work: a bar in a terminal, and a line a minute in a log."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60


def progress(*iterable: Any, **options: Any) -> "tqdm[Any]":
    """Return tqdm's bar on standard error. Outside a terminal, return a LineAMinute."""
    if sys.stderr.isatty():
        return tqdm(*iterable, **options)
    seldom: dict[str, Any] = dict.fromkeys(
        ("delay", "mininterval", "maxinterval"), SECONDS_BETWEEN_LINES
    )
    options |= seldom | {"ascii": True}
    return LineAMinute(*iterable, **options)


def above_the_bar() -> AbstractContextManager[Any]:
    """Let other lines of the command stand above the bar."""
    return tqdm.external_write_mode(file=sys.stderr) if sys.stderr.isatty() else nullcontext()


class LineAMinute(tqdm):  # type: ignore[type-arg]
    """Writes nothing about work of less than a minute."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        self.fp.write(f"{msg or self}\n")

    def close(self) -> None:
        if not self.disable and self.last_print_t >= self.start_t + (self.delay or 0):
            self.display()
        self.delay = float("inf")  # or tqdm would write an empty line
        super().close()
