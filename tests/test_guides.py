"""The programs of the guides keep the promises of their pages, on a real server with signatures."""

import csv
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic, sleep
from unittest.mock import ANY
from uuid import uuid4

import pytest
from standardwebhooks import Webhook

from chat.signatures import Standard
from tests.conftest import C, make_event
from tests.missing import missing
from tests.servers import ROOT, running, set_up

pytestmark = pytest.mark.sqlite

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ANOTHER = "whsec_bm9uZSBvZiB0aGVzZSwgYnV0IHF1aXRlIGxvbmcgZW5vdWdo"
GUIDES = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("senders", "readers"))
SENDERS = (ROOT / "docs" / "senders.md").read_text()
PROGRAM = r"<!-- run: {} -->\n```\w+\n(.*?)```"
SUFFIXES = {"node": "mjs", "curl": "sh", "php": "php"}  # the others are Python
INTERPRETERS = {"node": "node", "curl": "bash", "php": "php"}


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    # The settings of the tests accept everything.
    given = {"DJANGO_SETTINGS_MODULE": "realmate.settings", "WEBHOOK_SECRETS": SECRET}
    return set_up("granian", tmp_path_factory.mktemp("guides"), REALMATE_ENV_FILE="", **given)


@pytest.fixture(scope="module")
def server(environ):
    with running("granian", environ) as server:
        yield server


@pytest.fixture(scope="module")
def token(environ):
    created = manage("createtoken", "guides", environ)
    return re.search(r"^\S{30,}$", created.stdout, re.MULTILINE)[0]


def manage(*arguments):
    *command, environ = arguments
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture
def program(server, environ, tmp_path):
    """Return the command and the environment of a guide's program, in a folder of its own."""

    def program(name, *arguments, **given):
        interpreter = INTERPRETERS.get(name, sys.executable)
        if not shutil.which(interpreter):
            missing(f"{interpreter} is not installed")
        file = tmp_path / f"program.{SUFFIXES.get(name, 'py')}"
        file.write_text(re.search(PROGRAM.format(name), GUIDES, re.DOTALL)[1])
        known = {"REALMATE_URL": f"http://127.0.0.1:{server.port}", "REALMATE_SECRET": SECRET}
        settings = {"env": os.environ | known | given, "cwd": tmp_path}
        return [interpreter, file, *arguments], settings

    return program


@pytest.fixture
def run(program):
    def run(name, *arguments, given_in=None, **given):
        command, settings = program(name, *arguments, **given)
        return subprocess.run(
            command, **settings, input=given_in, capture_output=True, text=True, timeout=120
        )

    return run


@pytest.fixture
def file_of(tmp_path):
    def file_of(*events):
        file = tmp_path / "events.jsonl"
        file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
        return str(file)

    return file_of


def signed(body, *, id):
    return Standard([SECRET]).sign(body, id=id, at=datetime.now(UTC))


def test_the_four_events_of_the_guide_are_taken(server):
    events = [event.encode() for event in re.findall(r"```json\n(.*?)```", SENDERS, re.DOTALL)]
    answers = [
        server.post(event, **signed(event, id=f"guide_{number}"))
        for number, event in enumerate(events)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 200]


def test_the_curl_command_signs(run):
    ended = run("curl")
    assert json.loads(ended.stdout)["type"] == "NEW_CONVERSATION"


def test_the_php_program_ends_well_only_if_the_event_is_on_disk(run):
    event = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4())))
    ended = run("php", given_in=event)
    assert (ended.stdout[:24], ended.returncode) == ('201 {"outcome":"applied"', 0)
    assert run("php", given_in=event).stdout.startswith('200 {"outcome":"duplicate"')
    early = json.dumps(make_event("CLOSE_CONVERSATION", id=str(uuid4())))
    assert run("php", given_in=early).returncode == 0
    ended = run("php", given_in=event, REALMATE_SECRET=ANOTHER)
    assert (ended.stdout[:4], ended.returncode) == ("401 ", 1)
    ended = run("php", given_in=event, REALMATE_URL="http://127.0.0.1:9")
    assert (ended.stdout, ended.returncode) == ("0 \n", 1)


@pytest.mark.parametrize("name", ["python", "node"])
def test_a_sender_delivers_and_ends_well(run, file_of, name):
    ids = [str(uuid4()) for _ in range(2)]
    conversation, message = (
        make_event("NEW_CONVERSATION", id=ids[0]),
        make_event("NEW_MESSAGE", id=ids[1], conversation_id=ids[0]),
    )
    ended = run(name, file_of(message, conversation, conversation))
    assert ended.stdout.splitlines() == [
        "404 conversation_not_found",
        "201 applied",
        "200 duplicate",
    ]
    assert ended.returncode == 0, ended.stderr
    ended = run(name, file_of(message))
    assert ended.stdout == "200 duplicate\n"  # the early message was kept


