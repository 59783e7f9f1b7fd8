"""`make bench` writes results only for a commit, and names the measured one."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.servers import ROOT

GIT = ["git", "-c", "user.name=Ana", "-c", "user.email=ana@inbox.example"]
# The whole command without its benches, because they take half an hour.
LEFT_OUT = shutil.ignore_patterns("databases", "__pycache__")
BENCH = "import bench.__main__ as b; b.questions = lambda quick: []; b.main()"


@pytest.fixture
def checkout(tmp_path):
    """A committed copy, in a repository of its own."""
    root = tmp_path / "checkout"
    for name in ("bench", "chat", "realmate"):
        shutil.copytree(ROOT / name, root / name, ignore=LEFT_OUT)
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "All of it"]):
        subprocess.run([*GIT, *command], cwd=root, check=True)
    return root


@pytest.fixture
def bench(checkout, tmp_path):
    """Run the benches in the copy, on a machine with wrk."""
    wrk = tmp_path / "bin" / "wrk"
    wrk.parent.mkdir()
    wrk.touch(mode=0o755)
    environ = {"PATH": f"{wrk.parent}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", BENCH]
    return lambda *arguments: subprocess.run(
        [*command, *arguments], cwd=checkout, env=environ, capture_output=True, text=True
    )


def results(checkout):
    return (checkout / "bench" / "results.md").read_text()


def change(file):
    file.write_text(f"{file.read_text()}\n")


def test_the_results_name_the_commit_that_was_measured(checkout, bench):
    change(checkout / "bench" / "results.md")  # the results of the run before
    commit = subprocess.check_output([*GIT, "describe", "--always"], cwd=checkout, text=True)
    assert bench().returncode == 0
    assert f"\n- commit: {commit}" in results(checkout)


def test_a_checkout_with_uncommitted_changes_is_refused_and_the_results_stay(checkout, bench):
    before = results(checkout)
    change(checkout / "chat" / "urls.py")
    refused = bench()
    assert refused.returncode == 1
    assert refused.stderr.startswith("Nothing was measured.")
    assert "\n M chat/urls.py\n" in refused.stderr
    assert results(checkout) == before


def test_told_to_print_only_it_measures_such_a_checkout_and_writes_nothing(checkout, bench):
    before = results(checkout)
    change(checkout / "chat" / "urls.py")
    printed = bench("--print-only")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.startswith("| question ")
    assert results(checkout) == before
