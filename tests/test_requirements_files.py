"""The requirements files agree with poetry.lock. Needs no Poetry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = tomllib.loads((ROOT / "poetry.lock").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = {"requirements.txt": {"main"}, "requirements-dev.txt": {"main", "dev"}}
files = pytest.mark.parametrize("name", GROUPS)

PINNED = re.compile(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==(\S+)(?: ; (.+))?")


def exported(name: str) -> dict[str, tuple[str, set[str], str]]:
    """Return version, hashes and marker of every package in a requirements file. Refuse any other line."""
    packages = {}
    for line in (ROOT / name).read_text().replace("\\\n", "").splitlines():
        pinned, *hashes = re.split(r"\s+--hash=", line.strip())
        match = PINNED.fullmatch(pinned)
        assert match, f"{name}: {line[:80]}"
        package, version, marker = match.groups()
        assert package not in packages
        packages[package] = version, set(hashes), marker or ""
    return packages


def locked(groups: set[str]) -> dict[str, tuple[str, set[str]]]:
    return {
        package["name"]: (package["version"], {file["hash"] for file in package["files"]})
        for package in LOCK["package"]
        if groups & set(package["groups"])
    }


@files
def test_names_versions_and_hashes_are_those_of_the_lock(name):
    packages = {package: pin[:2] for package, pin in exported(name).items()}
    assert packages == locked(GROUPS[name])


@files
def test_every_package_has_a_sha256(name):
    for package, (_, hashes, _) in exported(name).items():
        assert hashes, package
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", hash) for hash in hashes), package


@files
def test_the_markers_let_in_what_this_platform_needs(name):
    """Markers exclude packages only for other platforms, as the lock does."""
    conditions = {package["name"]: package.get("markers") for package in LOCK["package"]}
    for package, (_, _, marker) in exported(name).items():
        if marker and not Marker(marker).evaluate():
            assert conditions[package], f"{package} is needed everywhere"


def test_the_files_name_no_index():
    for name in GROUPS:
        assert not re.search("index-url|find-links|trusted-host|://", (ROOT / name).read_text())


def test_the_lock_names_no_other_index():
    assert [package["name"] for package in LOCK["package"] if "source" in package] == []
    assert "://" not in re.sub("#.*", "", (ROOT / "poetry.lock").read_text())


def test_the_lock_has_what_the_project_asks_for():
    asked = {
        "main": PROJECT["project"]["dependencies"],
        "dev": PROJECT["dependency-groups"]["dev"],
    }
    for group, requirements in asked.items():
        names = {canonicalize_name(re.match(r"[\w.-]+", line)[0]) for line in requirements}
        assert names <= set(locked({group})), group


def test_the_lock_takes_the_pythons_that_the_project_takes():
    assert LOCK["metadata"]["python-versions"] == PROJECT["project"]["requires-python"]
