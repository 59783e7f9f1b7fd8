"""Polls tell of customers' messages in conversations beyond the page's list."""

import re
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from chat.models import Change, begin_generation, latest_cursor
from chat.upkeep import erasure
from chat.views import heard
from tests.conftest import NOW, OTHER_C, C, id_of, make_event

pytestmark = pytest.mark.both_engines("the order of changes is kept in two ways")

PART = re.compile('id="heard" data-after="([^"]*)"\\s+data-heard="([^"]*)"\\s+(data-more)?')


@pytest.fixture
def opened(deliver):
    for id in (C, OTHER_C):
        deliver(make_event("NEW_CONVERSATION", id=id))


@pytest.fixture
def say(deliver):
    def say(n, direction="RECEIVED", conversation=C):
        at = f"2025-02-21T10:{30 + n}:00"
        ids = {"id": id_of(n), "conversation_id": conversation}
        deliver(make_event("NEW_MESSAGE", at=at, direction=direction, **ids))

    return say


def ask(after, **parameters):
    return Client().get("/ui/fragments/poll/", {"rows": 0, "after": str(after)} | parameters)


def told(answer):
    after, parts, more = PART.search(answer.content.decode()).groups()
    return after, sorted(parts.split()), bool(more)


def test_what_customers_wrote_since_the_cursor_is_told_once_a_conversation(opened, say):
    say(1)
    before = latest_cursor()
    say(2)
    say(3)
    say(4, conversation=OTHER_C)
    after, parts, more = told(ask(before))
    assert parts == sorted([f"{C}:3:2", f"{OTHER_C}:1:1"])
    assert not more
    assert after == str(latest_cursor())


def test_what_the_company_sent_is_no_news(opened, say):
    before = latest_cursor()
    say(1, "SENT")
    assert told(ask(before))[1] == []


def test_a_text_after_closing_is_told(opened, deliver, say):
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    before = latest_cursor()
    say(1)
    assert told(ask(before))[1] == [f"{C}:1:1"]


def test_an_erased_conversation_is_told_with_what_is_left(opened, deliver, say):
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    say(1)
    before = latest_cursor()
    erasure.erase(UUID(C), at=NOW)
    assert told(ask(before))[1] == [f"{C}:0:0"]


def test_nothing_new_is_a_204_and_two_queries(opened, say, django_assert_num_queries):
    say(1)
    now = latest_cursor()
    stamp = re.search('name="stamp" value="([^"]+)"', ask(now).content.decode())[1]
    with django_assert_num_queries(2):
        assert ask(now, stamp=stamp).status_code == 204


def test_news_of_others_bring_no_list_again(opened, say, held):
    asked = held("/ui/?filter=closed") | {"after": str(latest_cursor())}
    say(1)
    answer = Client().get("/ui/fragments/poll/", asked).content.decode()
    assert f"{C}:1:1" in answer
    assert 'id="list"' not in answer
    assert f'value="{asked["stamp"]}"' in answer


def test_more_than_one_answer_tells_is_told_by_the_next(opened, say, monkeypatch):
    monkeypatch.setattr(heard, "MOST_CHANGES", 2)
    cursor = latest_cursor()
    for n in range(1, 4):
        say(n)
    cursor, parts, more = told(ask(cursor))
    assert parts == [f"{C}:3:2"]
    assert more
    cursor, parts, more = told(ask(cursor))
    assert parts == [f"{C}:3:1"]
    assert not more


@pytest.mark.parametrize("after", ["", "x", "0" * 8 + "-1", "-1", "<b>"])
def test_a_cursor_that_is_none_of_this_database_begins_at_now(opened, say, after):
    say(1)
    assert told(ask(after)) == (str(latest_cursor()), [], False)


def test_a_cursor_from_the_future_begins_at_now(opened):
    now = latest_cursor()
    assert told(ask(now._replace(place=now.place + 5)))[0] == str(now)


def test_a_cursor_of_before_a_restore_begins_at_now(opened, say):
    before = latest_cursor()
    say(1)
    begin_generation()
    assert told(ask(before)) == (str(latest_cursor()), [], False)


def test_a_browser_that_was_away_for_too_long_begins_at_now(opened, say, monkeypatch):
    monkeypatch.setattr(heard, "MOST_BEHIND", 2)
    before = latest_cursor()
    for n in range(1, 4):
        say(n)
    assert told(ask(before)) == (str(latest_cursor()), [], False)


def test_a_change_without_a_place_is_told_by_the_poll_that_gives_it_one(opened, say):
    before = latest_cursor()
    say(1)
    if connection.vendor == "postgresql":
        assert Change.objects.filter(position=None).exists()
    assert told(ask(before))[1] == [f"{C}:1:1"]
    assert latest_cursor().place == before.place + 1


def test_a_page_brings_the_cursor_of_before_its_rows(opened, client):
    now = latest_cursor()
    assert f'data-after="{now}"' in client.get("/ui/").content.decode()
