"""The results of a bench: figures, each with its floor of the same run and its goal."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Compare the ratio, because shared machines are noisy."""

    question: str
    figure: str
    floor: str = ""
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None

    @property
    def cells(self) -> list[str]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        mark = {True: " ✓", False: " ✗", None: ""}[self.reached]
        return [self.question, self.figure, self.floor, ratio, f"{self.goal}{mark}"]


HEADER = ["question", "figure", "floor, same run", "ratio", "goal"]


def table(figures: Iterable[Figure]) -> str:
    """Return a table in Markdown, because Markdown reads well in a terminal too."""
    rows = [HEADER, *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def requests_a_second(url: str, *, connections: int, seconds: int, cookie: str = "") -> float:
    """Return the requests a second of wrk. Fails if an answer is not a success."""
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Cookie: {cookie}", url]
    output = subprocess.check_output(wrk, text=True)
    assert "Non-2xx" not in output, output
    found = re.search(r"Requests/sec: +([\d.]+)", output)
    assert found is not None, output
    return float(found[1])
