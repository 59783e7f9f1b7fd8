"""`manage.py restore` brings the backup and nothing else, and leaves out later erasures."""

import fcntl
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from chat.models import Conversation, Delivery, Message, current_generation
from chat.upkeep import copying, erasure, restoring, restoring_postgresql, restoring_sqlite
from chat.upkeep.restored import RestoreFailed
from tests.conftest import M2, OTHER_C, C, M, make_event
from tests.databases import beside
from tests.servers import ROOT, serving
from tests.test_mirror import Reader, stored

pytestmark = [
    pytest.mark.usefixtures("scratch_database"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("each engine is restored by its own tools"),
]

TEXT = "segredinho guardado"


@contextmanager
def database_named(name):
    """Make another database on the same server the default, inside this block."""
    own = connection.settings_dict["NAME"]
    try:
        leave_for(name)
        yield
    finally:
        leave_for(own)


def leave_for(name):
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()
    connection.settings_dict["NAME"] = name


@pytest.fixture(autouse=True)
def database(db, tmp_path):
    """SQLite: a database of the test's own, replaceable by a restore."""
    if connection.vendor == "postgresql":
        yield None
        return
    file = tmp_path / "own" / "db.sqlite3"
    file.parent.mkdir()
    connection.close()
    with (
        closing(sqlite3.connect(connection.settings_dict["NAME"])) as empty,
        closing(sqlite3.connect(file)) as own,
    ):
        empty.backup(own)
    with database_named(str(file)):
        yield file


@pytest.fixture
def file(told, tmp_path):
    """A backup of two conversations, without later changes."""
    file = tmp_path / "backup"
    call_command("backup", str(file))
    return file


@pytest.fixture
def told(deliver, database):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M, content=TEXT))
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))


@pytest.fixture
def restore():
    """SQLite restores in place. On PostgreSQL a restore goes into another database, used by the rest of the test."""
    with ExitStack() as stack:

        def restore(file, *options):
            if connection.vendor == "postgresql":
                url = stack.enter_context(beside("restored"))
                stack.enter_context(database_named(url.rpartition("/")[2]))
            call_command("restore", str(file), "--yes", *options)

        yield restore


def later(deliver):
    return deliver(make_event("NEW_MESSAGE", id=M2, content="Bom dia", conversation_id=OTHER_C))


def contents():
    return sorted(Message.objects.values_list("content", flat=True))


def files_of(database):
    return sorted(path.name for path in database.parent.iterdir())


def set_aside(database):
    [path] = database.parent.glob("*-replaced-*Z.sqlite3")
    return path


def rows(file, what):
    with closing(sqlite3.connect(file)) as database:
        return database.execute(f"SELECT COUNT(*) FROM {what}").fetchone()[0]


@pytest.mark.erases
def test_events_an_erasure_and_a_restore_later_everything_agrees(file, deliver, restore):
    reader = Reader(random.Random(1))
    later(deliver)
    call_command("erase_conversation", C, "--yes")
    while reader.follow():
        pass
    assert reader.mirror.known() == stored()
    restore(file)
    assert contents() == [""]
    while reader.follow():
        pass
    assert reader.begun == 2
    assert reader.mirror.known() == stored()
    call_command("replay", "--check")
    assert later(deliver).outcome == "applied"
    while reader.follow():
        pass
    assert reader.mirror.known() == stored()


# Restored rows


def test_what_came_after_the_backup_is_gone(file, deliver, restore):
    later(deliver)
    restore(file)
    assert contents() == [TEXT]


def test_a_new_generation_begins(file, restore):
    before = current_generation()
    restore(file)
    assert current_generation() != before


def test_people_log_in_again(told, tmp_path, restore):
    Session.objects.create(session_key="x", session_data="", expire_date=timezone.now())
    call_command("backup", str(tmp_path / "backup"))
    restore(tmp_path / "backup")
    assert not Session.objects.exists()


