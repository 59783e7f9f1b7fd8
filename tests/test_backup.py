"""`manage.py backup`: a complete copy under load. A service can go on from the copy."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from chat.health.vitals import read_all
from chat.models import Backup
from chat.upkeep import backup
from tests.conftest import C, M, make_event
from tests.databases import beside
from tests.servers import ROOT, serving

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("each engine is backed up by its own tools"),
]


@pytest.fixture
def filled(deliver, event):
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("NEW_MESSAGE", id=M))


@pytest.fixture
def file(tmp_path):
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "today"


def rows(file, table):
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]


@pytest.mark.sqlite
def test_a_backup_has_everything(filled, file, capsys):
    call_command("backup", str(file))
    assert (rows(file, "chat_message"), rows(file, "chat_delivery")) == (1, 2)
    assert "chat_delivery: 2 rows" in capsys.readouterr().out


def test_the_time_of_the_last_good_backup_is_kept(filled, file):
    assert read_all(timezone.now())["last_backup_timestamp_seconds"] == 0
    began = timezone.now()
    call_command("backup", str(file))
    noted = read_all(timezone.now())["last_backup_timestamp_seconds"]
    assert began.timestamp() <= noted <= timezone.now().timestamp()
    with pytest.raises(CommandError):
        call_command("backup", str(file))  # the file exists
    assert read_all(timezone.now())["last_backup_timestamp_seconds"] == noted
    call_command("backup", str(file.with_name("tomorrow")))
    assert Backup.objects.get().ended_at.timestamp() > noted


def test_a_backup_is_good_if_its_time_cannot_be_noted(filled, file, capsys):
    def take_no_writes(execute, sql, *statement):
        if "chat_backup" in sql and not sql.startswith("SELECT"):
            raise OperationalError("read-only")
        return execute(sql, *statement)

    with connection.execute_wrapper(take_no_writes):
        call_command("backup", str(file))
    assert "not noted in the database: read-only" in capsys.readouterr().err


@pytest.mark.sqlite
def test_a_backup_is_of_one_moment_whatever_is_written_meanwhile(filled, file, monkeypatch):
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 1)
    steps = []

    def write(done, total):
        steps.append(done)
        with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
            other.execute(f"INSERT INTO django_session VALUES ('{done}', '', '2025-02-21')")
            other.commit()

    backup.back_up(file, on_progress=write)
    assert rows(file, "django_session") == 0
    assert steps == sorted(set(steps))


@pytest.mark.sqlite
def test_a_backup_needs_no_log_beside_it(filled, file):
    call_command("backup", str(file))
    assert file.read_bytes()[18:20] == b"\x01\x01"  # SQLite's file format: 2 is for WAL


def test_a_backup_is_one_file_for_its_owner_only(filled, file):
    call_command("backup", str(file))
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_overwrites_nothing(filled, file):
    file.write_text("mine")
    with pytest.raises(CommandError, match="exists; nothing is overwritten"):
        call_command("backup", str(file))
    assert file.read_text() == "mine"


def test_what_comes_into_its_place_meanwhile_is_not_overwritten(filled, file, monkeypatch):
    monkeypatch.setattr(backup, "sync", lambda path: file.write_text("theirs"))
    with pytest.raises(CommandError, match="exists"):
        call_command("backup", str(file))
    assert file.read_text() == "theirs"


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "no backup"),
        (lambda path: path.write_bytes(b"nonsense" * 1000), "cannot be read"),
        (lambda path: delete_from(path), "other rows"),
    ],
)
def test_a_copy_that_is_not_whole_is_no_backup(filled, file, monkeypatch, damage, said):
    copied = backup.copy

    def damaged(partial, **rest):
        counts = copied(partial, **rest)
        damage(partial)
        return counts

    monkeypatch.setattr(backup, "copy", damaged)
    with pytest.raises(CommandError, match=said):
        call_command("backup", str(file))
    assert list(file.parent.iterdir()) == []


def delete_from(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM chat_message")
        database.commit()


def test_a_place_that_does_not_exist_is_said(filled, tmp_path):
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        call_command("backup", str(tmp_path / "none" / "backup"))


# Restoring, with the commands of docs/operations.md


@pytest.mark.sqlite
def test_a_backup_under_load_is_restored_and_the_service_goes_on_from_it(tmp_path, file):
    with serving("granian", tmp_path) as server, written_to_without_end(server) as taken:
        before = wait_for_more(taken)
        manage("backup", str(file), database=tmp_path / "granian.sqlite3")
        after = wait_for_more(taken)
    restored = tmp_path / "elsewhere" / "granian.sqlite3"
    restored.parent.mkdir()
    shutil.copy(file, restored)
    with serving("granian", restored.parent) as server:
        for id in before:
            assert server.ask("GET", f"/conversations/{id}").json()["messages"][0]["id"] == id
        assert server.post(opening(uuid4())).status_code == 201
    assert len(before) <= rows(file, "chat_message") <= len(after)
    assert applied_messages(file) == rows(file, "chat_message")
    assert "conversations are equal" in manage("replay", "--check", database=restored)


@contextmanager
def written_to_without_end(server):
    """Let two senders write conversations with one message of the same id. Yield the ids of the stored ones."""
    taken, stop = [], threading.Event()

    def send():
        while not stop.is_set():
            id = str(uuid4())
            assert server.post(opening(id)).status_code == 201
            assert server.post(message(id)).status_code == 201
            taken.append(id)

    with ThreadPoolExecutor(2) as senders:
        sending = [senders.submit(send) for _ in range(2)]
        try:
            yield taken
        finally:
            stop.set()
    for sent in sending:
        sent.result()


def wait_for_more(taken, *, seconds=20):
    """Wait for twenty more events. Return all events stored until now."""
    deadline, wanted = time.monotonic() + seconds, len(taken) + 20
    while len(taken) < wanted:
        assert time.monotonic() < deadline, "nothing was taken in meanwhile"
        time.sleep(0.02)
    return list(taken)


def opening(id):
    return json.dumps(make_event("NEW_CONVERSATION", id=str(id)))


def message(id):
    return json.dumps(make_event("NEW_MESSAGE", id=id, conversation_id=id))


def applied_messages(file):
    return rows(file, "chat_delivery WHERE type = 'NEW_MESSAGE' AND outcome = 'applied'")


def manage(*arguments, database):
    environ = os.environ | {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{database}"}
    command = [sys.executable, "manage.py", *arguments]
    ended = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.postgresql
def test_a_dump_is_restored(filled, file):
    call_command("backup", str(file))
    with beside("restored") as url:
        subprocess.run(["pg_restore", "--no-owner", f"--dbname={url}", str(file)], check=True)
        with closing(psycopg.connect(url)) as database:
            [count] = database.execute("SELECT COUNT(*) FROM chat_message").fetchone()
    assert count == 1


@pytest.mark.postgresql
def test_without_the_programs_of_postgresql_it_says_what_is_missing(filled, file, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandError, match="pg_dump is not installed"):
        call_command("backup", str(file))


@pytest.mark.postgresql
def test_a_dump_that_fails_leaves_nothing(filled, file, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "NAME", "none_of_this_name")
    with pytest.raises(CommandError, match="none_of_this_name"):
        call_command("backup", str(file))
    assert list(file.parent.iterdir()) == []


@pytest.mark.postgresql
def test_a_dump_that_cannot_be_read_is_no_backup(filled, file, monkeypatch):
    ran = backup.run

    def damaging(program, *arguments, **rest):
        ran(program, *arguments, **rest)
        if program == "pg_dump":
            [partial] = file.parent.iterdir()
            partial.write_bytes(partial.read_bytes()[:2000])

    monkeypatch.setattr(backup, "run", damaging)
    with pytest.raises(CommandError, match="no backup"):
        call_command("backup", str(file))
    assert list(file.parent.iterdir()) == []
