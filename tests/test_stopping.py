"""A stop of the production server is quick at any time, and loses no request."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from chat.api.changes import MOST_WAITING
from tests.conftest import C, make_event
from tests.servers import ROOT, running, set_up

pytestmark = pytest.mark.sqlite

# granian waits 30 seconds for a worker that ignores a stop. A stop takes a tenth of a second.
SECONDS = 20
BODY = json.dumps(make_event("NEW_CONVERSATION", id=C)).encode()
HEAD = (
    "POST /webhook/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    return set_up("granian", tmp_path_factory.mktemp("stopping"))


def has_forked(server, process):
    """Wait until the workers exist, before they have loaded the application."""
    while len(server.workers()) < 2:
        assert process.poll() is None, "the server ended"
        time.sleep(0.001)


def seconds_to_stop(environ, stop, *, tell=os.kill, **options):
    with running("granian", environ, **options) as server:
        began = time.monotonic()
        tell(server.pid, stop)
        # Wait before the block ends, because its SIGTERM may hang a server still handling SIGINT.
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
    return time.monotonic() - began


@pytest.mark.parametrize("stop", [SIGTERM, SIGINT])
def test_workers_that_still_load_the_application_stop_at_once(environ, stop):
    assert seconds_to_stop(environ, stop, until=has_forked) < SECONDS


def test_a_worker_that_still_loads_while_another_serves_stops_at_once(environ):
    assert seconds_to_stop(environ, SIGTERM) < SECONDS


def test_ctrl_c_which_reaches_the_workers_too_stops_them_at_once(environ):
    log = Path(environ["LOG"])
    for _ in range(5):  # the workers' two signals must come close to each other
        log.write_text("")
        until = partial(all_serve, log)
        assert seconds_to_stop(environ, SIGINT, tell=os.killpg, until=until) < SECONDS


def all_serve(log, server, process):
    """Wait for both workers. granian may lose a stop in the instant when a worker begins to serve.

    Then the stop takes GRANIAN_WORKERS_KILL_TIMEOUT. Seen once, on a busy machine, in some hundred stops.
    """
    limit = time.monotonic() + 60
    while log.read_text().count("Started worker-") < 2:
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < limit, "a worker did not start"
        time.sleep(0.05)


def test_a_request_that_is_under_way_when_the_server_stops_is_answered(environ):
    with running("granian", environ) as server, server.connected() as connection:
        connection.sendall(HEAD + BODY[:20])
        time.sleep(2)  # the request has begun by then
        os.kill(server.pid, SIGTERM)
        time.sleep(0.5)
        assert server.send_on(connection, BODY[20:]).status_code == 201
    with running("granian", environ) as server:
        assert server.ask("GET", f"/conversations/{C}").status_code == 200


A_WORKER_TOLD_TO_END = """
import signal, time
from realmate import stopping

stopping.watch_signals()
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(True))  # as granian, while a client is stalled
stopping.SECONDS_TO_END = 0.5
stopping.end_this_worker()
print(told, flush=True)
time.sleep(60)
"""


def test_a_worker_that_ends_by_itself_is_killed_if_a_stalled_client_keeps_it():
    """Otherwise the worker would accept no more connections, and no other worker would replace it."""
    command = [sys.executable, "-c", A_WORKER_TOLD_TO_END]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout) == (-SIGKILL, "[True]\n")


WAIT = b"GET /changes?after=now&wait=25 HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_requests_that_wait_for_changes_are_answered_at_once_and_keep_nobody_waiting(environ):
    """As many requests as both processes let wait, and some more."""
    with running("granian", environ) as server, ExitStack() as stack:
        waiting = [stack.enter_context(server.connected()) for _ in range(2 * MOST_WAITING + 8)]
        began = time.monotonic()
        for connection in waiting:
            connection.sendall(WAIT)
        assert server.post(b"{}").status_code == 400
        time.sleep(1)
        os.kill(server.pid, SIGTERM)
        assert {server.send_on(connection).status_code for connection in waiting} == {200}
    assert time.monotonic() - began < SECONDS  # each would wait for 25