@pytest.mark.erases
def test_an_erased_conversation_that_the_backup_does_not_have_stays_out(tmp_path, deliver, restore):
    call_command("backup", str(tmp_path / "backup"))
    opening = make_event("NEW_CONVERSATION", id=C)
    deliver(opening)
    call_command("erase_conversation", C, "--yes")
    restore(tmp_path / "backup")
    assert deliver(opening).outcome == "duplicate"
    assert deliver(make_event("NEW_MESSAGE", id=M, content=TEXT)).code == "conversation_closed"


@pytest.mark.erases
@pytest.mark.sqlite
def test_the_erased_text_is_not_in_the_restored_file(file, database, restore):
    call_command("erase_conversation", C, "--yes")
    restore(file)
    connection.close()
    assert b"segredinho" not in database.read_bytes()
    assert b"segredinho" in file.read_bytes()


@pytest.mark.erases
def test_a_backup_between_an_erasure_and_its_scrub_keeps_no_unreadable_text(
    told, deliver, tmp_path, restore
):
    deliver(f'{{"content": "{TEXT}", "id": "{M}"'.encode())
    erasure.erase(UUID(C), at=timezone.now())
    call_command("backup", str(tmp_path / "backup"))
    call_command("erase_conversation", C, "--yes")
    restore(tmp_path / "backup")
    assert bytes(Delivery.objects.get(code="invalid_json").body) == b""


def test_it_says_what_to_do_next(file, restore, capsys):
    restore(file)
    said = capsys.readouterr().out
    assert "There is no list of erasures" in said
    assert "The last delivery came at 2025-02-21T12:00:00+00:00." in said
    assert "Let the senders send again what came since" in said


def test_without_yes_nothing_is_restored(file, deliver, capsys):
    later(deliver)
    call_command("restore", str(file))
    assert len(contents()) == 2
    assert "is sound" in capsys.readouterr().out


@pytest.mark.sqlite
def test_an_older_backup_is_migrated(file, restore, capsys):
    with copying.attached(connection.settings_dict | {"NAME": str(file)}) as alias:
        call_command("migrate", "chat", "0006", database=alias, verbosity=0)
    restore(file)
    assert "migrations are missing, and are applied" in capsys.readouterr().out
    assert contents() == [TEXT]
    assert Conversation.objects.get(pk=C).received_count == 1


# Rows left out


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.unlink(), "^not restored: /.*: No such file or directory$"),
        (lambda file: file.write_bytes(b""), "is no backup|is of another|another program"),
        (lambda file: file.write_bytes(b"nonsense" * 1000), "is no backup"),
        (lambda file: file.write_bytes(file.read_bytes()[:9000]), "is no backup|is damaged"),
    ],
)
def test_a_backup_that_cannot_be_read_changes_nothing(file, deliver, damage, said):
    later(deliver)
    damage(file)
    with pytest.raises(CommandError, match=said):
        call_command("restore", str(file), "--yes")
    assert len(contents()) == 2


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM django_migrations WHERE app = 'chat'", "of another program"),
        ("UPDATE django_migrations SET name = '0099_x' WHERE name = '0007_changes'", "newer"),
    ],
)
def test_what_this_version_does_not_understand_is_refused(file, deliver, statement, said):
    later(deliver)
    with closing(sqlite3.connect(file)) as backup:
        backup.execute(statement)
        backup.commit()
    with pytest.raises(CommandError, match=said):
        call_command("restore", str(file), "--yes")
    assert len(contents()) == 2


# SQLite's files


@pytest.mark.sqlite
def test_a_backup_is_restored_with_its_wal(file, database, deliver, restore, tmp_path):
    later(deliver)
    copied = tmp_path / "copied"
    for suffix in ("", "-wal"):
        shutil.copy(f"{database}{suffix}", f"{copied}{suffix}")
    restore(copied)
    assert len(contents()) == 2


