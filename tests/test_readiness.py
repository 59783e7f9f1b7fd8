"""The probes answer everybody, and /readyz names every reason against taking events."""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.test.utils import CaptureQueriesContext

from chat.database import readiness
from chat.events.ingest import ingest
from tests.conftest import NOW, make_event
from tests.servers import assert_problem, running, serving, set_up, through_wsgi
from tests.test_faults import a_small_disk, full, gone, read_only, read_only_sessions

pytestmark = pytest.mark.both_engines("each engine says in its own way that it takes no writes")

Migration = MigrationRecorder.Migration


def codes(answer):
    """Return the reasons why the service is not ready."""
    if answer.status_code == 200:
        assert answer.json() == {"status": "ready"}
        return []
    assert_problem(answer, 503, "try_again")
    return [error["code"] for error in answer.json()["errors"]]


def asked():
    cache.delete(readiness.ANSWER)
    return codes(through_wsgi("GET", "/readyz"))


def opening():
    return json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()


# Callers


@pytest.mark.parametrize("probe", ["/healthz", "/healthz/", "/readyz", "/readyz/"])
@pytest.mark.parametrize(
    "host",
    [
        {"HTTP_HOST": "10.0.0.7:8000"},
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": "not a host"},
        {"HTTP_HOST": None, "SERVER_NAME": "10.0.0.7", "SERVER_PROTOCOL": "HTTP/1.0"},
    ],
    ids=["address", "foreign", "malformed", "none"],
)
def test_probes_answer_any_host(db, settings, probe, host):
    settings.ALLOWED_HOSTS = ["chat.example"]
    assert through_wsgi("GET", probe, **host).status_code == 200


@pytest.mark.parametrize("path", ["/healthz/x", "/xhealthz", "/conversations", "/ui/", "/metrics"])
def test_nothing_else_does(db, settings, path):
    settings.ALLOWED_HOSTS = ["chat.example"]
    assert through_wsgi("GET", path, HTTP_HOST="evil.example").status_code == 400


@pytest.mark.sqlite
@pytest.mark.parametrize("server", ["granian", "runserver"])
def test_a_server_answers_http_1_0_without_a_host(tmp_path, server):
    with serving(server, tmp_path) as server:
        for probe in (b"/healthz", b"/readyz"):
            assert server.send(b"GET %s HTTP/1.0\r\n\r\n" % probe).status_code == 200


# Faults of the schema, the last write, and the static files


def test_it_names_a_migration_that_the_code_does_not_know(db):
    Migration.objects.create(app="chat", name="9999_newer")
    answer = through_wsgi("GET", "/readyz")
    assert codes(answer) == ["wrong_schema"]
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/migrations"
    assert "chat.9999_newer" in error["detail"]


def test_migrations_of_an_app_that_was_removed_do_not_count(db):
    Migration.objects.create(app="removed", name="0001_initial")
    assert asked() == []


@pytest.mark.parametrize("app", ["chat", "sessions"])
def test_it_names_a_missing_migration(db, app):
    last = Migration.objects.filter(app=app).order_by("id").last()
    last.delete()
    [error] = through_wsgi("GET", "/readyz").json()["errors"]
    assert f"{app}.{last.name}" in error["detail"]


def test_a_failed_write_counts_until_the_next_one_or_ten_seconds(transactional_db, monkeypatch):
    with table_renamed("chat_delivery"), pytest.raises(Exception, match="chat_delivery"):
        ingest(opening(), received_at=NOW)
    assert asked() == ["write_failed"]
    ingest(opening(), received_at=NOW)
    assert asked() == []
    readiness.note_failure()
    later = time.time() + readiness.SECONDS_AFTER_A_FAILURE
    monkeypatch.setattr(time, "time", lambda: later)
    assert asked() == []


@contextmanager
def table_renamed(table):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE {table}_gone RENAME TO {table}")


