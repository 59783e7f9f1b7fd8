"""`GET /changes`: a following program misses nothing, and sees nothing twice."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from chat.api import changes
from chat.models import Change, begin_generation
from chat.upkeep import erasure
from tests.conftest import NOW, C, make_event
from tests.servers import assert_problem

pytestmark = pytest.mark.both_engines("reads the order of changes, which each engine makes")

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
M = "49108c71-4dca-4af3-9f32-61bc745926e2"


@pytest.fixture
def feed(client):
    """Asks for changes, and returns their types and the next cursor."""

    def feed(**parameters):
        answer = client.get("/changes", parameters)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        return [change["type"] for change in body["changes"]], body["next"]

    return feed


@pytest.fixture
def three(deliver):
    for event in (
        make_event("NEW_CONVERSATION", id=C),
        make_event("NEW_MESSAGE", id=M),
        make_event("CLOSE_CONVERSATION", id=C),
    ):
        deliver(event)


# Following


def test_from_the_first_change_to_the_last_and_on(feed, three, deliver):
    happened, cursor = feed()
    assert happened == ["opened", "message", "closed"]
    assert feed(after=cursor) == ([], cursor)
    deliver(make_event("NEW_CONVERSATION", id=D))
    happened, later = feed(after=cursor)
    assert (happened, later != cursor) == (["opened"], True)


def test_some_at_a_time(feed, three):
    happened, cursor = feed(limit=2)
    assert happened == ["opened", "message"]
    assert feed(limit=2, after=cursor)[0] == ["closed"]


def test_a_change_names_its_conversation_its_message_and_its_time(client, three):
    opened, message, _ = client.get("/changes").json()["changes"]
    assert opened == {
        "type": "opened",
        "at": "2025-02-21T12:00:00.000000Z",
        "conversation_id": C,
        "message_id": None,
    }
    assert message["message_id"] == M


def test_an_erasure_is_told(feed, three):
    erasure.erase(UUID(C), at=NOW)
    assert feed()[0][-1] == "erased"


def test_now_is_after_everything(feed, three, deliver):
    happened, cursor = feed(after="now")
    assert happened == []
    deliver(make_event("NEW_CONVERSATION", id=D))
    assert feed(after=cursor)[0] == ["opened"]


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_nothing_has_happened_yet(feed, deliver):
    happened, cursor = feed()
    assert happened == []
    assert feed(after="now")[1] == cursor
    deliver(make_event("NEW_CONVERSATION", id=C))
    assert feed(after=cursor)[0] == ["opened"]


def test_head_has_the_headers(client, three):
    answer = client.head("/changes")
    assert (answer.status_code, answer.content) == (200, b"")


# Refused cursors


@pytest.mark.parametrize(
    "cursor", ["", "x", "1", "deadbeef", "deadbeef-", "deadbeef--1", "deadbeef-01", "deadbeef-٣"]
)
def test_a_made_up_cursor_is_refused(client, three, cursor):
    answer = client.get("/changes", {"after": cursor})
    assert_problem(answer, 400, "bad_request")
    assert answer.json()["errors"][0]["pointer"] == "/after"


@pytest.mark.parametrize("place", [10**9, 10**17])
def test_a_cursor_of_the_future_is_refused(client, feed, three, place):
    generation = feed()[1].partition("-")[0]
    assert_problem(client.get("/changes", {"after": f"{generation}-{place}"}), 400, "bad_request")


def test_a_cursor_of_another_generation_has_expired(client, feed, three):
    cursor = feed()[1]
    begin_generation()
    answer = client.get("/changes", {"after": cursor})
    assert_problem(answer, 410, "cursor_expired")
    assert "/conversations?ordering=oldest" in answer.json()["detail"]


def test_a_cursor_before_what_is_kept_has_expired(client, feed, three):
    before, after_one, after_two = feed(limit=1)[1], None, None
    after_one = before
    after_two = feed(limit=1, after=after_one)[1]
    old = timezone.now() - timedelta(days=100)
    Change.objects.filter(type__in=["opened", "message"]).update(at=old)
    Change.objects.filter(type="closed").update(at=timezone.now())
    call_command("prune", "--yes")
    assert_problem(client.get("/changes", {"after": after_one}), 410, "cursor_expired")
    assert feed(after=after_two)[0] == ["closed"]
    assert feed()[0] == ["closed"]


def test_a_prune_between_the_look_and_the_read_is_no_gap(client, feed, three, monkeypatch):
    cursor = feed(limit=1)[1]
    read = changes.changes_from

    def prune_and_read(start, limit):
        [*older, _] = Change.objects.placed()
        Change.objects.filter(pk__in=[change.pk for change in older]).delete()
        return read(start, limit)

    monkeypatch.setattr(changes, "changes_from", prune_and_read)
    assert_problem(client.get("/changes", {"after": cursor}), 410, "cursor_expired")


def test_numbers_that_were_never_given_are_no_gap(client, feed, three):
    """Ids of a database copied from PostgreSQL have holes, from transactions rolled back."""
    cursor = feed(limit=1)[1]
    Change.objects.filter(type="message").delete()
    happened, following = feed(after=cursor)
    assert happened == ["closed"]
    assert feed(after=following) == ([], following)


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "x"},
        {"wait": "26"},
        {"wait": "-1"},
        {"wait": "1.5"},
        {"wait": "٣"},
        {"since": "now"},
    ],
)
def test_wrong_parameters_are_refused(client, db, parameters):
    assert_problem(client.get("/changes", parameters), 400, "bad_request")


# Waiting


@pytest.fixture
def looks(transactional_db, monkeypatch):
    """Return a list of calls. Each runs before one look at the feed, and the looks have no pause between them."""
    before: list = []

    def wait(seconds):
        if before:
            before.pop(0)()
        return False

    monkeypatch.setattr(changes.stopping, "wait", wait)
    return before


def test_the_answer_comes_with_the_first_change(feed, three, deliver, looks):
    looks += [lambda: None, lambda: deliver(make_event("NEW_CONVERSATION", id=D))]
    assert feed(after=feed()[1], wait=25)[0] == ["opened"]


def test_who_need_not_wait_does_not(feed, three, looks):
    looks += [lambda: pytest.fail("it waited")]
    assert len(feed(wait=25)[0]) == 3


def test_the_wait_ends(transactional_db, feed, three, monkeypatch):
    monkeypatch.setattr(changes, "monotonic", iter(range(1000)).__next__)
    monkeypatch.setattr(changes.stopping, "wait", lambda seconds: False)
    cursor = feed()[1]
    assert feed(after=cursor, wait=25) == ([], cursor)


def test_a_stop_of_the_server_ends_the_wait(transactional_db, feed, three, monkeypatch):
    monkeypatch.setattr(changes.stopping, "wait", lambda seconds: True)
    assert feed(after=feed()[1], wait=25)[0] == []


def test_one_too_many_is_answered_at_once(feed, three, looks):
    looks += [lambda: pytest.fail("it waited")]
    taken = [changes.waiting.acquire(blocking=False) for _ in range(changes.MOST_WAITING)]
    try:
        assert all(taken)
        assert feed(after=feed()[1], wait=25)[0] == []
    finally:
        for _ in taken:
            changes.waiting.release()


def test_who_waited_leaves_room_for_others(transactional_db, feed, three, monkeypatch):
    monkeypatch.setattr(changes.stopping, "wait", lambda seconds: True)
    for _ in range(changes.MOST_WAITING + 1):
        feed(after=feed()[1], wait=1)
    assert changes.waiting.acquire(blocking=False)
    changes.waiting.release()


def test_no_connection_is_kept_while_waiting(transactional_db, client, monkeypatch):
    """PostgreSQL's pool has 16, and the webhook needs them."""
    open_ones = []

    def wait(seconds):
        open_ones.append(connection.connection is not None)
        return True

    monkeypatch.setattr(changes.stopping, "wait", wait)
    client.get("/changes", {"wait": "5"})
    assert open_ones == [connection.vendor == "sqlite"]


# Permissions


def test_a_reader_needs_a_login_or_a_token(settings, client, db):
    settings.LOGIN_REQUIRED = True
    assert_problem(client.get("/changes"), 401, "not_authenticated")