@pytest.mark.sqlite
def test_a_folder_may_have_any_name(file, restore, tmp_path):
    folder = tmp_path / "a%41?b#c"
    folder.mkdir()
    with database_named(str(shutil.copy(file, folder / "db.sqlite3"))):
        restore(file)
        assert contents() == [TEXT]


@pytest.mark.sqlite
def test_the_replaced_database_is_kept_whole(file, database, deliver, restore):
    later(deliver)
    restore(file)
    assert rows(set_aside(database), "chat_message") == 2


@pytest.mark.sqlite
def test_a_restore_is_undone_by_another(file, database, deliver, restore):
    later(deliver)
    restore(file)
    undone = set_aside(database).rename(database.with_name("undone.sqlite3"))
    restore(undone)
    assert len(contents()) == 2


@pytest.mark.sqlite
def test_nothing_else_stays_beside_the_database(file, database, restore):
    restore(file)
    connection.close()
    assert files_of(database) == sorted(
        ["db.sqlite3", "db.sqlite3-writer", set_aside(database).name]
    )


@pytest.mark.sqlite
def test_a_wal_that_nobody_has_closed_is_not_played_into_the_backup(
    file, database, deliver, restore
):
    left_as_after_a_kill(database, deliver)
    restore(file)
    assert contents() == [TEXT]
    assert rows(set_aside(database), "chat_message") == 2


def left_as_after_a_kill(database, deliver):
    """Leave the last message in the WAL, and close no connection, as a kill does."""
    later(deliver)
    left = {suffix: Path(f"{database}{suffix}").read_bytes() for suffix in ("", "-wal")}
    connection.close()
    for suffix, content in left.items():
        Path(f"{database}{suffix}").write_bytes(content)


@pytest.mark.sqlite
def test_owner_and_mode_stay(file, database, restore):
    database.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(database, 1234, 1235)
    before = database.stat()
    restore(file)
    after = database.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )
    assert Path(f"{database}-writer").stat().st_uid == before.st_uid


@pytest.mark.sqlite
def test_a_group_that_the_user_is_not_in_stops_no_restore(file, restore, monkeypatch):
    chown = os.chown

    def chown_of_a_user(path, owner, group):
        if group != -1:
            raise PermissionError
        chown(path, owner, group)

    monkeypatch.setattr(os, "geteuid", lambda: 1234)  # only root may give files away
    monkeypatch.setattr(os, "chown", chown_of_a_user)
    restore(file)
    assert contents() == [TEXT]


@pytest.mark.sqlite
def test_a_damaged_database_goes_aside_with_its_wal(file, database, deliver, restore):
    later(deliver)
    wal = Path(f"{database}-wal").read_bytes()
    connection.close()
    database.write_bytes(b"nonsense" * 1000)
    Path(f"{database}-wal").write_bytes(wal)
    restore(file)
    assert contents() == [TEXT]
    aside = set_aside(database)
    assert aside.read_bytes() == b"nonsense" * 1000
    assert Path(f"{aside}-wal").read_bytes() == wal


@pytest.mark.sqlite
def test_a_lost_database_is_restored(file, database, restore):
    connection.close()
    database.unlink()
    restore(file)
    assert contents() == [TEXT]


@pytest.mark.sqlite
def test_the_database_is_no_backup_of_itself(database, told):
    with pytest.raises(CommandError, match="is the database itself"):
        call_command("restore", str(database), "--yes")


@pytest.mark.sqlite
@pytest.mark.parametrize("where", ["copy", "renew", "make_one_file", "own_as_before", "set_aside"])
def test_an_interruption_leaves_the_old_database_and_the_next_run_works(
    file, database, deliver, restore, monkeypatch, where
):
    def fail(*arguments, **named):
        raise OSError("interrupted")

    later(deliver)
    with monkeypatch.context() as patched:
        patched.setattr(restoring_sqlite, where, fail)
        with pytest.raises(CommandError, match="interrupted"):
            restore(file)
    assert len(contents()) == 2
    restore(file)
    assert contents() == [TEXT]


