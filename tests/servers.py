"""The application behind real servers, and behind WSGI without one, for requests beyond a test client."""

import atexit
import compileall
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message as Headers
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from io import BytesIO
from pathlib import Path
from signal import SIGKILL
from tempfile import mkdtemp
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID
from wsgiref.util import setup_testing_defaults

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

ROOT = Path(__file__).resolve().parent.parent
TYPE_OF_PROBLEMS = "application/problem+json"


def copy_of_the_checkout(folder: Path, *names: str) -> None:
    """Copy these files and folders without compiled modules, because other processes may be writing those."""
    for name in names:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)


@cache
def a_compiled_checkout() -> Path:
    """Return our code with compiled modules, to be copied. Without them each process compiles for a second."""
    folder = Path(mkdtemp(prefix="realmate-compiled-"))
    atexit.register(shutil.rmtree, folder)
    copy_of_the_checkout(folder, "realmate", "chat", "manage.py")
    compileall.compile_dir(folder, quiet=1)
    return folder


@dataclass(frozen=True)
class Answer:
    """An answer with the attribute names of Django's test client."""

    status_code: int
    headers: Headers
    content: bytes

    def __getitem__(self, name: str) -> str:
        return self.headers[name]

    def json(self) -> Any:
        return json.loads(self.content)


def assert_problem(answer: Any, status: int, code: str) -> None:
    """Check the shape of an error, and the header with the same request id."""
    assert (answer.status_code, answer["Content-Type"]) == (status, TYPE_OF_PROBLEMS)
    problem = answer.json()
    assert answer.content.decode() == json.dumps(problem, separators=(",", ":"))
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert answer["X-Request-Id"] == problem["request_id"] == str(UUID(problem["request_id"]))


def errors_of(answer: Any) -> list[tuple[str, str]]:
    """The pointer and the code of each wrong parameter, of a `bad_request`."""
    assert_problem(answer, 400, "bad_request")
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


def assert_page(answer: Any, status: int) -> None:
    """Check an HTML page for people, with a request id."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert b"<!doctype html>" in answer.content.lower()
    assert UUID(answer["X-Request-Id"])


def through_wsgi(method: str, target: str, body: bytes = b"", **environ: Any) -> Answer:
    """Return the answer of realmate.wsgi to a request target, as written on the wire.

    A variable given as None is left out. An environ overrides the variables of the body.
    """
    from realmate.wsgi import application

    path, _, query = target.partition("?")
    given = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
    } | environ
    given = {name: value for name, value in given.items() if value is not None}
    setup_testing_defaults(given)
    answer: list[Any] = []
    with connection_kept():
        response = application(given, lambda status, headers: answer.extend((status, headers)))
        with closing(response):
            content = b"".join(response)
    headers = Headers()
    for name, value in answer[1]:
        headers[name] = value
    return Answer(int(answer[0].split()[0]), headers, content)


@contextmanager
def connection_kept() -> Iterator[None]:
    """Keep the connection of the test open after a request, as Django's test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


@dataclass(frozen=True)
class Server:
    """A server of ours on the loopback interface. Its main process leads a process group."""

    port: int
    pid: int = 0

    def ask(self, method: str, path: str, body: Any = None, **headers: Any) -> Answer:
        """Send a request on a new connection. An iterable body is sent in chunks."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(connection):
            # A server may answer before the end of the body, and hang up.
            with suppress(BrokenPipeError):
                connection.request(method, path, body, named)
            return answer_of(connection.getresponse())

    def post(self, body: Any, **headers: Any) -> Answer:
        return self.ask("POST", "/webhook/", body, **{"Content_Type": "application/json"} | headers)

    def send(self, *parts: bytes) -> Answer:
        """Send raw bytes, for requests beyond a client. Raise an error if the server hangs up."""
        with self.connected() as connection:
            return self.send_on(connection, *parts)

    def send_on(self, connection: socket.socket, *parts: bytes) -> Answer:
        for part in parts:
            connection.sendall(part)
        response = HTTPResponse(connection)
        response.begin()
        return answer_of(response)

    def kill(self) -> None:
        """Kill all processes at once, as when the machine dies."""
        os.killpg(self.pid, SIGKILL)

    def workers(self) -> list[int]:
        """Return the ids of the serving processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


def answer_of(response: HTTPResponse) -> Answer:
    return Answer(response.status, response.headers, response.read())


COMMANDS = {
    "granian": lambda port: ["-m", "realmate.server"],
    "runserver": lambda port: ["manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
}


@contextmanager
def serving(name: str, directory: Path, **environ: str) -> Iterator[Server]:
    """Run a real server in a process of its own, on a new SQLite file in the directory.

    DATABASE_URL names another database.
    """
    environ = set_up(name, directory, **environ)
    with running(name, environ) as server:
        yield server


def set_up(name: str, directory: Path, **environ: str) -> dict[str, str]:
    """Return the environment of a server with a migrated, empty database."""
    given = {
        "DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{directory / name}.sqlite3",
        "GRANIAN_PORT": str(free_port()),
        "PROMETHEUS_MULTIPROC_DIR": str(directory),
        "LOG": str(directory / f"{name}.log"),
    }
    environ = os.environ | given | environ
    own = directory / f"{name}.sqlite3"
    if environ["DATABASE_URL"] == given["DATABASE_URL"] and not own.exists():
        shutil.copy(a_migrated_file(), own)
    else:
        migrate(environ)
    return environ


def migrate(environ: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "migrate", "-v0"]
    subprocess.run(command, cwd=ROOT, env=environ, check=True)


@cache
def a_migrated_file() -> Path:
    """Return an empty, migrated SQLite database to copy, because migrations take seconds."""
    folder = Path(mkdtemp(prefix="realmate-migrated-"))
    atexit.register(shutil.rmtree, folder)
    migrate(os.environ | {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}"})
    return folder / "db.sqlite3"


def wait_for(server: Server, process: subprocess.Popen, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            assert server.ask("GET", "/healthz").status_code == 200
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        else:
            return


@contextmanager
def running(
    name: str,
    environ: dict[str, str],
    *,
    until: Callable[[Server, subprocess.Popen], None] = wait_for,
) -> Iterator[Server]:
    """Run a server. A second start in the same environment finds the same database."""
    port = int(environ["GRANIAN_PORT"])
    with (
        Path(environ["LOG"]).open("ab") as log,
        subprocess.Popen(
            [sys.executable, *COMMANDS[name](port)],
            cwd=ROOT,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        server = Server(port, process.pid)
        try:
            until(server, process)
            yield server
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
