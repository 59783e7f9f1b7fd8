"""On PostgreSQL a request has one deadline, for all its waits together."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from signal import SIGCONT, SIGSTOP

import psycopg
import pytest
from django.contrib.auth import hashers
from django.db import OperationalError, connection, transaction

from chat.heavy import hashing
from chat.refusals import TooManyLogins
from realmate.postgresql.base import a_request

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.both_engines("a deadline of PostgreSQL"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.alone("an error within seconds"),
]

SECONDS = 1
# The pool's own timeout is longer by five seconds.
MARGIN = 3


def session():
    """Return the id of the server process of this connection."""
    with connection.cursor() as cursor:
        return cursor.execute("SELECT pg_backend_pid()").fetchone()[0]


@contextmanager
def frozen(pid):
    os.kill(pid, SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, SIGCONT)


@pytest.fixture
def idle():
    """The processes of the pool's two idle connections."""
    pool = connection.pool
    pool.open()
    both = [pool.getconn(), pool.getconn()]
    for each in both:
        pool.putconn(each)
    return {each.info.backend_pid for each in both}


def still_there(pids):
    parameters = connection.get_connection_params()
    with closing(psycopg.connect(**parameters)) as session:
        rows = session.execute("SELECT pid FROM pg_stat_activity").fetchall()
    return pids & {pid for (pid,) in rows}


def test_a_connection_that_freezes_in_a_transaction_costs_no_second_wait(idle):
    """Django ends the transaction while the connection is still frozen."""
    began = time.monotonic()
    with ExitStack() as thaw:
        own = []

        def freeze_in_a_transaction():
            with a_request(seconds=SECONDS), transaction.atomic():
                own.append(session())
                thaw.enter_context(frozen(own[0]))
                session()

        with pytest.raises(OperationalError):
            freeze_in_a_transaction()
        assert SECONDS <= time.monotonic() - began < SECONDS + MARGIN
    assert still_there(idle - {*own}) == idle - {*own}


def test_after_the_deadline_nothing_is_asked_for_any_more(idle):
    with a_request(seconds=0.2):
        session()
        connection.close()
        time.sleep(0.3)
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(OperationalError):
                session()
        assert time.monotonic() - began < MARGIN
    assert still_there(idle) == idle
    assert session() in idle  # this is another request, with a deadline of its own


@pytest.fixture
def slow_hashes(monkeypatch):
    """Make password hashes take longer than a request may wait for the database."""

    def hash_slowly(*_):
        time.sleep(1.5 * SECONDS)
        return "a hash"

    monkeypatch.setattr(hashers.PBKDF2PasswordHasher, "encode", hash_slowly)


def test_the_time_of_a_hash_is_not_counted(slow_hashes):
    with a_request(seconds=SECONDS):
        session()
        hashing.PBKDF2().encode("password", "salt")
        session()


def test_the_wait_for_a_turn_to_hash_is_not_counted(monkeypatch):
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 1.5 * SECONDS)
    with ThreadPoolExecutor(1) as others, a_request(seconds=SECONDS):
        for _ in range(hashing.HASHES_AT_ONCE):
            assert others.submit(hashing._turns._turns.acquire, timeout=10).result()
        session()
        with pytest.raises(TooManyLogins), hashing.turn_to_hash():
            pass
        for _ in range(hashing.HASHES_AT_ONCE):
            hashing._turns._turns.release()
        session()


def test_a_hash_gives_no_more_time_to_the_database(slow_hashes):
    with a_request(seconds=SECONDS):
        session()
        hashing.PBKDF2().encode("password", "salt")
        time.sleep(SECONDS)
        with pytest.raises(OperationalError):
            session()
    connection.close()