@pytest.mark.sqlite
def test_an_interrupted_swap_lets_no_server_begin_and_the_next_run_works(
    file, database, deliver, restore, monkeypatch
):
    def fail(*arguments, **named):
        raise OSError("interrupted")

    left_as_after_a_kill(database, deliver)
    for part in ("empty_beside", "Path.replace"):
        with monkeypatch.context() as patched:
            patched.setattr(f"chat.upkeep.restoring_sqlite.{part}", fail)
            with pytest.raises(CommandError, match="interrupted"):
                restore(file)
        with pytest.raises(OperationalError, match="file is gone, and its WAL is not"):
            contents()
    restore(file)
    assert contents() == [TEXT]
    first = min(database.parent.glob("*-replaced-*Z.sqlite3"))
    assert rows(first, "chat_message") == 2


@pytest.mark.sqlite
def test_what_a_killed_run_left_is_not_in_the_way(file, database, restore):
    for suffix in ("", "-wal", "-shm", "-writer"):
        database.with_name(f".db.sqlite3.restoring{suffix}").write_text("half of it")
    restore(file)
    assert contents() == [TEXT]
    assert not list(database.parent.glob(".*"))


# Other processes with the database open


@pytest.mark.sqlite
def test_a_process_that_has_the_database_open_is_named(file, database, deliver, restore):
    later(deliver)
    with reading(database) as pid, pytest.raises(CommandError, match=f"open in process {pid}"):
        restore(file)
    assert len(contents()) == 2
    restore(file)


@contextmanager
def reading(database):
    """Run another process with the database open. Yield its id."""
    script = (
        "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); "
        "d.execute('SELECT COUNT(*) FROM chat_message'); print(flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, str(database)], **pipes) as process:
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


@pytest.mark.sqlite
def test_a_connection_of_a_process_that_cannot_be_seen_is_noticed(
    file, database, deliver, restore, monkeypatch
):
    later(deliver)
    monkeypatch.setattr(restoring_sqlite, "processes_with", lambda database: [])
    with reading(database), pytest.raises(CommandError, match="open elsewhere"):
        restore(file)
    assert len(contents()) == 2


@pytest.mark.sqlite
def test_a_writer_is_waited_for_and_then_told(file, database, restore, monkeypatch):
    monkeypatch.setattr(restoring_sqlite, "SECONDS_FOR_THE_LAST_WRITER", 0)
    with Path(f"{database}-writer").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="another process writes"):
            restore(file)
    restore(file)


@pytest.mark.sqlite
def test_a_running_server_is_refused_and_after_its_end_everything_is_served(tmp_path):
    folder, file = tmp_path / "served", tmp_path / "backup"
    folder.mkdir()
    database = folder / "granian.sqlite3"
    with serving("granian", folder) as server:
        server.post(json.dumps(make_event("NEW_CONVERSATION", id=C)))
        server.post(json.dumps(make_event("NEW_MESSAGE", id=M, content=TEXT)))
        assert manage("backup", file, database=database).returncode == 0
        assert manage("erase_conversation", C, "--yes", database=database).returncode == 0
        refused = manage("restore", file, "--yes", database=database)
    assert refused.returncode == 1
    assert "open in process" in refused.stderr
    assert manage("restore", file, "--yes", database=database).returncode == 0
    with serving("granian", folder) as server:
        [message] = server.ask("GET", f"/conversations/{C}").json()["messages"]
    assert (message["id"], message["content"]) == (M, "")


