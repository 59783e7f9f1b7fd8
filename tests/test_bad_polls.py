"""Polls that no page of ours sends: each is refused, or asks for missing rows."""

import json
from base64 import urlsafe_b64encode
from urllib.parse import urlencode

import pytest

from chat.database.keyset import tag_of
from chat.models import Conversation
from tests.conftest import OTHER_C, C, M, make_event
from tests.servers import assert_page, through_wsgi

LARGE = "9" * 5_000
ARABIC = "\u0665\u0660"  # 50
MARKUP = "<b>echo</b>"
NUMBERS = ["", "-1", "+1", "1.0", "1e1", "0x1", " 1", "1_0", "x", MARKUP, LARGE, ARABIC, "5\u00b2"]
CHOICES = ["nothing", "ALL", "all ", "open\x00", "0", MARKUP, LARGE, ARABIC]
TAG = tag_of(Conversation, ("-activity_at", "-id"))
REFUSED = {
    "filter": CHOICES,
    "sort": [*CHOICES, "-activity_at"],
    "cursor": ["x", "=", " ", MARKUP, LARGE, ARABIC, "\x00"]
    + [
        urlsafe_b64encode(json.dumps(values).encode()).decode()
        for values in (
            None,
            {},
            [],
            [TAG],
            [TAG, 1],
            [TAG, "x", "y"],
            [TAG, LARGE, C],
            [TAG, "2025-02-21T10:00:00Z", -1],
            ["another", "2025-02-21T10:00:00Z", C],
        )
    ],
    "rows": [*NUMBERS, "501"],
    "arrival": [*NUMBERS, str(2**63)],
}
UNKNOWN = {
    "filter": [""],
    "sort": [""],
    "cursor": [""],
    "rows": ["0", "00", "500"],
    "arrival": ["0", str(2**63 - 1)],
    "conversation": ["", "x", OTHER_C, C[:8], C[:-1], MARKUP, LARGE, ARABIC, "\x00", "-1"],
    "stamp": ["", "x", "0" * 24, MARKUP, LARGE, ARABIC, "\x00"],
    "counts": ["", "x", "-1", "1-1-1-0-0-0", MARKUP, LARGE, ARABIC, "\x00"],
}


def each(values):
    return [
        pytest.param(name, value, id=f"{name}-{ascii(value)[:30]}")
        for name in values
        for value in values[name]
    ]


@pytest.fixture
def good(deliver, held):
    """Return the parameters of a poll from the page of a conversation with one message."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    return held(f"/ui/{C}/")


def poll(*parameters):
    return through_wsgi("GET", f"/ui/fragments/poll/?{urlencode(parameters)}")


def test_what_a_page_sends_is_answered_by_nothing_new(good):
    assert good.keys() == {"stamp", "filter", "sort", "cursor", "conversation", "arrival", "rows"}
    assert poll(*good.items()).status_code == 204


@pytest.mark.parametrize(("name", "value"), each(REFUSED))
def test_a_value_that_is_none_of_ours_is_refused_and_not_echoed(good, name, value):
    answer = poll(*(good | {name: value}).items())
    assert_page(answer, 400)
    assert "echo" not in answer.content.decode()
    assert LARGE not in answer.content.decode()


@pytest.mark.parametrize(("name", "value"), each(UNKNOWN))
def test_a_value_that_names_nothing_asks_for_nothing_and_is_not_echoed(good, name, value):
    answer = poll(*(good | {name: value}).items())
    assert answer.status_code in (200, 204)
    assert "echo" not in answer.content.decode()
    assert LARGE not in answer.content.decode()


@pytest.mark.parametrize("name", REFUSED)
def test_of_a_parameter_that_comes_twice_the_last_one_counts(good, name):
    bad = (name, REFUSED[name][1])
    assert poll(bad, *good.items()).status_code == 204
    assert_page(poll(*good.items(), bad), 400)


@pytest.mark.parametrize("stamp", ["", "x", LARGE])
def test_another_stamp_is_answered_by_all_that_the_page_shows(good, stamp):
    answer = poll(*(good | {"stamp": stamp}).items())
    assert answer.status_code == 200
    assert f'id="row-{C}"' in answer.content.decode()
    assert f'value="{good["stamp"]}"' in answer.content.decode()


def test_wrong_counts_are_answered_by_the_right_ones(good):
    right = "1-1-1-0-0"
    assert poll(*(good | {"counts": right}).items()).status_code == 204
    answer = poll(*(good | {"counts": f"{right}-0"}).items())
    assert f'value="{right}"' in answer.content.decode()


@pytest.mark.parametrize("conversation", ["", "x", OTHER_C, LARGE])
def test_an_unknown_conversation_has_no_news(good, conversation):
    answer = poll(*(good | {"conversation": conversation, "arrival": "0"}).items())
    assert "message-text" not in answer.content.decode()


def test_the_id_of_a_conversation_may_be_in_upper_case(good):
    assert poll(*(good | {"conversation": C.upper()}).items()).status_code == 204


def test_a_poll_without_any_parameter_tells_no_row_and_no_message(good):
    answer = poll()
    assert answer.status_code == 200
    assert C not in answer.content.decode()
