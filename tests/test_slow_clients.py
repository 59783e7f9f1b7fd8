"""Clients that drip their bytes keep nobody else waiting on the production server."""

import json
import time
from contextlib import ExitStack
from statistics import median
from threading import Event, Thread
from uuid import uuid4

import pytest

from tests.conftest import make_event
from tests.servers import serving

pytestmark = pytest.mark.alone("a good request beside fifty slow ones")

SLOW = 50
BODY = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()
HEAD = (
    "POST /webhook/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving("granian", tmp_path_factory.mktemp("slow")) as server:
        yield server


def drip(connections, over):
    """A byte of each, ten times a second."""
    at = 0
    while not over.wait(0.1):
        for connection, rest in connections:
            connection.sendall(rest[at : at + 1])
        at += 1


@pytest.mark.sqlite
@pytest.mark.parametrize("at_once", [b"", HEAD], ids=["headers", "bodies"])
def test_fifty_slow_clients_keep_no_good_request_waiting(server, at_once):
    over, alone = Event(), median_of_good_requests(server)
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connected()) for _ in range(SLOW)]
        for connection in connections:
            connection.sendall(at_once)
            time.sleep(0.02)  # they come one by one; so do the threads that wait for them
        rest = (HEAD + BODY)[len(at_once) :]
        dripping = Thread(target=drip, args=([(each, rest) for each in connections], over))
        dripping.start()
        time.sleep(1)
        beside = median_of_good_requests(server)
        over.set()
        dripping.join()
    assert beside - alone < 1  # a drip takes half a minute


def median_of_good_requests(server):
    return median(seconds_of_a_good_request(server) for _ in range(5))


def seconds_of_a_good_request(server):
    began = time.monotonic()
    sent = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()
    assert server.post(sent).status_code == 201
    return time.monotonic() - began