@pytest.mark.sqlite
@pytest.mark.proof
def test_a_restore_that_is_killed_at_any_moment_is_run_again(
    file, database, deliver, tmp_path, rounds
):
    left_as_after_a_kill(database, deliver)
    # Another name, because this process keeps the file of its writers' queue open.
    killed = tmp_path / "killed" / "db.sqlite3"
    put_back(database, killed)
    began = time.monotonic()
    assert manage("restore", file, "--yes", database=killed).returncode == 0
    took = time.monotonic() - began
    for number in range(rounds(quick=3, ci=3, long=200)):
        put_back(database, killed)
        kill_after(random.Random(number).uniform(0.5, 1) * took, file, killed)
        # SQLite may refuse to open the file.
        with database_named(str(killed)), suppress(OperationalError):
            assert len(contents()) in (1, 2)
        assert manage("restore", file, "--yes", database=killed).returncode == 0
        with database_named(str(killed)):
            assert contents() == [TEXT]
        kept = killed.parent.glob("*-replaced-*Z.sqlite3")
        assert 2 in [rows(path, "chat_message") for path in kept]


def put_back(database, killed):
    """Put the killed database back, with its WAL and no other file."""
    shutil.rmtree(killed.parent, ignore_errors=True)
    killed.parent.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{database}{suffix}", f"{killed}{suffix}")


def kill_after(seconds, file, database):
    with suppress(subprocess.TimeoutExpired):
        manage("restore", file, "--yes", database=database, timeout=seconds)


def manage(*arguments, database, timeout=60):
    """Return the ended command. A timeout kills the command."""
    environ = os.environ | {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{database}"}
    command = [sys.executable, "manage.py", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=timeout
    )


# PostgreSQL


@pytest.mark.postgresql
def test_a_database_with_tables_is_refused(file, deliver):
    later(deliver)
    with pytest.raises(CommandError, match="has tables already"):
        call_command("restore", str(file), "--yes")
    assert len(contents()) == 2


@pytest.mark.postgresql
def test_an_interrupted_restore_goes_on_with_the_same_file_and_no_other(
    file, restore, monkeypatch, tmp_path
):
    def fail(*arguments):
        raise OSError("interrupted")

    before = current_generation()
    another = tmp_path / "another"
    call_command("backup", str(another))
    with monkeypatch.context() as patched:
        patched.setattr(restoring_postgresql, "renew", fail)
        with pytest.raises(CommandError, match="interrupted"):
            restore(file)
    with pytest.raises(CommandError, match="has tables already"):
        call_command("restore", str(another), "--yes")
    call_command("restore", str(file), "--yes")
    assert contents() == [TEXT]
    assert current_generation() != before
    with pytest.raises(CommandError, match="has tables already"):
        call_command("restore", str(file), "--yes")


@pytest.mark.postgresql
def test_an_error_of_pg_restore_leaves_an_empty_database(file, monkeypatch):
    with monkeypatch.context() as patched, beside("restored") as url:
        patched.setattr(restoring, "check", lambda file: None)
        with database_named(url.rpartition("/")[2]):
            damaged = file.with_name("damaged")
            damaged.write_bytes(file.read_bytes()[:-5000])
            with pytest.raises(RestoreFailed):
                restoring.restore(damaged, on_progress=lambda done, total: None)
            assert not restoring_postgresql.has_tables()


@pytest.mark.postgresql
def test_a_database_in_use_is_refused(file):
    with (
        beside("restored") as url,
        closing(psycopg.connect(url)),
        database_named(url.rpartition("/")[2]),
        pytest.raises(CommandError, match="1 other sessions use the database"),
    ):
        call_command("restore", str(file), "--yes")


@pytest.mark.postgresql
@pytest.mark.erases
def test_a_restore_ends_though_an_older_transaction_does_not(file, restore, monkeypatch, capsys):
    def fail(*arguments, **named):
        raise erasure.StillRead

    call_command("erase_conversation", C, "--yes")
    monkeypatch.setattr(erasure, "wait_for_older_transactions", fail)
    restore(file)
    assert contents() == [""]
    assert "Old text is still in the files" in capsys.readouterr().out