def test_static_files_must_be_collected_where_pages_need_them(db, settings, tmp_path):
    backend = {"BACKEND": "realmate.staticfiles.StaticFiles"}
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = django_settings.STORAGES | {"staticfiles": backend}
    assert asked() == ["static_files_missing"]
    # Written by another process, because this process has read no manifest.
    (tmp_path / "staticfiles.json").write_text("{}")
    assert asked() == ["static_files_missing"]
    call_command("collectstatic", interactive=False, verbosity=0)
    settings.STORAGES = settings.STORAGES | {"staticfiles": backend}  # like a new process
    assert asked() == []
    (tmp_path / "staticfiles.json").unlink()
    assert asked() == ["static_files_missing"]


# The cost


def test_it_writes_nothing(transactional_db):
    with CaptureQueriesContext(connection) as queries:
        assert asked() == []
    statements = [query["sql"].split()[0] for query in queries]
    assert set(statements) == {"SELECT"}


def test_it_reads_a_few_rows_at_most(db, django_assert_num_queries):
    """The names of the tables, the names of the migrations, and PostgreSQL's own state."""
    with django_assert_num_queries(2 if connection.vendor == "sqlite" else 3):
        assert asked() == []


def test_it_answers_within_fifty_milliseconds(db):
    """The best of several runs, and more on a slow machine: the control is /healthz, which asks nothing."""
    seconds = {"/healthz": [], "/readyz": []}
    for _ in range(20):
        cache.delete(readiness.ANSWER)
        for probe, taken in seconds.items():
            began = time.monotonic()
            assert through_wsgi("GET", probe).status_code == 200
            taken.append(time.monotonic() - began)
    assert min(seconds["/readyz"]) < 0.05 + 20 * min(seconds["/healthz"])


def test_the_answer_serves_everybody_for_a_moment(db, django_assert_num_queries):
    assert asked() == []
    with django_assert_num_queries(0):
        for _ in range(10):
            assert through_wsgi("GET", "/readyz").status_code == 200


# SQLite


@pytest.fixture
def file(transactional_db, tmp_path) -> Iterator[Path]:
    """A database file of its own on a small disk, opened by nobody."""
    connection.close()
    own = connection.settings_dict["NAME"]
    with a_small_disk(tmp_path):
        connection.settings_dict["NAME"] = str(tmp_path / "db.sqlite3")
        try:
            shutil.copy(own, tmp_path / "db.sqlite3")
            connection.close()
            yield tmp_path / "db.sqlite3"
        finally:
            connection.close()
            connection.settings_dict["NAME"] = own


@pytest.mark.sqlite
def test_a_file_that_is_gone_is_not_created(file):
    file.unlink()
    assert asked() == ["database_replaced"]
    assert not file.exists()


@pytest.mark.sqlite
def test_a_file_that_was_replaced_is_said_once(file):
    assert asked() == []
    shutil.copy(file, f"{file}.copy")
    Path(f"{file}.copy").replace(file)
    assert asked() == ["database_replaced"]
    assert asked() == []  # of the new file, where events go now


@pytest.mark.sqlite
def test_a_disk_that_is_read_only(file, monkeypatch):
    assert asked() == []
    connection.close()
    subprocess.run(["mount", "-o", "remount,ro", str(file.parent)], check=True)
    assert "database_read_only" in asked()
    monkeypatch.setattr(os, "access", lambda path, mode: True)  # some systems tell root so
    assert "database_read_only" in asked()


@pytest.mark.sqlite
def test_a_disk_with_little_space(file, settings):
    assert asked() == []
    with full(file.parent):
        assert asked() == ["disk_full"]
    settings.LEAST_FREE_BYTES = 10**12
    assert asked() == ["disk_full"]


@pytest.mark.sqlite
@pytest.mark.parametrize("name", ["", "db.sqlite3", "db.sqlite3-wal", "db.sqlite3-writer"])
def test_a_file_that_the_user_may_not_write(file, monkeypatch, name):
    """Root may write everything, so the test gives the answer of another user."""
    ingest(opening(), received_at=NOW)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != file.parent / name)
    assert asked() == ["database_read_only"]


@pytest.mark.sqlite
def test_it_neither_waits_for_the_writer_nor_is_one(file):
    asked()
    with (
        closing(connection.Database.connect(file, isolation_level=None)) as writer,
        Path(f"{file}-writer").open("ab") as queue,
    ):
        writer.execute("BEGIN IMMEDIATE")
        fcntl.flock(queue, fcntl.LOCK_EX)
        began = time.monotonic()
        assert asked() == []
        assert time.monotonic() - began < django_settings.SQLITE["OPTIONS"]["timeout"]