@pytest.mark.parametrize("name", ["python", "node"])
def test_a_sender_gives_up_at_once_where_a_retry_cannot_help(run, file_of, name):
    ended = run(name, file_of(make_event("NEW_MESSAGE", id="no id")))
    assert (ended.stdout, ended.returncode) == ("400 invalid_event\n", 1)
    ended = run(name, file_of(make_event("CLOSE_CONVERSATION", id=C)), REALMATE_SECRET=ANOTHER)
    assert (ended.stdout, ended.returncode) == ("401 invalid_signature\n", 1)
    ended = run(name, file_of(make_event("NEW_CONVERSATION", id=C, note="x" * 5_000_000)))
    assert (ended.stdout, ended.returncode) == ("413 body_too_large\n", 1)


@pytest.mark.parametrize("name", ["python", "node"])
def test_a_sender_tries_again_with_the_same_id_and_a_new_signature(run, file_of, name):
    with flaky_server([503, None, 429, 201]) as (port, seen):
        event = make_event("NEW_CONVERSATION", id=C)
        ended = run(name, file_of(event), REALMATE_URL=f"http://127.0.0.1:{port}")
    assert (ended.stdout, ended.returncode) == ("201 applied\n", 0)
    assert len(seen) == 4
    assert len({headers["webhook-id"] for headers, _ in seen}) == 1
    for headers, body in seen:
        assert json.loads(body) == event
        Webhook(SECRET).verify(body, dict(headers))


# Readers


@pytest.fixture
def deliver(server):
    def deliver(**event):
        body = json.dumps(make_event(**event)).encode()
        answer = server.post(body, **signed(body, id=f"guide_{uuid4()}"))
        assert answer.status_code in (200, 201)

    return deliver


@pytest.fixture
def waiting(deliver):
    """A conversation with a customer waiting since 2025."""
    id = str(uuid4())
    deliver(type="NEW_CONVERSATION", id=id)
    deliver(type="NEW_MESSAGE", id=str(uuid4()), conversation_id=id, content=f"Quero cancelar {id}")
    return id


def test_the_mirror_has_what_is_stored_also_after_a_restart_and_an_erasure(
    program, token, deliver, waiting, server, environ, tmp_path
):
    command, settings = program("mirror", REALMATE_TOKEN=token)

    def mirrored(id):
        with closing(sqlite3.connect(tmp_path / "mirror.sqlite3")) as copy:
            row = copy.execute("SELECT body FROM conversation WHERE id = ?", [id]).fetchone()
        return row and json.loads(row[0])

    def stored(id):
        answer = server.ask("GET", f"/conversations/{id}", Authorization=f"Bearer {token}")
        return json.loads(answer.content)

    with subprocess.Popen(command, **settings) as first:
        wait_until(lambda: mirrored(waiting) == stored(waiting))
        first.terminate()
    another = str(uuid4())
    deliver(type="NEW_CONVERSATION", id=another)
    with subprocess.Popen(command, **settings) as second:
        wait_until(lambda: mirrored(another) == stored(another))
        manage("erase_conversation", waiting, "--yes", environ)
        wait_until(lambda: mirrored(waiting)["messages"][0]["content"] == "")
        second.terminate()


def test_the_first_copy_of_the_mirror_goes_on_where_it_was_killed(
    program, token, deliver, waiting, server, tmp_path
):
    """Otherwise a copy slower than the time between two restarts would never end."""
    deliver(type="NEW_CONVERSATION", id=str(uuid4()))

    def read(path):
        return json.loads(server.ask("GET", path, Authorization=f"Bearer {token}").content)

    page = read("/conversations?ordering=oldest&limit=1")
    place = (read("/changes?after=now")["next"], page["next"])
    with closing(sqlite3.connect(tmp_path / "mirror.sqlite3")) as copy:
        copy.execute("CREATE TABLE place (next TEXT, page TEXT)")
        copy.execute("INSERT INTO place VALUES (?, ?)", place)
        copy.commit()
        command, settings = program("mirror", REALMATE_TOKEN=token)
        with subprocess.Popen(command, **settings) as mirror:
            wait_until(lambda: copy.execute("SELECT page FROM place").fetchone() == (None,))
            mirror.terminate()
        copied = {id for (id,) in copy.execute("SELECT id FROM conversation")}
    every = read("/conversations?ordering=oldest&limit=100")["conversations"]
    assert copied == {row["id"] for row in every} - {page["conversations"][0]["id"]}


def wait_until(holds):
    deadline = monotonic() + 60
    while True:
        try:
            if holds():
                return
        except sqlite3.OperationalError:  # the table is not there yet
            pass
        assert monotonic() < deadline
        sleep(0.05)


