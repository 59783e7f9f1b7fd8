"""Styles, scripts and templates in their source: short lines, nothing twice, no search through a thread."""

import re

import pytest

from tests.servers import ROOT

pytestmark = pytest.mark.sqlite

STYLES = {path.name: path.read_text() for path in (ROOT / "static/chat").glob("*.css")}
COMMENT = re.compile(r"/\*.*?\*/", re.S)
# Elements around a whole thread. Unless limited to children, :has() on them looks through all messages.
AROUND_A_THREAD = r"(?:html|body|\.panes|\.thread-pane|\.thread-scroll|\.thread|\.messages)"


def test_no_has_looks_through_a_long_thread():
    """Each older page would cost such a search. Paper, and pages without scripts, load no older pages."""
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


def test_no_line_of_a_template_is_long():
    templates = [path for path in (ROOT / "templates").rglob("*") if path.is_file()]
    assert len(templates) > 50
    assert [
        (path.name, line)
        for path in templates
        for line in path.read_text().split("\n")
        if len(line) > 160
    ] == []


# Without its unit.
SCRIPTED = re.compile(r"^const ([A-Z_]+?)(?:_MS|_US|_PX)? = -?[\d_]+ ?[;*]", re.M)


def test_a_limit_of_the_server_has_no_twin_in_a_script():
    """Scripts read limits from the attributes that `limits` gives the page."""
    scripts = "".join(path.read_text() for path in (ROOT / "static/chat").glob("*.js"))
    ours = "".join(path.read_text() for path in (ROOT / "chat").rglob("*.py"))
    assert len(SCRIPTED.findall(scripts)) > 5
    served = set(re.findall(r"^([A-Z_]+) = (?:timedelta\(|\d)", ours, re.M))
    assert set(SCRIPTED.findall(scripts)) & served == set()


def rules(style):
    """Return each selector with its declarations, outside of media queries."""
    top = re.sub(r"@\w[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", COMMENT.sub("", style))
    return re.findall(r"([^{};]+)\{([^{}]*)\}", top)


def test_no_rule_stands_in_two_styles():
    told = [
        (" ".join(selector.split()), " ".join(declarations.split()))
        for name, text in STYLES.items()
        for selector, declarations in rules(text)
    ]
    assert len(told) > 300
    assert [rule for rule in set(told) if told.count(rule) > 1] == []