@pytest.mark.sqlite
@pytest.mark.alone("compares rates of the same run")
@pytest.mark.proof
def test_many_probes_leave_a_sender_its_share(tmp_path, rounds):
    """The control is the same number of requests to /healthz, which does not touch the database."""
    with serving("granian", tmp_path) as server:
        rates = {}
        for probe in ("/healthz", "/readyz", "/healthz", "/readyz"):
            rate = rate_beside(server, probe, events=rounds(quick=25, ci=25, long=200))
            rates.setdefault(probe, []).append(rate)
    assert max(rates["/readyz"]) > max(rates["/healthz"]) / 2


def rate_beside(server, probe, *, events, askers=64):
    """Return the events a second of one sender, while many clients ask."""
    over = Event()

    def ask():
        while not over.is_set():
            server.ask("GET", probe)

    with ThreadPoolExecutor(askers) as pool:
        for _ in range(askers):
            pool.submit(ask)
        try:
            began = time.monotonic()
            for _ in range(events):
                assert server.post(opening()).status_code == 201
            return events / (time.monotonic() - began)
        finally:
            over.set()


# PostgreSQL


@pytest.mark.postgresql
def test_its_locks_are_those_of_a_reader(db):
    """The test's transaction keeps every lock until its end."""
    assert asked() == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT locktype, mode FROM pg_locks WHERE pid = pg_backend_pid()")
        assert set(cursor) == {("relation", "AccessShareLock"), ("virtualxid", "ExclusiveLock")}


@pytest.mark.postgresql
def test_it_waits_for_no_lock_of_the_tables(transactional_db):
    """A waiting probe would use up its time, and then report a database without answers."""
    with closing(connections.create_connection("default")) as second:
        second.set_autocommit(False)
        with second.cursor() as cursor:
            cursor.execute("LOCK TABLE chat_conversation, chat_message, chat_change, chat_delivery")
        assert asked() == []
        second.rollback()


@pytest.fixture(scope="module")
def on_postgresql(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with serving("granian", folder, DATABASE_URL=cluster.url, GRANIAN_WORKERS="1") as server:
        yield server


def until(server, expected):
    """Wait for these codes. The answer is half a second old at most, and names each stale session once."""
    limit = time.monotonic() + 60
    while (found := codes(server.ask("GET", "/readyz"))) != expected and time.monotonic() < limit:
        time.sleep(0.1)
    assert found == expected


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (gone, "database_unreachable"),
        (lambda cluster: cluster.frozen(), "database_unreachable"),
        (read_only, "database_read_only"),
        (read_only_sessions, "database_read_only"),
    ],
    ids=["gone", "frozen", "read only", "read-only sessions"],
)
def test_a_server_that_takes_no_writes(on_postgresql, cluster, fault, code):
    until(on_postgresql, [])
    with fault(cluster):
        until(on_postgresql, [code])
    until(on_postgresql, [])


@pytest.mark.postgresql
def test_a_standby_is_not_ready_until_it_is_promoted(cluster, tmp_path):
    environ = set_up("granian", tmp_path, DATABASE_URL=cluster.url, GRANIAN_WORKERS="1")
    with (
        cluster.followed() as standby,
        running("granian", environ | {"DATABASE_URL": standby.url}) as server,
    ):
        until(server, ["database_in_recovery"])
        standby.promote()
        until(server, [])


@pytest.mark.postgresql
@pytest.mark.alone("an answer within seconds")
def test_a_frozen_server_is_waited_for_a_second(on_postgresql, cluster):
    until(on_postgresql, [])
    with cluster.frozen():
        time.sleep(2 * readiness.SECONDS_KEPT)
        began = time.monotonic()
        assert on_postgresql.ask("GET", "/healthz").status_code == 200
        control = time.monotonic() - began
        began = time.monotonic()
        assert codes(on_postgresql.ask("GET", "/readyz")) == ["database_unreachable"]
        assert time.monotonic() - began < 2.5 + 4 * control
