"""A user's reads of each conversation, kept for all browsers of the user."""

import re
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from uuid import UUID

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client

from chat.models import Seen, User, begin_generation, latest_cursor, note_seen
from chat.views import heard
from tests.conftest import OTHER_C, C, id_of, make_event

pytestmark = pytest.mark.both_engines("a row that two tabs write at once")


@pytest.fixture
def written(deliver):
    """A conversation with three messages of the customer."""
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


# News for the user's other browsers

SEEN = re.compile('data-seen-after="([^"]*)"\\s+data-seen="([^"]*)"')


@pytest.fixture
def ask(agent):
    """Poll. Return the place of the user's last number, the numbers, and the answer."""

    def ask(place, after=None, **more):
        cursors = {"after": str(after or latest_cursor()), "seen": place}
        answer = agent.get("/ui/fragments/poll/", {"rows": 0} | cursors | more)
        found = SEEN.search(answer.content.decode())
        return (int(found[1]), sorted(found[2].split()), answer) if found else (None, [], answer)

    return ask


def test_what_was_seen_is_told_to_the_users_other_browsers(written, agent, ask):
    note(agent, 2)
    assert ask(0)[:2] == (1, [f"{C}:3:2"])
    assert ask(1)[:2] == (None, [])
    note(agent, 3)
    assert ask(1)[:2] == (2, [f"{C}:3:3"])


def test_a_mark_as_unread_is_told_too(written, agent, ask):
    note(agent, 3)
    note(agent, 2, unread="yes")
    assert ask(1)[:2] == (2, [f"{C}:3:2"])


def test_a_number_that_changes_nothing_is_not_told(written, agent, ask):
    note(agent, 3)
    for count in (3, 2):
        note(agent, count)
    assert ask(1)[:2] == (None, [])


def test_the_numbers_of_another_user_are_not_told(written, agent, ask, django_user_model):
    other = Client()
    other.force_login(django_user_model.objects.create_user("ana"))
    note(other, 3)
    assert ask(0)[:2] == (None, [])


def test_an_idle_poll_of_a_user_takes_no_further_query(
    written, agent, ask, django_assert_num_queries
):
    note(agent, 3)
    stamp = re.search('name="stamp" value="([^"]+)"', ask(0)[2].content.decode())[1]
    now = latest_cursor()
    with django_assert_num_queries(4):  # two of the queries are for session and user
        assert ask(1, now, stamp=stamp)[2].status_code == 204


def test_more_numbers_than_one_answer_tells_are_told_by_the_next(
    written, agent, ask, deliver, monkeypatch
):
    monkeypatch.setattr(heard, "MOST_CHANGES", 1)
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    note(agent, 3)
    note(agent, 0, conversation=OTHER_C)
    place, numbers, answer = ask(0)
    assert (place, numbers) == (1, [f"{C}:3:3"])
    assert "data-more" in answer.content.decode()
    place, numbers, answer = ask(place)
    assert (place, numbers) == (2, [f"{OTHER_C}:0:0"])
    assert "data-more" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_numbers_that_are_saved_at_once_get_places_of_their_own(deliver, django_user_model):
    user = django_user_model.objects.create_user("bia")
    ids = [UUID(id_of(n)) for n in range(8)]
    for id in ids:
        deliver(make_event("NEW_CONVERSATION", id=str(id)))

    def save(id):
        try:
            note_seen(user=user, conversation=id, count=0, may_lower=False)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(ids)) as tabs:
        list(tabs.map(save, ids))
    assert sorted(Seen.objects.values_list("place", flat=True)) == [1, 2, 3, 4, 5, 6, 7, 8]


# A new browser of the user


def begun(answer):
    tag = re.search('<div id="heard"[^>]*>', answer)[0]
    after = re.search('data-after="([^"]*)"', tag)[1]
    return after, "data-more" in tag, "data-afresh" in tag


@pytest.mark.parametrize("place", ["", "x", "-1", "9", "9" * 40])
def test_a_new_browser_begins_at_the_users_first_login(written, agent, ask, deliver, place):
    first = latest_cursor()
    deliver(make_event("NEW_MESSAGE", id=id_of(9), at="2025-02-21T11:00:00"))
    begins, numbers, answer = ask(place)
    assert (begins, numbers) == (0, [])
    assert begun(answer.content.decode()) == (str(first), True, True)
    assert f'data-heard="{C}:4:1 "' in ask(begins, first)[2].content.decode()


def test_where_nothing_has_come_since_a_new_browser_begins_at_now(written, agent, ask):
    assert begun(ask("")[2].content.decode()) == (str(latest_cursor()), False, True)


def test_the_first_login_stays_the_first(written, agent, django_user_model, deliver):
    first = User.objects.get().first_place
    deliver(make_event("NEW_MESSAGE", id=id_of(9), at="2025-02-21T11:00:00"))
    Client().force_login(User.objects.get())
    assert User.objects.get().first_place == first == latest_cursor().place - 1


def test_users_from_before_the_upgrade_begin_at_the_upgrade(written, agent, django_user_model):
    django_user_model.objects.create_user("ana")  # the user has never logged in
    User.objects.update(first_place=None)
    fill = import_module("chat.migrations.0019_seen_places").fill
    latest = latest_cursor().place  # this gives the changes their places
    note(agent, 2)
    Seen.objects.update(place=0)
    fill(apps, connection.schema_editor())
    assert Seen.objects.filter(place__gt=0).exists()
    assert dict(User.objects.values_list("username", "first_place")) == {"bia": latest, "ana": None}


def test_a_browser_that_missed_too_much_begins_afresh_half_as_far_back(
    written, agent, ask, monkeypatch
):
    User.objects.update(first_place=0)
    monkeypatch.setattr(heard, "MOST_BEHIND", 2)
    now = latest_cursor()
    answer = ask(0, now._replace(place=now.place - 3))[2].content.decode()
    assert begun(answer) == (str(now._replace(place=now.place - 1)), True, True)


def test_a_browser_that_missed_too_many_numbers_begins_afresh(written, agent, ask, monkeypatch):
    monkeypatch.setattr(heard, "MOST_SEEN_BEHIND", 2)
    for count in (1, 2, 3):
        note(agent, count)
    place, numbers, answer = ask(0)
    assert (place, numbers) == (2, [])
    assert begun(answer.content.decode())[2]


def test_after_a_restore_each_browser_of_a_user_begins_afresh(written, agent, ask):
    note(agent, 3)
    before = latest_cursor()
    begin_generation()
    assert begun(ask(1, before)[2].content.decode())[2]


def test_without_a_login_nobody_begins_afresh(written, client):
    now = latest_cursor()
    cursors = {"after": str(now), "seen": ""}
    answer = client.get("/ui/fragments/poll/", {"rows": 0} | cursors).content.decode()
    assert "afresh" not in answer
    assert "data-seen-after" not in answer
