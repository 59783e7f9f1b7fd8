"""The first impression: license, version, `make`, and the hooks of a commit."""

import os
import re
import subprocess
import tomllib

from realmate import __version__
from tests.servers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_license_is_the_one_that_the_project_names():
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")


def test_the_version_is_the_one_that_the_project_names():
    assert __version__ == PROJECT["version"]


def test_the_documents_name_the_image_of_this_version():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "compose.yaml"]
    text = "".join(document.read_text() for document in documents)
    assert set(re.findall(r"realmate:(\d+\.\d+\.\d+)", text)) == {__version__}


def test_the_description_of_the_api_carries_the_version(client):
    assert client.get("/schema").json()["info"]["version"] == PROJECT["version"]


def make(*arguments: str) -> str:
    """Return the output of a target. MAKEFLAGS and MAKELEVEL of `make test` are left out."""
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.check_output(["make", *arguments], cwd=ROOT, env=environ, text=True)


def test_make_alone_lists_every_target_and_says_what_it_is_for():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]
    listed = re.findall(r"^make ([\w-]+) +\S.*$", make(), re.M)
    assert listed == targets.split()
    assert make() == make("help")


def test_the_hooks_of_a_commit_are_the_checks_of_make_lint():
    hooks = re.findall(r"^ +entry: (.+)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.M)
    checks = make("--dry-run", "--old-file=.venv/dev", "lint").splitlines()
    # pre-commit appends the file names to a hook.
    assert hooks == [check.partition(" $(git ls-files ")[0] for check in checks]
