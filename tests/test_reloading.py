"""New code without a refused connection: a check in a new process, then SIGHUP."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from functools import partial
from http.client import HTTPConnection, HTTPException
from signal import SIGHUP
from threading import Event, Thread
from uuid import uuid4

import pytest

from tests.conftest import make_event
from tests.proxies import HOST, fronting
from tests.servers import ROOT, running, set_up
from tests.test_starting import listens

pytestmark = pytest.mark.sqlite


@pytest.fixture
def environ(tmp_path):
    return set_up("granian", tmp_path)


def check(environ, *arguments, **others):
    """Run the check. Return its output, its error output, and its exit code."""
    command = [sys.executable, "-m", "realmate.server", "--check", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environ | others, capture_output=True, text=True, timeout=120
    )
    return done.stdout, done.stderr, done.returncode


def test_code_that_fits_is_said_to(environ, tmp_path):
    counters = tmp_path / "counters"
    counters.mkdir()
    said = check(environ, PROMETHEUS_MULTIPROC_DIR=str(counters))
    assert said == ("Fit to serve.\n", "", 0)
    assert not list(counters.iterdir())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise RuntimeError('broken\\ncode')", "RuntimeError: broken code"),
        ("def", "SyntaxError: "),
        ("application_ = None", "AttributeError: "),
        ("raise ValueError('logging') from SyntaxError('line 7')", "SyntaxError: line 7"),
        ("raise ValueError('logging') from KeyError('a secret')", "ValueError: logging"),
    ],
)
def test_code_that_cannot_be_loaded_is_refused_in_one_line(environ, tmp_path, line, said):
    (tmp_path / "broken_code.py").write_text(line)
    out, err, code = check(environ, "broken_code:application", PYTHONPATH=str(tmp_path))
    assert (out, code, len(err.splitlines())) == ("", 1, 1)
    assert err.startswith(f"Not fit to serve. {said}")


def test_bad_settings_are_refused_in_one_line(environ):
    out, err, code = check(environ, EARLY_EVENTS_HOURS="x")
    assert (out, code, len(err.splitlines())) == ("", 1, 1)
    assert "EARLY_EVENTS_HOURS" in err


def test_a_database_that_lacks_migrations_is_refused(environ, tmp_path):
    (tmp_path / "empty.sqlite3").touch()
    out, err, code = check(environ, DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert (out, code, len(err.splitlines())) == ("", 1, 1)
    assert "lacks the migrations" in err


# Reloads under load

RELOADS = 10


class Sender(Thread):
    """Sends events, each on a new connection, and counts the answers other than 201."""

    def __init__(self, connect):
        super().__init__()
        self.connect, self.over, self.stored, self.errors = connect, Event(), 0, []

    def run(self):
        while not self.over.is_set():
            try:
                status = self.send()
            except (OSError, HTTPException) as error:
                self.errors.append(repr(error))
            else:
                if status == 201:
                    self.stored += 1
                else:
                    self.errors.append(status)

    def send(self):
        event = make_event("NEW_CONVERSATION", id=str(uuid4()))
        given = {"Host": HOST, "Content-Type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", timeout=60)) as connection:
            connection.sock = self.connect()
            connection.request("POST", "/webhook/", json.dumps(event), given)
            return connection.getresponse().status


def reload_beside_senders(server, connect, *, log):
    """Return the numbers of stored events and the errors of four senders beside the reloads."""
    senders = [Sender(connect) for _ in range(4)]
    for each in senders:
        each.start()
    try:
        for _ in range(RELOADS):
            reload(server, log)
    finally:
        for each in senders:
            each.over.set()
            each.join()
    return sum(each.stored for each in senders), [
        error for each in senders for error in each.errors
    ]


def reload(server, log):
    """Send SIGHUP, and wait until both old workers have stopped."""
    stopped = log.read_text().count("Stopped old worker")
    os.kill(server.pid, SIGHUP)
    ends = time.monotonic() + 120
    while log.read_text().count("Stopped old worker") < stopped + 2:
        assert time.monotonic() < ends, "the workers were not replaced"
        time.sleep(0.1)


@pytest.mark.by_hand("ten reloads; behind nginx-light")
@pytest.mark.parametrize("place", ["nginx and a Unix socket", "TCP"])
def test_ten_reloads_under_load_give_senders_no_error(environ, tmp_path, place):
    environ["ALLOWED_HOSTS"] = f"{HOST},127.0.0.1"
    log = tmp_path / "granian.log"
    with ExitStack() as stack:
        if place == "TCP":
            server = stack.enter_context(running("granian", environ))
            connect = server.connected
        else:
            environ["GRANIAN_UDS"] = str(tmp_path / "socket")
            until = partial(listens, environ=environ)
            server = stack.enter_context(running("granian", environ, until=until))
            proxy = fronting("nginx", tmp_path, 0, socket=environ["GRANIAN_UDS"])
            connect = stack.enter_context(proxy).connected
        stored, errors = reload_beside_senders(server, connect, log=log)
    print(
        f"\n{place}: {RELOADS} reloads, {stored} events stored, {len(errors)} errors {errors[:3]}"
    )
    assert stored
    # On TCP each worker has a queue of its own, and the queue ends with the worker.
    if place != "TCP":
        assert not errors
