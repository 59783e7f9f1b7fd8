"""A production server starts only on a free address, and takes nothing from a running server."""

import json
import os
import socket
import stat
import subprocess
import sys
import time
from contextlib import ExitStack, closing, suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from subprocess import PIPE

import pytest

from realmate import server as production
from tests.servers import (
    ROOT,
    Server,
    answer_of,
    free_port,
    running,
    serving,
    set_up,
    wait_for,
)
from tests.test_settings import run

pytestmark = pytest.mark.sqlite


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """Return the environment of a server with one worker: each worker takes half a second to load."""
    return set_up("granian", tmp_path_factory.mktemp("starting"), GRANIAN_WORKERS="1")


def start(environ, **others):
    """Start a server that must fail to start. Return its output, and its exit code."""
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
        place = f"127.0.0.1:{environ['GRANIAN_PORT']}"
        assert (said, code) == (f"Not started. Another server of this user runs on {place}.", 1)
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
    ("host", "port", "place"),
    [
        ("127.0.0.1", "99999", r"127\.0\.0\.1:99999"),
        ("192.0.2.1", "0", r"192\.0\.2\.1:0"),
        ("::", "x", r"\[::\]:x"),
    ],
)
def test_a_place_where_nobody_can_listen_is_named(host, port, place):
    with pytest.raises(SystemExit, match=f"Cannot listen on {place}: "):
        production.refuse_a_taken_port(host, port)


def test_a_host_name_is_no_address(environ):
    said, code = start(environ, GRANIAN_HOST="localhost")
    assert (said, code) == ("Not started. GRANIAN_HOST must be an IP address, not localhost.", 1)


# Addresses on one port

