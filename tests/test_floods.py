"""Floods of requests from anybody, and a good sender beside the flood."""

import json
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from multiprocessing import get_context
from threading import Event
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from tests.conftest import make_event
from tests.servers import serving

pytestmark = [
    pytest.mark.alone("compares rates of one sender, with and without a flood"),
    pytest.mark.sqlite,
]

LOGINS = 64
SECONDS = 2
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("floods")
    # The real password hasher.
    with serving("granian", directory, DJANGO_SETTINGS_MODULE="realmate.settings") as server:
        yield server


@pytest.mark.proof
def test_a_good_sender_beside_64_parallel_logins_keeps_its_rate(server, rounds):
    """Without turns the rate falls to a hundredth.

    A landing asks for a tenth, and `make proofs` for half: the hashes of two processes and the flood
    itself need the CPU too, and a busy machine disturbs a comparison. The sender is a process of its
    own, because it would wait for the threads of the flood.
    """
    part = rounds(quick=10, ci=10, long=2)
    with ProcessPoolExecutor(1, get_context("fork")) as process:

        def rate():
            return process.submit(rate_of, server).result()

        assert any(rate() / part < rate_beside_logins(server, rate) for _ in range(3))


def rate_of(server):
    """Return the events per second of one good sender."""
    count, until = 0, time.monotonic() + SECONDS
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        while time.monotonic() < until:
            event = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4())))
            connection.request("POST", "/webhook/", event, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201
            count += 1
    return count / SECONDS


def rate_beside_logins(server, rate):
    over = Event()
    with ThreadPoolExecutor(LOGINS) as threads:
        logins = [threads.submit(log_in_until, over, server, n) for n in range(LOGINS)]
        time.sleep(1)
        found = rate()
        over.set()
    statuses = {status for login in logins for status in login.result()}
    assert statuses == {200, 429}
    return found


def log_in_until(over, server, n):
    """Try names, each once, with a wrong password. Return the statuses."""
    page = server.ask("GET", "/ui/login/")
    cookie = page["Set-Cookie"].partition(";")[0]
    form = {"password": "wrong", "csrfmiddlewaretoken": cookie.partition("=")[2]}
    statuses = set()
    while not over.is_set():
        body = urlencode(form | {"username": f"nobody-{n}-{uuid4()}"})
        answer = server.ask("POST", "/ui/login/", body, Content_Type=FORM, Cookie=cookie)
        statuses.add(answer.status_code)
    return statuses
