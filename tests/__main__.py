"""Every test: `python -m tests [pytest's arguments]`. Those marked `alone` run after the others.

The others run in two processes, or in as many as TEST_PROCESSES says; 0 is none but this.
"""

import os
import subprocess
import sys

import pytest

PARALLEL = ["--numprocesses", os.environ.get("TEST_PROCESSES", "2"), "--dist", "loadscope"]
PARTS = {"not alone": PARALLEL, "alone": []}


def main(arguments: list[str]) -> int:
    """Run both parts, and return the first exit code that is a failure."""
    codes = [run(part, [*options, *arguments]) for part, options in PARTS.items()]
    empty = pytest.ExitCode.NO_TESTS_COLLECTED
    if all(code == empty for code in codes):
        return int(empty)
    return next((code for code in codes if code not in (0, empty)), 0)


def run(part: str, arguments: list[str]) -> int:
    """Run one part. A marker expression among the arguments narrows it further."""
    if "-m" in arguments:
        place = arguments.index("-m")
        part = f"({part}) and ({arguments[place + 1]})"
        arguments = arguments[:place] + arguments[place + 2 :]
    return subprocess.call([sys.executable, "-m", "pytest", "-m", part, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
