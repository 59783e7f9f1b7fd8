"""`make demo`, on a database of the test's own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chat.models import Conversation
from realmate.demo import load_history
from tests.conftest import C
from tests.servers import ROOT, Server, free_port

# Far more seconds than needed, so that no test fails on a busy machine.
SECONDS = 120


@contextmanager
def make_demo(port: int, folder: Path) -> Iterator[subprocess.Popen]:
    """Run the demo in a process group of its own: Ctrl-C reaches make and Python, as in a terminal.

    No .venv is set up; the Python of the tests runs the demo.
    """
    demo = ["make", "-o", ".venv/run", "demo", f"BIN={Path(sys.executable).parent}", f"PORT={port}"]
    arguments = f"ARGS=--database sqlite:///{folder / 'demo.sqlite3'} --conversations 20"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*demo, arguments],
            cwd=ROOT,
            # Without MAKEFLAGS, DATABASE_URL and the settings of the tests.
            env={"PATH": os.environ["PATH"]},
            stdout=log,
            stderr=log,
            start_new_session=True,
            # The background jobs of a shell ignore Ctrl-C, and CI may run the tests as one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(condition: Callable[[], bool], demo: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert demo.poll() is None, "the demo ended"
        assert time.monotonic() < deadline, "the demo takes too long"
        time.sleep(0.2)


def is_up(server: Server) -> bool:
    """Whether the server answers. Connections wait while history is loaded."""
    try:
        return server.ask("GET", "/healthz").status_code == 200
    except OSError:
        return False


def conversations(server: Server) -> set[str]:
    listed = server.ask("GET", "/conversations?limit=100").json()["conversations"]
    return {conversation["id"] for conversation in listed}


@pytest.mark.sqlite
def test_the_demo_is_a_living_inbox_until_ctrl_c(tmp_path):
    server = Server(free_port())
    with make_demo(server.port, tmp_path) as demo:
        wait_until(lambda: is_up(server), demo)
        inbox = server.ask("GET", "/ui/").content.decode()
        assert len(set(re.findall(r'href="/ui/([0-9a-f-]{36})/', inbox))) >= 20
        assert server.ask("GET", "/static/chat/inbox.css").status_code == 200
        before = conversations(server)
        wait_until(lambda: conversations(server) > before, demo)
        os.killpg(demo.pid, signal.SIGINT)
        demo.wait(SECONDS)
        with pytest.raises(ProcessLookupError):  # the group is empty
            os.killpg(demo.pid, 0)
    said = (tmp_path / "log").read_text()
    assert f"Open http://127.0.0.1:{server.port}/ui/ in a browser." in said
    assert "Traceback" not in said
    assert not is_up(server)


@pytest.mark.sqlite
def test_the_demo_says_when_its_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with make_demo(port, tmp_path) as demo:
            assert demo.wait(SECONDS) == 2
    said = (tmp_path / "log").read_text()
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in said
    assert "Traceback" not in said
    assert not (tmp_path / "demo.sqlite3").exists()


def test_the_demo_keeps_the_conversations_that_it_has(deliver, event):
    deliver(event("NEW_CONVERSATION", id=C))
    load_history(conversations=5)
    assert [str(id) for id in Conversation.objects.values_list("id", flat=True)] == [C]
