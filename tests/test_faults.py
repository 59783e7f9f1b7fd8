"""Faults of the database under the production server: 503 in time, and 201 again after the fault."""

import fcntl
import json
import secrets
import shutil
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import make_event
from tests.missing import missing
from tests.servers import assert_problem, serving
from tests.system import strace

pytestmark = [
    pytest.mark.both_engines("each engine fails in its own way"),
]

SENDERS = 8
SECONDS = 6  # the promise for an answer, on an otherwise idle machine
PATIENCE = 60  # for the return to normal, usually much faster


def bodies(count=SENDERS):
    """Return new events, large and random: the database needs new pages, even with compression."""
    padding = [secrets.token_hex(10_000) for _ in range(count)]
    openings = [make_event("NEW_CONVERSATION", id=str(uuid4()), padding=some) for some in padding]
    return [json.dumps(opening).encode() for opening in openings]


def at_once(server, sent):
    """Post all bodies at once. Return the answers, and the seconds of the slowest one."""

    def timed(body):
        began = time.monotonic()
        answer = server.post(body)
        return answer, time.monotonic() - began

    with ThreadPoolExecutor(len(sent)) as senders:
        answers, seconds = zip(*senders.map(timed, sent), strict=True)
    return answers, max(seconds)


def retried(server, sent):
    """Retry each body after a 503, for PATIENCE at most. Return the last answers."""
    until = time.monotonic() + PATIENCE

    def retry(body):
        while (answer := server.post(body)).status_code == 503 and time.monotonic() < until:
            time.sleep(0.2)
        return answer

    with ThreadPoolExecutor(len(sent)) as senders:
        return list(senders.map(retry, sent))


def seconds_allowed(server):
    """Return the seconds of the promise, plus twice the time of as many good requests on this machine.

    A connection may still fail after the fault of an earlier test, so the control is repeated.
    """
    until = time.monotonic() + PATIENCE
    while True:
        answers, seconds = at_once(server, bodies())
        if {answer.status_code for answer in answers} == {201}:
            return SECONDS + 2 * seconds
        assert time.monotonic() < until


def assert_refused_in_time(server, sent, *, allowed):
    """Assert a 503 for each body, within the allowed seconds plus the delays of a busy machine."""
    with pinged(server) as pings:
        answers, seconds = at_once(server, sent)
    for answer in answers:
        assert_problem(answer, 503, "try_again")
        assert int(answer["Retry-After"]) > 0
    assert seconds < allowed + 4 * max(pings)


@contextmanager
def pinged(server):
    """Yield a list of the seconds of requests without the database: a control during the block."""
    seconds, over = [], Event()

    def ping():
        while not seconds or not over.wait(0.1):
            began = time.monotonic()
            assert server.ask("GET", "/healthz").status_code == 200
            seconds.append(time.monotonic() - began)

    pinging = Thread(target=ping)
    pinging.start()
    try:
        yield seconds
    finally:
        over.set()
        pinging.join()


def assert_a_passing_fault(server, fault):
    """Assert a 503 in time with nothing stored. After the fault nothing is lost or doubled."""
    before, sent = bodies(), bodies()
    assert {answer.status_code for answer in retried(server, before)} == {201}
    allowed = seconds_allowed(server)
    with fault:
        assert_refused_in_time(server, sent, allowed=allowed)
        # Once more, on a connection already hit by the fault.
        assert_refused_in_time(server, sent[:1], allowed=allowed)
    assert {answer.status_code for answer in retried(server, sent)} == {201}
    assert {answer.status_code for answer in retried(server, before + sent)} == {200}
    assert is_ready_again(server)


def is_ready_again(server):
    """Whether /readyz answers 200 in time. Each old session of the pool may fail one more probe."""
    for _ in range(40):
        if server.ask("GET", "/readyz").status_code == 200:
            return True
        time.sleep(0.25)
    return False


# SQLite


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small disk, easily filled by a test."""
    folder = tmp_path_factory.mktemp("disk")
    with a_small_disk(folder):
        yield folder


@contextmanager
def a_small_disk(folder):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=777", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        missing("mounting a small disk is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def on_sqlite(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    own = {"PROMETHEUS_MULTIPROC_DIR": str(elsewhere), "LOG": str(elsewhere / "log")}
    with serving("granian", folder, **own) as server:
        yield server


@pytest.fixture
def path(folder):
    return folder / "granian.sqlite3"


def a_session(path):
    return closing(sqlite3.connect(path, isolation_level=None))


@contextmanager
def locked(path):
    with a_session(path) as session:
        session.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def queue_held(path):
    with Path(f"{path}-writer").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def full(folder):
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield
    finally:
        filler.unlink()


@contextmanager
def renamed(execute, table):
    execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
    try:
        yield
    finally:
        execute(f"ALTER TABLE {table}_gone RENAME TO {table}")


@contextmanager
def moved_away(path):
    path.rename(f"{path}.away")
    try:
        yield
    finally:
        Path(f"{path}.away").rename(path)


@pytest.mark.sqlite
@pytest.mark.parametrize("fault", [locked, queue_held, moved_away])
def test_a_database_file_that_cannot_be_written_now(on_sqlite, path, fault):
    assert_a_passing_fault(on_sqlite, fault(path))


@pytest.mark.sqlite
@pytest.mark.parametrize("table", ["chat_conversation", "chat_delivery"])
def test_a_table_that_is_missing(on_sqlite, path, table):
    with a_session(path) as session:
        assert_a_passing_fault(on_sqlite, renamed(session.execute, table))


@pytest.mark.sqlite
def test_a_disk_that_is_full(on_sqlite, path, folder):
    with a_session(path) as session:
        session.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else a write reuses the WAL's pages
    assert_a_passing_fault(on_sqlite, full(folder))


@pytest.mark.sqlite
@pytest.mark.parametrize("fault", ["pwrite64:EROFS", "pwrite64:EIO", "fdatasync:EIO"])
def test_a_disk_that_fails(on_sqlite, path, tmp_path, fault):
    """The kernel's errors for a disk made read-only, and for an unreachable disk."""
    call, error = fault.split(":")
    files = [option for suffix in ("", "-wal") for option in ("-P", f"{path}{suffix}")]
    failing = f"--inject={call}:error={error}"
    log = tmp_path / "strace"
    assert_a_passing_fault(on_sqlite, strace(on_sqlite.workers(), *files, failing, log=log))


