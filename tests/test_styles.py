"""The styles and templates as they are written: short lines, nothing twice, and no search through a thread."""

import re

import pytest

from tests.servers import ROOT

pytestmark = pytest.mark.sqlite

STYLES = {path.name: path.read_text() for path in (ROOT / "static/chat").glob("*.css")}
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# What holds a whole thread, and so everything that :has() looks through unless it stays among children.
AROUND_A_THREAD = r"(?:html|body|\.panes|\.thread-pane|\.thread-scroll|\.thread|\.messages)"


def test_no_has_looks_through_a_long_thread():
    """Each older page would cost that search. Paper, and pages without scripts, load none."""
    deep = re.compile(rf"{AROUND_A_THREAD}(?::not\()?:has\((?!>)[^)]*\)")
    inbox = COMMENT.sub("", STYLES["base.css"] + STYLES["inbox.css"])
    loading = re.sub(r"@media \(scripting: none\) \{.*?\n\}", "", inbox, flags=re.S)
    assert deep.findall(loading) == []


def test_no_line_of_a_style_is_long():
    assert [
        (name, line)
        for name, text in STYLES.items()
        for line in text.split("\n")
        if len(line) > 120
    ] == []
