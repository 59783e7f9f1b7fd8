"""Refusals: each is whole, and what is said of them elsewhere is the same."""

import re

import pytest

from chat import refusals
from chat.refusals import ALL, OF_EVENTS, OF_STATUS, REFUSALS, Refusal, refusal_for
from tests.errors_document import DOCUMENT, errors_document
from tests.servers import ROOT


def subclasses_of(refusal):
    for subclass in refusal.__subclasses__():
        yield subclass
        yield from subclasses_of(subclass)


def test_every_refusal_stands_in_one_file_under_a_code_of_its_own():
    every = [refusal for refusal in subclasses_of(Refusal) if hasattr(refusal, "code")]
    assert {refusal.__module__ for refusal in every} == {refusals.__name__}
    with_a_code = [refusal for refusal in every if "code" in vars(refusal)]
    # An erased conversation answers as a closed one.
    assert set(with_a_code) - set(ALL) == {refusals.ConversationErased}


@pytest.mark.parametrize("refusal", ALL, ids=lambda refusal: refusal.code)
def test_a_refusal_says_all_that_is_asked_of_it(refusal):
    assert 400 <= refusal.status < 600
    assert refusal.detail.endswith(".")
    assert str(refusal.reason).endswith(".")
    assert isinstance(refusal.retry, bool)


def test_what_the_log_records_has_words_of_its_own():
    assert len({str(refusal.reason) for refusal in OF_EVENTS}) == len(OF_EVENTS)
    assert Refusal.reason not in {refusal.reason for refusal in OF_EVENTS}


def test_a_status_stands_for_a_refusal_of_that_status():
    for status, refusal in OF_STATUS.items():
        assert refusal.status == status
    assert refusal_for(418).code == "bad_request"
    assert refusal_for(500).code == "try_again"


def test_the_document_is_what_the_refusals_say():
    assert DOCUMENT.read_text() == errors_document(), "run `make errors`"


def test_each_that_a_retry_cannot_help_says_what_helps():
    assert [each.code for each in ALL if not each.retry and each.remedy == Refusal.remedy] == []


def table_of(document):
    """By code: the status and whether to send again, as the table of deliveries has them."""
    text = (ROOT / document).read_text()
    rows = re.findall(r"^\|.*\| (\d{3}) \| `(\w+)`[^|]*\| (\w+)", text, re.MULTILINE)
    return {code: (int(status), again) for status, code, again in rows}


@pytest.mark.parametrize(
    ("document", "yes", "no"),
    [("docs/senders.md", "yes", "no"), ("docs/reference.pt-BR.md", "sim", "não")],
)
def test_both_tables_tell_the_statuses_and_whether_to_send_again(document, yes, no):
    table = table_of(document)
    assert {refusal.code for refusal in OF_EVENTS} < set(table)
    for code, told in table.items():
        if code in REFUSALS:
            refusal = REFUSALS[code]
            assert told == (refusal.status, yes if refusal.retry else no), code