@pytest.mark.sqlite
def test_a_database_file_that_is_replaced_takes_all_that_is_acknowledged(on_sqlite, path):
    allowed = seconds_allowed(on_sqlite)
    with a_session(path) as session:
        session.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(path, f"{path}.copy")
    Path(f"{path}.copy").replace(path)
    sent = bodies(30)
    answers, seconds = at_once(on_sqlite, sent)
    assert {answer.status_code for answer in answers} <= {201, 503}
    assert seconds < allowed
    ids = [json.loads(body)["data"]["id"] for body in sent]
    with a_session(path) as session:
        stored = {row[0] for row in session.execute("SELECT id FROM chat_conversation")}
        assert session.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for id, answer in zip(ids, answers, strict=True):
        assert (id.replace("-", "") in stored) == (answer.status_code == 201)
    assert {answer.status_code for answer in retried(on_sqlite, sent)} <= {200, 201}


# PostgreSQL


@pytest.fixture(scope="module")
def on_postgresql(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with serving("granian", folder, DATABASE_URL=cluster.url) as server:
        yield server


@contextmanager
def a_locked_table(cluster):
    with closing(psycopg.connect(cluster.url)) as session:
        session.execute("LOCK TABLE chat_conversation")
        yield


@contextmanager
def gone(cluster):
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


def frozen(cluster):
    return cluster.frozen()


@contextmanager
def read_only(cluster):
    """Make the server read-only, as providers do when a disk is nearly full."""
    cluster.execute(
        "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"
    )
    time.sleep(0.5)
    try:
        yield
    finally:
        cluster.execute(
            "SET transaction_read_only = off",
            "ALTER SYSTEM RESET default_transaction_read_only",
            "SELECT pg_reload_conf()",
        )
        time.sleep(0.5)


@contextmanager
def read_only_sessions(cluster):
    """Begin read-only sessions. A session keeps this setting, even after the database's has changed."""
    cluster.execute(
        "ALTER DATABASE postgres SET default_transaction_read_only = on", END_OTHER_SESSIONS
    )
    try:
        yield
    finally:
        with closing(psycopg.connect(cluster.url, autocommit=True)) as session:
            session.execute("SET default_transaction_read_only = off")
            session.execute("ALTER DATABASE postgres RESET default_transaction_read_only")


END_OTHER_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@pytest.mark.postgresql
@pytest.mark.parametrize("fault", [a_locked_table, gone, frozen, read_only, read_only_sessions])
def test_a_server_that_does_not_answer_or_takes_no_writes(on_postgresql, cluster, fault):
    assert_a_passing_fault(on_postgresql, fault(cluster))


@pytest.mark.postgresql
@pytest.mark.parametrize("table", ["chat_conversation", "chat_delivery"])
def test_a_table_that_is_missing_there(on_postgresql, cluster, table):
    assert_a_passing_fault(on_postgresql, renamed(cluster.execute, table))


@contextmanager
def full_to_the_last_page(cluster, folder):
    """Fill the disk and the table's last page: spare pages of earlier rows would need no disk."""
    cluster.execute("VACUUM FULL chat_delivery")
    with full(folder):
        yield


@pytest.mark.postgresql
def test_a_tablespace_that_is_full(on_postgresql, cluster):
    folder = cluster.folder / "tablespace"
    folder.mkdir()
    with ExitStack() as stack:
        stack.enter_context(a_small_disk(folder))
        (folder / "space").mkdir()
        shutil.chown(folder / "space", "postgres")
        cluster.execute(
            f"CREATE TABLESPACE small LOCATION '{folder / 'space'}'",
            "ALTER TABLE chat_delivery SET TABLESPACE small",
        )
        stack.callback(
            cluster.execute,
            "ALTER TABLE chat_delivery SET TABLESPACE pg_default",
            "DROP TABLESPACE small",
        )
        assert_a_passing_fault(on_postgresql, full_to_the_last_page(cluster, folder))


@pytest.mark.postgresql
def test_sessions_that_were_ended_cost_no_more_than_a_retry(on_postgresql, cluster):
    allowed = seconds_allowed(on_postgresql)
    cluster.execute(END_OTHER_SESSIONS)
    sent = bodies()
    assert at_once(on_postgresql, sent)[1] < allowed
    assert {answer.status_code for answer in retried(on_postgresql, sent)} <= {200, 201}