ADDRESSES = [
    ("127.0.0.1", "127.0.0.2", True),
    ("127.0.0.1", "::1", True),
    ("0.0.0.0", "::1", True),
    ("127.0.0.1", "127.0.0.1", False),
    ("::1", "0:0::1", False),
    ("127.0.0.1", "0.0.0.0", False),
    ("0.0.0.0", "127.0.0.1", False),
    ("::", "127.0.0.1", False),
    ("::1", "::", False),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the locks and the counters."""
    monkeypatch.setattr(production, "METRICS", tmp_path)
    return tmp_path


def take_the_place(locks, **environ):
    return production.take_the_place(production.SETTINGS | environ, locks)


@pytest.mark.parametrize(("first", "second", "beside"), ADDRESSES)
def test_two_addresses_have_one_server_each_unless_one_includes_the_other(
    folder, first, second, beside
):
    port = str(free_port())
    with ExitStack() as locks:
        take_the_place(locks, GRANIAN_HOST=first, GRANIAN_PORT=port)
        if beside:
            take_the_place(locks, GRANIAN_HOST=second, GRANIAN_PORT=port)
        else:
            with pytest.raises(SystemExit, match="Another server of this user runs on"):
                take_the_place(locks, GRANIAN_HOST=second, GRANIAN_PORT=port)


def test_two_servers_serve_on_two_addresses_of_one_port(environ):
    with (
        running("granian", environ) as first,
        running(
            "granian", environ | {"GRANIAN_HOST": "127.0.0.2"}, until=is_listening_on("127.0.0.2")
        ),
    ):
        assert first.ask("GET", "/healthz").status_code == 200


def is_listening_on(host):
    def wait(server, process):
        while True:
            assert process.poll() is None, "the server ended"
            with suppress(OSError), closing(socket.create_connection((host, server.port), 10)):
                return
            time.sleep(0.05)

    return wait


# Unix sockets


@pytest.fixture
def on_a_socket(environ, tmp_path):
    return environ | {"GRANIAN_UDS": str(tmp_path / "realmate.sock")}


def listens(server, process, *, environ):
    while not is_answered(environ["GRANIAN_UDS"]):
        assert process.poll() is None, "the server ended"
        time.sleep(0.05)


def is_answered(path):
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(10)
        try:
            client.connect(path)
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(4096).startswith(b"HTTP/1.1 200")
        except OSError:
            return False


def running_on(environ):
    return running("granian", environ, until=partial(listens, environ=environ))


@pytest.mark.parametrize(
    ("given", "mode"), [({}, 0o660), ({"GRANIAN_UDS_PERMISSIONS": "0666"}, 0o666)]
)
def test_a_proxy_of_the_socket_s_group_may_connect(on_a_socket, given, mode):
    with running_on(on_a_socket | given):
        assert stat.S_IMODE(Path(on_a_socket["GRANIAN_UDS"]).stat().st_mode) == mode


@pytest.mark.parametrize("permissions", ["660", "0x1b0", "rw", "0888"])
def test_permissions_that_are_not_octal_are_refused(on_a_socket, permissions):
    said, code = start(on_a_socket, GRANIAN_UDS_PERMISSIONS=permissions)
    assert (said, code) == (
        "Not started. GRANIAN_UDS_PERMISSIONS must be octal, such as 0660.",
        1,
    )


def test_the_socket_of_a_server_that_runs_is_refused_and_it_goes_on(on_a_socket):
    with running_on(on_a_socket):
        said, code = start(on_a_socket)
        assert (said.splitlines(), code) == (
            [f"Not started. Another server of this user runs on {on_a_socket['GRANIAN_UDS']}."],
            1,
        )
        assert is_answered(on_a_socket["GRANIAN_UDS"])


def test_the_socket_of_another_program_is_refused(folder, tmp_path):
    path = str(tmp_path / "socket")
    with closing(socket.socket(socket.AF_UNIX)) as other, ExitStack() as locks:
        other.bind(path)
        other.listen()
        with pytest.raises(SystemExit, match=f"Another server listens on {path}"):
            take_the_place(locks, GRANIAN_UDS=path)
        assert Path(path).is_socket()


def test_the_socket_of_a_server_that_was_killed_is_replaced(on_a_socket):
    with running_on(on_a_socket) as server:
        server.kill()
    assert Path(on_a_socket["GRANIAN_UDS"]).is_socket()
    with running_on(on_a_socket):
        pass


@pytest.mark.parametrize("path", ["{folder}/none/socket", "{folder}/file", "{folder}/" + "x" * 120])
def test_a_path_where_no_socket_can_be_is_named_and_left(folder, path):
    (folder / "file").write_text("kept")
    with ExitStack() as locks, pytest.raises(SystemExit, match="Cannot listen on"):
        take_the_place(locks, GRANIAN_UDS=path.format(folder=folder))
    assert (folder / "file").read_text() == "kept"


def test_an_empty_name_of_a_socket_is_none(environ):
    with running("granian", environ | {"GRANIAN_UDS": ""}) as server:
        assert server.ask("GET", "/healthz").status_code == 200


def test_a_proxy_on_the_socket_is_believed_by_the_word_unix(on_a_socket):
    with running_on(on_a_socket | {"SECURE_SSL_REDIRECT": "true", "TRUSTED_PROXIES": "unix"}):
        assert inbox_by_https(on_a_socket["GRANIAN_UDS"]).status_code == 200


def test_without_the_word_unix_pages_lead_to_https(on_a_socket):
    with running_on(on_a_socket | {"SECURE_SSL_REDIRECT": "true"}):
        assert inbox_by_https(on_a_socket["GRANIAN_UDS"])["Location"] == "https://127.0.0.1/ui/"


def inbox_by_https(path):
    """Return the answer to a proxy on a Unix socket. The proxy's client came by https."""
    with closing(HTTPConnection("127.0.0.1")) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(path)
        forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        connection.request("GET", "/ui/", headers=forwarded)
        return answer_of(connection.getresponse())


# Counters


def test_only_counters_of_the_dead_leave_a_folder_that_the_operator_names(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = {f"counter_{os.getpid()}.db", "notes_of_mine.db", "counter_1.db"}
    for name in {*kept, f"counter_{ended.pid}.db", f"gauge_livesum_{ended.pid}.db"}:
        (tmp_path / name).touch()
    production.counters_for({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}, "here")
    assert {file.name for file in tmp_path.iterdir()} == kept


def test_a_folder_of_the_operator_is_made(folder, tmp_path):
    production.counters_for({"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "a/b")}, "here")
    assert (tmp_path / "a/b").is_dir()
    assert not (folder / "here").exists()


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


def test_a_missing_setting_is_one_line():
    """The workers must not repeat tracebacks."""
    ended = run("-m", "realmate.server", GRANIAN_PORT=str(free_port()))
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("Not started. ")
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "WEBHOOK_SECRETS", "DATABASE_URL"):
        assert name in line


def test_every_line_of_the_server_is_json(tmp_path):
    with serving("granian", tmp_path):
        pass
    said = [json.loads(line) for line in (tmp_path / "granian.log").read_text().splitlines()]
    assert "_granian" in {line["logger"] for line in said}
    assert all(line["time"].endswith("+00:00") for line in said)
