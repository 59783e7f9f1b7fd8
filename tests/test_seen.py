"""What a user has seen of each conversation, kept for all browsers of the user."""

import re

import pytest
from django.test import Client

from chat.models import Seen, latest_cursor
from tests.conftest import OTHER_C, C, id_of, make_event

pytestmark = pytest.mark.both_engines("a row that two tabs write at once")


@pytest.fixture
def agent(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("bia"))
    return client


@pytest.fixture
def written(deliver):
    """A conversation in which the customer wrote three times."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    for n in range(1, 4):
        at = f"2025-02-21T10:{30 + n}:00"
        deliver(make_event("NEW_MESSAGE", id=id_of(n), at=at, direction="RECEIVED"))


def note(client, count, **data):
    return client.post("/ui/fragments/seen/", {"conversation": C, "count": count} | data)


def kept():
    return list(Seen.objects.values_list("count", flat=True))


def test_the_highest_count_is_kept_in_any_order(written, agent):
    for count in (2, 3, 1, 3):
        assert note(agent, count).status_code == 204
    assert kept() == [3]


def test_mark_as_unread_lowers_it(written, agent):
    note(agent, 3)
    note(agent, 2, unread="yes")
    assert kept() == [2]


def test_nobody_has_seen_more_than_there_is(written, agent):
    note(agent, 99)
    assert kept() == [3]


def test_each_user_has_a_count(written, agent, django_user_model):
    note(agent, 3)
    other = Client()
    other.force_login(django_user_model.objects.create_user("ana"))
    note(other, 1)
    assert sorted(kept()) == [1, 3]
    assert 'data-seen="1"' in other.get("/ui/").content.decode()


def test_rows_and_news_tell_what_was_seen(written, agent, deliver):
    assert "data-seen" not in agent.get("/ui/").content.decode()
    note(agent, 2)
    for address in ("/ui/", "/ui/fragments/list/", "/ui/fragments/poll/?rows=50"):
        assert 'data-count="3" data-seen="2"' in agent.get(address).content.decode()
    after = latest_cursor()
    deliver(make_event("NEW_MESSAGE", id=id_of(9), at="2025-02-21T11:00:00", direction="RECEIVED"))
    answer = agent.get("/ui/fragments/poll/", {"rows": 0, "after": str(after)}).content.decode()
    assert re.search(f'data-heard="{C}:4:1:2 "', answer)


def test_without_a_login_nothing_is_kept(written, client):
    assert note(client, 3).status_code == 204
    assert kept() == []


def test_a_stranger_keeps_nothing(written, client, settings):
    settings.LOGIN_REQUIRED = True
    assert note(client, 3).status_code == 401
    assert kept() == []


@pytest.mark.parametrize("count", ["", "-1", "x", "1.0", "9" * 30])
def test_a_count_that_is_none_is_refused(written, agent, count):
    assert note(agent, count).status_code == 400
    assert kept() == []


@pytest.mark.parametrize("conversation", [OTHER_C, "", "x"])
def test_an_unknown_conversation_is_not_found(written, agent, conversation):
    assert note(agent, 1, conversation=conversation).status_code == 404


def test_a_count_needs_a_token_of_the_page(written, django_user_model):
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_user("bia"))
    assert note(client, 3).status_code == 403
    page = client.get("/ui/").content.decode()
    token = re.search('id="seen".*?name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    assert note(client, 3, csrfmiddlewaretoken=token).status_code == 204
