"""What somebody meets before the first line of code: the licence, the version, and what make says."""

import tomllib

from realmate import __version__
from tests.servers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_licence_is_the_one_that_the_project_names():
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")


def test_the_version_is_the_one_that_the_project_names():
    assert __version__ == PROJECT["version"]


def test_the_description_of_the_api_carries_the_version(client):
    assert client.get("/schema").json()["info"]["version"] == PROJECT["version"]
