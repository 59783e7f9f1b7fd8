"""A bar in a terminal, and a line a minute in a log."""

import sys

import pytest

from chat.management import progress as module
from chat.management.progress import above_the_bar, progress


@pytest.fixture
def told(capsys):
    return lambda: capsys.readouterr().err


def work(**options):
    with progress(total=3, unit=" rows", desc="copying", **options) as bar:
        for _ in range(3):
            bar.update()


def test_a_terminal_shows_a_bar(told, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    work(mininterval=0)
    bar = told()
    assert bar.count("\r") >= 3
    assert "3/3" in bar


@pytest.mark.parametrize("options", [{}, {"delay": 1}])
def test_a_log_has_nothing_of_work_of_less_than_a_minute(told, options):
    work(**options)
    assert told() == ""


def test_a_log_has_lines_of_longer_work(told, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    work()
    written = told()
    lines = written.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["copying:"] * len(lines)
    assert "3/3" in lines[-1]
    assert len(lines) > 3
    assert "\r" not in written


def test_what_ends_early_says_how_far_it_came(told, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    with progress(total=9) as bar:
        bar.update(4)
    assert "4/9" in told().splitlines()[-1]


def test_other_lines_bring_no_line_of_progress(told, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    with progress(total=9):
        told()
        with above_the_bar():
            sys.stderr.write("unexpected\n")
        assert told() == "unexpected\n"
