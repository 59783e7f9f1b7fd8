"""The documents name only what exists, and each is in the index."""

import re

import pytest

from tests.servers import ROOT

DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
)
FOLDERS = "chat|realmate|tests|docs|bench|templates|static|locale"
PATH = re.compile(rf"`((?:(?:{FOLDERS})/|manage\.py|pyproject\.toml)[\w./-]*)(?:::(\w+))?")
LINK = re.compile(r"\]\(([^)#:]*)(?:#([\w-]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

each_document = pytest.mark.parametrize("document", DOCUMENTS)


def text_of(path) -> str:
    return (ROOT / path).read_text()


def defines(path: str, name: str) -> bool:
    """Whether a Python file has a function, a class or a constant of this name."""
    definition = rf"^\s*(?:def {name}\(|class {name}\b|{name}\b.*? = )"
    return re.search(definition, text_of(path), re.MULTILINE) is not None


def anchors_of(path) -> set[str]:
    headings = HEADING.findall(text_of(path))
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@each_document
def test_every_file_and_every_name_in_it_that_a_document_names_exists(document):
    for path, name in PATH.findall(text_of(document)):
        assert (ROOT / path).exists(), path
        assert not name or defines(path, name), f"{path}::{name}"


@each_document
def test_every_link_of_a_document_leads_to_a_file_and_a_heading_of_it(document):
    for target, anchor in LINK.findall(text_of(document)):
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), target
        assert not anchor or anchor in anchors_of(path), f"{target}#{anchor}"


def test_the_index_links_every_document():
    targets = {target for target, _ in LINK.findall(text_of("docs/README.md"))}
    documents = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert documents - targets == {"README.md"}


def test_the_index_of_the_decisions_has_each_heading_in_order():
    text = text_of("docs/decisions.md")
    index = re.findall(r"^ *- \[(.+)\]\(#", text, re.MULTILINE)
    assert index == re.findall(r"^##+ (.+)$", text, re.MULTILINE)


def test_a_name_that_is_not_there_is_found_to_be_missing():
    assert defines("tests/test_documents.py", "test_the_index_links_every_document")
    assert not defines("tests/test_documents.py", "test_the_index")
