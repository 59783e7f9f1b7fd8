"""Every test: `python -m tests [pytest's arguments]`. Tests marked `alone` run after the others.

The others run in two processes for each core, because many tests wait for servers and browsers.
TEST_PROCESSES is another number; 0 means this process.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROCESSES = os.environ.get("TEST_PROCESSES") or str(2 * len(os.sched_getaffinity(0)))
# The order of conftest.py stays: pytest-xdist would leave the files of few and long tests to the end.
PARALLEL = ["--numprocesses", PROCESSES, "--dist", "loadscope", "--no-loadscope-reorder"]
PARTS = {"not alone": PARALLEL, "alone": []}


def main(arguments: list[str]) -> int:
    """Run both parts, and return the first exit code of a failure."""
    codes = [run(part, [*options, *arguments]) for part, options in PARTS.items()]
    empty = pytest.ExitCode.NO_TESTS_COLLECTED
    if all(code == empty for code in codes):
        return int(empty)
    return next((code for code in codes if code not in (0, empty)), 0)


def run(part: str, arguments: list[str]) -> int:
    """Run one part. A marker expression among the arguments narrows the part further."""
    if "-m" in arguments:
        place = arguments.index("-m")
        part = f"({part}) and ({arguments[place + 1]})"
        arguments = arguments[:place] + arguments[place + 2 :]
    is_narrowed = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    places = [] if is_narrowed or "not alone" in part else files_of_those_alone()
    return subprocess.call([sys.executable, "-m", "pytest", "-m", part, *arguments, *places])


def files_of_those_alone() -> list[str]:
    """Return the files that may have marked tests, because pytest needs ten seconds to read all files."""
    marked = re.compile(r"mark\.(alone|erases)\b")
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    return [str(file) for file in files if marked.search(file.read_text())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
