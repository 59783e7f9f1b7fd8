"""Heavy reads: few at a time, none for HEAD, and each with an end."""

from contextlib import ExitStack
from datetime import timedelta
from time import sleep

import pytest
from django.core.cache import cache
from django.core.signals import request_finished
from django.db import OperationalError, close_old_connections, connection

from chat import statistics
from chat.api import reads, serializers
from chat.bodies import streamed
from chat.database.time_limits import TooSlow, at_most
from chat.heavy import reading
from chat.models import Conversation, MessageQuerySet, messages
from tests.conftest import C, M, make_event

pytestmark = pytest.mark.both_engines("reads in chunks, and stops queries")

LONG = [
    f"/conversations/{C}",
    f"/conversations/{C}/transcript.txt",
    f"/conversations/{C}/transcript.csv",
    f"/conversations/{C}/transcript.xlsx",
    f"/ui/{C}/print",
]
STREAMED = LONG[1:]
STATISTICS = ["/stats", "/ui/stats"]
TABLE = "/ui/list.csv"  # of all conversations, however few
EVERY_SECOND = """
    WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 2000000000)
    SELECT COUNT(*) FROM counted
"""


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr(reading, "WAIT_SECONDS", 0)
    monkeypatch.setattr(reading, "MANY_MESSAGES", 3)
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def thread(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    for number in range(3):
        id = f"00000000-0000-4000-8000-{number:012}"
        deliver(make_event("NEW_MESSAGE", id=id, at=f"2025-02-21T10:20:{number:02}"))


@pytest.fixture
def short_thread(thread, monkeypatch):
    monkeypatch.setattr(reading, "MANY_MESSAGES", 4)


@pytest.fixture
def no_turn_left():
    with ExitStack() as turns:
        for _ in range(reading.READS_AT_ONCE):
            turns.enter_context(reading.turn_to_read())
        yield


def assert_all_turns_are_free():
    with ExitStack() as turns:
        for _ in range(reading.READS_AT_ONCE):
            turns.enter_context(reading.turn_to_read())


@pytest.mark.parametrize("path", [*LONG, *STATISTICS, TABLE])
def test_one_more_is_told_to_come_back(client, thread, no_turn_left, path):
    answer = client.get(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    if path.startswith("/ui/"):
        assert answer["Content-Type"].startswith("text/html")
        assert "em alguns segundos" in answer.content.decode()
    else:
        assert answer.json()["code"] == "too_many_reads"


@pytest.mark.parametrize("path", LONG)
def test_a_short_conversation_needs_no_turn(client, short_thread, no_turn_left, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", LONG + STATISTICS)
def test_head_reads_nothing_and_needs_no_turn(client, thread, no_turn_left, monkeypatch, path):
    for name in ("in_chunks", "as_text"):
        monkeypatch.setattr(MessageQuerySet, name, fail)
    monkeypatch.setattr(statistics, "read_statistics", fail)
    answer = client.head(path)
    assert answer.status_code == 200
    assert "Content-Length" not in answer  # the length is unknown, and 0 would be wrong


@pytest.mark.parametrize("path", STREAMED)
def test_a_stream_holds_its_turn_until_it_is_closed(client, thread, path):
    answers = [client.get(path) for _ in range(reading.READS_AT_ONCE)]
    assert client.get(path).status_code == 503
    for answer in answers:
        close(answer)
    assert_all_turns_are_free()


def close(answer):
    """Close the answer, as a server does for a client that has gone away. Keep the test's connection."""
    request_finished.disconnect(close_old_connections)
    answer.close()
    request_finished.connect(close_old_connections)


def test_a_closed_answer_gives_its_turn_back_while_it_is_still_held(thread):
    answers = [streamed(iter("abcd")) for _ in range(reading.READS_AT_ONCE)]
    for answer in answers:
        close(answer)
    assert_all_turns_are_free()


@pytest.mark.parametrize("path", [*LONG, *STATISTICS, TABLE])
def test_the_turn_is_free_after_the_answer(client, thread, path):
    for _ in range(2 * reading.READS_AT_ONCE):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.getvalue() if answer.streaming else answer.content
    assert_all_turns_are_free()


@pytest.mark.parametrize("path", LONG + STATISTICS)
def test_the_turn_is_free_after_an_error(client, thread, monkeypatch, path):
    client.raise_request_exception = False
    for name in ("in_chunks", "as_text"):
        monkeypatch.setattr(MessageQuerySet, name, fail)
    monkeypatch.setattr(statistics, "read_statistics", fail)
    assert client.get(path).status_code == 503
    assert_all_turns_are_free()


def fail(*args, **kwargs):
    raise OperationalError("the server is gone")


# Statistics


@pytest.fixture
def _slow(monkeypatch):
    """Make every period too slow to read."""
    monkeypatch.setattr(statistics, "MOST_SECONDS", -1)


@pytest.mark.usefixtures("_slow")
def test_a_period_that_takes_too_long_is_refused_with_advice(client, thread):
    answer = client.get("/stats?days=90")
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert answer.json()["code"] == "period_too_long"
    assert "shorter" in answer.json()["detail"]


def test_an_error_that_django_did_not_translate_is_the_end_of_the_time_too(db):
    """For example when Django closes a PostgreSQL cursor whose query was no longer sent."""

    def close_late():
        sleep(0.02)
        raise connection.Database.OperationalError("canceling statement due to statement timeout")

    with pytest.raises(TooSlow), at_most(0.01):
        close_late()


@pytest.mark.usefixtures("_slow")
def test_the_page_says_so_beside_the_periods(client, thread):
    answer = client.get("/ui/stats?days=90&lang=en")
    assert answer.status_code == 503
    assert "Choose a shorter period" in answer.content.decode()
    assert 'name="days"' in answer.content.decode()


@pytest.mark.usefixtures("_slow")
def test_it_is_refused_for_a_minute_without_a_query(client, thread, django_assert_num_queries):
    client.get("/stats?days=90")
    with django_assert_num_queries(0):
        assert client.get("/stats?days=90").status_code == 503


def test_the_database_stops_a_query_whose_time_is_over(db):
    with pytest.raises(TooSlow), at_most(0.1), connection.cursor() as cursor:
        cursor.execute(EVERY_SECOND)


def test_the_connection_is_as_before_afterwards(db):
    for _ in range(2):
        with pytest.raises(TooSlow), at_most(0.05), connection.cursor() as cursor:
            cursor.execute(EVERY_SECOND)
        with at_most(timedelta(hours=1).total_seconds()), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM chat_message")
        assert cursor.fetchone() == (0,)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() != ("1h",)


def test_an_error_of_the_database_stays_one(db):
    with pytest.raises(OperationalError), at_most(60):
        fail()


# Streamed conversations


@pytest.fixture
def streamed_thread(thread, monkeypatch):
    monkeypatch.setattr(reads, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(messages, "TEXT_CHUNK", 2)


def test_a_very_long_conversation_is_streamed_with_the_same_bytes(
    client, thread, deliver, monkeypatch
):
    late = {"at": "2025-02-21T10:20:01", "content": 'Late: "\\\n\u2028😀"' * 2_000}
    deliver(make_event("NEW_MESSAGE", id=M, **late))
    whole = client.get(f"/conversations/{C}")
    monkeypatch.setattr(reads, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(messages, "TEXT_CHUNK", 2)
    streamed = client.get(f"/conversations/{C}")
    assert streamed.streaming
    assert streamed.getvalue() == whole.content
    for name in ("ETag", "Content-Type", "Cache-Control"):
        assert streamed[name] == whole[name]


def test_what_arrives_meanwhile_is_not_in_the_stream(client, streamed_thread, deliver):
    before = client.get(f"/conversations/{C}")
    now = Conversation.objects.with_last_arrival().get()
    pieces = serializers.conversation_pieces(now, last_arrival=now.last_arrival)
    deliver(make_event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:01"))
    assert b"".join(pieces) == before.getvalue()
    assert client.get(f"/conversations/{C}")["ETag"] != before["ETag"]


def test_an_unchanged_one_is_a_304_and_head_has_its_etag(client, streamed_thread):
    etag = client.get(f"/conversations/{C}")["ETag"]
    answer = client.get(f"/conversations/{C}", headers={"If-None-Match": etag})
    assert (answer.status_code, answer["ETag"]) == (304, etag)
    assert client.head(f"/conversations/{C}")["ETag"] == etag


def test_its_pieces_are_read_as_they_are_sent(client, streamed_thread, monkeypatch):
    monkeypatch.setattr(serializers, "BYTES_A_PIECE", 1)
    answer = client.get(f"/conversations/{C}")
    assert len(list(answer)) == 4
