"""A production server starts only where no other one listens, and takes nothing from one that runs."""

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from subprocess import PIPE

import pytest

from realmate import server as production
from tests.servers import ROOT, Server, running, set_up, wait_for

pytestmark = pytest.mark.sqlite


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    return set_up("granian", tmp_path_factory.mktemp("starting"))


def start(environ, **others):
    """A server that must not start: its output, and its exit code."""
    command = [sys.executable, "-m", "realmate.server"]
    done = subprocess.run(
        command, cwd=ROOT, env=environ | others, capture_output=True, text=True, timeout=60
    )
    return done.stderr.strip(), done.returncode


def test_a_second_server_on_the_port_is_refused_and_the_first_one_goes_on(
    environ, tmp_path, monkeypatch
):
    own = {name: value for name, value in environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    with running("granian", own) as first:
        assert first.post(b"{").status_code == 400
        said, code = start(own, DATABASE_URL=f"sqlite:///{tmp_path}/other.sqlite3")
        port = environ["GRANIAN_PORT"]
        assert (said, code) == (f"Not started. Another server of this user runs on {port}.", 1)
        counted = first.ask("GET", "/metrics").content.decode()
        assert 'realmate_deliveries_total{code="invalid_json"} 1.0' in counted
        for _ in range(20):
            assert first.ask("GET", "/conversations").status_code == 200


def test_a_port_that_another_program_shares_is_refused(environ):
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", int(environ["GRANIAN_PORT"])))
        other.listen()
        said, code = start(environ)
    assert "Address already in use" in said
    assert (len(said.splitlines()), code) == (1, 1)


def test_of_two_that_start_at_once_one_serves(environ):
    command = [sys.executable, "-m", "realmate.server"]
    with ExitStack() as stack:
        both = [
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environ, stderr=PIPE))
            for _ in range(2)
        ]
        for each in both:
            stack.callback(each.terminate)
        while all(each.poll() is None for each in both):
            time.sleep(0.05)
        loser, winner = sorted(both, key=lambda each: each.poll() is None)
        assert loser.returncode == 1
        assert b"Not started." in loser.stderr.read()
        wait_for(Server(int(environ["GRANIAN_PORT"])), winner)


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", "99999"), ("192.0.2.1", "0"), ("::", "x")]
)
def test_a_place_where_nobody_can_listen_is_named(host, port):
    with pytest.raises(SystemExit, match=f"Cannot listen on {host}:{port}: "):
        production.refuse_a_taken_port(host, port)


def test_a_port_whose_last_connections_still_close_is_free(environ):
    """A restart must not wait for a minute."""
    for _ in range(2):
        with running("granian", environ) as server, server.connected() as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while connection.recv(4096):
                pass


def test_the_folder_of_the_counters_is_of_this_user_alone(tmp_path):
    folder = tmp_path / "counters"
    production.make_folder_of_our_own(folder)
    production.make_folder_of_our_own(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(SystemExit, match="mode 0700"):
        production.make_folder_of_our_own(folder)


def test_a_link_in_place_of_that_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "counters").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SystemExit, match="must be a folder"):
        production.make_folder_of_our_own(tmp_path / "counters")


@pytest.mark.usefixtures("_as_root")
def test_a_folder_of_another_user_is_refused(tmp_path):
    os.chown(tmp_path, 65534, 65534)
    tmp_path.chmod(0o700)
    with pytest.raises(SystemExit, match="of this user"):
        production.make_folder_of_our_own(tmp_path)
