"""The bundles of production are made of the current scripts and styles."""

import re

import pytest

from tests.bundles import BUNDLES, ENTRIES, SUMS, sums
from tests.servers import ROOT

pytestmark = pytest.mark.sqlite

LOADED = re.compile(r"""static 'chat/([\w-]+\.(?:js|css))'""")
# Swagger UI is a package, and its page is not bundled. theme.js must run before the first paint.
APART = {"docs.js", "docs.css", "theme.js"}


def test_the_bundles_are_of_the_sources_as_they_are():
    assert SUMS.read_text() == sums(), "run `make bundles`"


def test_whatever_a_page_loads_is_bundled():
    pages = "".join(page.read_text() for page in (ROOT / "templates").rglob("*.html"))
    assert set(LOADED.findall(pages)) - APART == set(ENTRIES)


@pytest.mark.parametrize("name", ENTRIES)
def test_a_bundle_loads_nothing_further(name):
    assert not re.search(r"^\s*(?:import\b|@import\b)", (BUNDLES / name).read_text(), re.MULTILINE)
