"""More than one machine: two servers on one PostgreSQL, behind a client using them in turns."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPException
from itertools import cycle
from threading import Event, Lock
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.conftest import make_event
from tests.databases import beside
from tests.servers import serving

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.postgresql,
    pytest.mark.both_engines("several machines share one server"),
]

SENDERS, MESSAGES = 8, 60
SHARED = str(uuid4())


class RoundRobin:
    """Like a balancer before dying servers: an unacknowledged event goes to the next server."""

    def __init__(self, *servers):
        self._next, self._lock = cycle(servers), Lock()
        self.acknowledged = Counter()

    def deliver(self, event):
        body = json.dumps(event).encode()
        for _ in range(20):
            with self._lock:
                server = next(self._next)
            with suppress(OSError, HTTPException):
                if self._acknowledged(server, server.post(body).status_code):
                    return
        pytest.fail("not acknowledged in twenty attempts")

    def _acknowledged(self, server, status):
        assert status in (200, 201, 503)
        with self._lock:
            self.acknowledged[server] += status < 300
        return status < 300


@pytest.fixture
def two_servers(tmp_path):
    with beside("scaling") as url:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        with (
            serving("granian", tmp_path / "one", DATABASE_URL=url) as one,
            serving("granian", tmp_path / "other", DATABASE_URL=url) as other,
            closing(psycopg.connect(url, autocommit=True)) as database,
        ):
            yield one, other, database


def events_of_a_sender():
    """Events in a conversation of its own and, in turns, in a conversation shared by all senders."""
    own = str(uuid4())
    yield make_event("NEW_CONVERSATION", id=own)
    for conversation in [SHARED, own] * (MESSAGES // 2):
        yield make_event("NEW_MESSAGE", id=str(uuid4()), conversation_id=conversation)


def send_all(balancer, dying):
    """Return the ids of the messages. One server dies while the senders are at work."""
    events = [list(events_of_a_sender()) for _ in range(SENDERS)]
    at_work = Event()

    def send(events):
        for number, event in enumerate(events):
            if number == MESSAGES // 3:
                at_work.set()
            balancer.deliver(event)

    with ThreadPoolExecutor(SENDERS) as senders:
        sent = senders.map(send, events)
        assert at_work.wait(timeout=30)
        dying.kill()
        list(sent)
    return sorted(UUID(event["data"]["id"]) for sent in events for event in sent[1:])


def test_nothing_is_lost_when_one_of_two_servers_dies_under_load(two_servers):
    one, other, database = two_servers
    balancer = RoundRobin(one, other)
    balancer.deliver(make_event("NEW_CONVERSATION", id=SHARED))
    sent = send_all(balancer, dying=one)

    assert 0 < balancer.acknowledged[one] < balancer.acknowledged[other]
    assert column(database, "SELECT id FROM chat_message ORDER BY id") == sent
    assert column(database, APPLIED) == sent
    [counted] = database.execute(
        "SELECT message_count, revision FROM chat_conversation WHERE id = %s", [SHARED]
    )
    assert counted == (len(sent) / 2, len(sent) / 2 + 1)


APPLIED = """SELECT message_id FROM chat_delivery
             WHERE type = 'NEW_MESSAGE' AND outcome = 'applied' ORDER BY message_id"""


def column(database, query):
    return [value for (value,) in database.execute(query)]
