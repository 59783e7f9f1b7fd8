"""Acknowledged events are on disk: the tests kill the production server, and watch its writes."""

import json
import random
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from http.client import HTTPException
from statistics import median
from threading import Thread
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from tests.conftest import make_event
from tests.servers import Server, running, serving, set_up
from tests.system import strace

pytestmark = [
    pytest.mark.both_engines("what was acknowledged is on the disk"),
    pytest.mark.alone("kills servers under load"),
]

SENDERS = 8


def body(type, **data):
    return json.dumps(make_event(type, **data)).encode()


# kill -9


class Sender(Thread):
    """Writes to one conversation until the server is gone. Remembers the acknowledged messages."""

    def __init__(self, server):
        super().__init__()
        self.server, self.acknowledged = server, []

    def run(self):
        conversation = str(uuid4())
        with suppress(OSError, HTTPException):
            self.server.post(body("NEW_CONVERSATION", id=conversation))
            while True:
                id = str(uuid4())
                answer = self.server.post(body("NEW_MESSAGE", id=id, conversation_id=conversation))
                if answer.status_code == 201:
                    self.acknowledged.append(id.replace("-", ""))


def acknowledged_until_killed(server):
    senders = [Sender(server) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    time.sleep(random.uniform(0.05, 1))
    server.kill()
    for sender in senders:
        sender.join()
    return [id for sender in senders for id in sender.acknowledged]


def assert_nothing_is_lost(path, acknowledged):
    with closing(sqlite3.connect(path)) as database:
        stored = column(database, "SELECT id FROM chat_message")
        applied = column(
            database,
            "SELECT message_id FROM chat_delivery WHERE outcome = 'applied' AND type = 'NEW_MESSAGE'",
        )
        counted = column(database, "SELECT sum(message_count) FROM chat_conversation")
        assert column(database, "PRAGMA integrity_check") == ["ok"]
    assert set(acknowledged) <= set(stored)
    assert Counter(applied) == Counter(stored)
    assert counted == [len(stored) or None]


def column(database, query):
    return [row[0] for row in database.execute(query)]


def seconds_to_answer(environ, then):
    """Return the seconds from the server's start to its first stored event. Then call `then(server)`."""
    began = time.monotonic()
    with running("granian", environ) as server:
        assert server.post(body("NEW_CONVERSATION", id=str(uuid4()))).status_code == 201
        seconds = time.monotonic() - began
        then(server)
    return seconds


@pytest.mark.sqlite
@pytest.mark.proof
def test_a_server_that_is_killed_has_kept_what_it_acknowledged(tmp_path, rounds):
    environ = set_up("granian", tmp_path)
    path = tmp_path / "granian.sqlite3"
    acknowledged, controls, starts = [], [], []
    kills = rounds(quick=2, ci=3, long=200)
    for kill in range(kills):
        # Beside one another, because other programs may slow down the machine at any moment.
        if kill % 2 == 0:
            controls.append(seconds_to_answer(environ, Server.kill))
        seconds_to_answer(
            environ, lambda server: acknowledged.extend(acknowledged_until_killed(server))
        )
        starts.append(seconds_to_answer(environ, Server.kill))
        assert_nothing_is_lost(path, acknowledged)
    assert median(starts) - median(controls) < 2
    print(
        f"{kills} kills, {len(acknowledged)} acknowledged messages, none missing; a start takes "
        f"{median(controls):.2f} s, {median(starts):.2f} s after a kill, {max(starts):.2f} s at most"
    )


# The disk


@pytest.mark.sqlite
def test_no_201_leaves_before_its_event_is_on_the_disk(tmp_path):
    log = tmp_path / "strace"
    calls = "--trace=fdatasync,fsync,write,writev,sendto,sendmsg"
    with serving("granian", tmp_path) as server, strace(server.workers(), calls, "-s9999", log=log):
        for _ in range(20):
            assert server.post(body("NEW_CONVERSATION", id=str(uuid4()))).status_code == 201
    synced, answers = 0, 0
    for line in log.read_text().splitlines():
        if re.search(r"\b(fdatasync|fsync)(\(| resumed).*= 0$", line):
            synced += 1
        elif "HTTP/1.1 201" in line:
            assert synced, "an answer before a sync"
            synced, answers = 0, answers + 1
    assert answers == 20


@pytest.mark.sqlite
def test_sqlite_syncs_each_commit(db):
    with connection.cursor() as cursor:
        full, wal = 2, "wal"
        assert cursor.execute("PRAGMA synchronous").fetchone() == (full,)
        assert cursor.execute("PRAGMA journal_mode").fetchone() == (wal,)


@pytest.mark.postgresql
def test_postgresql_syncs_each_commit_whatever_its_own_default_is(transactional_db):
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        try:
            with closing(psycopg.connect(**connection.get_connection_params())) as session:
                assert session.execute("SHOW synchronous_commit").fetchone() == ("on",)
        finally:
            cursor.execute(f"ALTER DATABASE {name} RESET synchronous_commit")