def test_the_alert_names_who_waits_too_long(run, token, waiting):
    said = run("alert", REALMATE_TOKEN=token)
    assert f"/ui/{waiting}/" in said.stdout, said.stderr
    assert run("alert", REALMATE_TOKEN=token, MINUTES="99999999").stdout == ""


def test_the_waits_of_a_day_are_told(run, token, deliver):
    def wait(*messages):
        id = str(uuid4())
        deliver(type="NEW_CONVERSATION", id=id, at="2001-03-04T00:00:00Z")
        for at, direction in messages:
            deliver(
                type="NEW_MESSAGE",
                id=str(uuid4()),
                conversation_id=id,
                direction=direction,
                at=f"2001-03-{at}:00Z",
            )
        return id

    late = wait(("05T10:20", "SENT"), ("05T10:00", "RECEIVED"), ("05T10:05", "RECEIVED"))
    wait(("05T10:00", "RECEIVED"), ("05T10:15", "SENT"), ("06T10:00", "RECEIVED"))
    night = wait(("05T23:50", "RECEIVED"), ("06T00:10", "SENT"))
    wait(("04T23:50", "RECEIVED"), ("05T00:10", "RECEIVED"), ("05T10:00", "SENT"))
    never = wait(("05T11:00", "SENT"), ("05T12:00", "RECEIVED"))
    ended = run("waits", "2001-03-05", REALMATE_TOKEN=token, TZ="UTC")
    lines = [line.split(": ", 1) for line in ended.stdout.splitlines()]
    assert [line[1].split("/ui/")[1] for line in lines] == [f"{late}/", f"{never}/", f"{night}/"]
    assert lines[0][0] == "10:00 20 min", ended.stderr
    assert re.fullmatch(r"12:00 \d{8} min, no reply", lines[1][0])
    assert lines[2][0] == "23:50 20 min"
    ended = run(
        "waits", "2001-03-05", REALMATE_TOKEN=token, TZ="UTC-1"
    )  # the day begins an hour earlier
    assert night not in ended.stdout
    assert "\n11:00 20 min: " in ended.stdout


def test_the_table_gets_what_has_changed_since(run, token, deliver, waiting, tmp_path):
    def rows():
        ended = run("table", REALMATE_TOKEN=token)
        assert ended.returncode == 0, ended.stderr
        with (tmp_path / "conversations.csv").open(newline="") as table:
            return list(csv.DictReader(table))

    before = rows()
    assert [row["message_count"] for row in before if row["id"] == waiting] == ["1"]
    deliver(type="NEW_MESSAGE", id=str(uuid4()), conversation_id=waiting)
    added = rows()[len(before) :]
    assert {row["id"]: row["message_count"] for row in added}[waiting] == "2"


def test_the_month_has_the_conversations_opened_in_it(run, token, deliver, tmp_path):
    def opened(*times):
        ids = [str(uuid4()) for _ in times]
        for id, at in zip(ids, times, strict=True):
            deliver(type="NEW_CONVERSATION", id=id, at=at)
        return ids

    def month(*arguments, name, **given):
        ended = run("month", *arguments, REALMATE_TOKEN=token, **given)
        assert ended.returncode == 0, ended.stderr
        with (tmp_path / f"{name}.csv").open(newline="") as table:
            return [row["id"] for row in csv.DictReader(table)]

    _, first, last, _ = opened(
        "2001-11-30T23:59:59Z",
        "2001-12-01T00:00:00Z",
        "2001-12-31T23:59:59Z",
        "2002-01-01T00:00:00Z",
    )
    assert month("2001-12", name="2001-12", TZ="UTC") == [first, last]
    assert month("2001-12", name="2001-12", TZ="UTC+1") == [last, ANY]  # ends an hour later
    before = datetime.now(UTC).replace(day=1) - timedelta(days=1)
    [newest] = opened(before.isoformat())
    assert newest in month(name=f"{before:%Y-%m}", TZ="UTC")


def test_the_search_prints_each_message_with_a_link(run, token, waiting, server):
    said = run("find", "cancelar", waiting, REALMATE_TOKEN=token)
    [line] = said.stdout.splitlines()
    url, _, text = line.partition(" ")
    assert url.startswith(f"http://127.0.0.1:{server.port}/ui/{waiting}/?message="), said.stderr
    assert text == f"Quero cancelar {waiting}"


@contextmanager
def flaky_server(statuses):
    """A server with these statuses as its answers, in order. The server never hangs up."""
    seen, left = [], iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.headers, body))
            status = next(left)
            if status is None:
                return
            said = json.dumps({"outcome": "applied"} if status < 300 else {"code": "try_again"})
            kind = "application/json" if status < 300 else "application/problem+json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(said)))
            if status >= 400:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        try:
            yield served.server_port, seen
        finally:
            served.shutdown()
