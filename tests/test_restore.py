"""`manage.py restore`: a backup in the place of the database, and what was erased since erased again."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import C, M, make_event
from tests.databases import beside
from tests.servers import ROOT, free_port, running, set_up

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
N = "16b63b04-60de-4257-b1a1-20a5154abc6d"
SECRET = "segredinho guardado"

pytestmark = pytest.mark.both_engines("each engine is restored in its own way")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A database and its backup, made once: a secret, then the backup, then another conversation."""
    folder = tmp_path_factory.mktemp("made")
    environ = set_up("granian", folder, DJANGO_SETTINGS_MODULE="realmate.settings")
    with running("granian", environ) as server:
        post(server, "NEW_CONVERSATION", id=C)
        post(server, "NEW_MESSAGE", id=M, conversation_id=C, content=SECRET)
        assert server.post(f'{{"id": "{C}", "content": "{SECRET}"'.encode()).status_code == 400
        backup = [sys.executable, "manage.py", "backup", str(folder / "backup.sqlite3")]
        subprocess.run(backup, cwd=ROOT, env=environ, check=True)
        post(server, "NEW_CONVERSATION", id=D)
        post(server, "NEW_MESSAGE", id=N, conversation_id=D, content="Bom dia")
    return folder, environ


@pytest.fixture
def environ(made, tmp_path):
    folder, environ = made
    for file in folder.glob("*.sqlite3*"):
        shutil.copy(file, tmp_path)
    database = f"sqlite:///{tmp_path / 'granian.sqlite3'}"
    return environ | {"DATABASE_URL": database, "GRANIAN_PORT": str(free_port())}


@pytest.fixture
def database(tmp_path):
    return tmp_path / "granian.sqlite3"


@pytest.fixture
def backup(environ, tmp_path):
    return tmp_path / "backup.sqlite3"


@pytest.fixture
def manage(environ):
    def manage(*arguments, fails=False):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
        )
        assert bool(done.returncode) is fails, done.stderr
        return done.stdout + done.stderr

    return manage


def post(server, type, **event):
    body = json.dumps(make_event(type, **event)).encode()
    assert server.post(body).status_code in (200, 201)


def conversations(database):
    with closing(sqlite3.connect(database)) as opened:
        return {id for (id,) in opened.execute("SELECT id FROM chat_conversation")}


def generation(database):
    with closing(sqlite3.connect(database)) as opened:
        found = opened.execute("SELECT key FROM chat_generation ORDER BY id DESC LIMIT 1")
        return found.fetchone()[0]


def test_a_mirror_and_the_check_after_an_erasure_and_a_restore(environ, manage, database, backup):
    with running("granian", environ) as server:
        cursor = server.ask("GET", "/changes").json()["next"]
        manage("erase_conversation", C, "--yes")
    said = manage("restore", str(backup), "--yes")
    assert "1 conversations were erased again" in said
    with running("granian", environ) as server:
        assert server.ask("GET", f"/changes?after={cursor}").status_code == 410
        begun = server.ask("GET", "/changes?after=now").json()["next"]
        listed = server.ask("GET", "/conversations?ordering=oldest").json()["conversations"]
        assert [(row["id"], row["erased_at"] is not None) for row in listed] == [(C, True)]
        post(server, "NEW_CONVERSATION", id=D)
        changes = server.ask("GET", f"/changes?after={begun}").json()["changes"]
        assert [(change["type"], change["conversation_id"]) for change in changes] == [
            ("opened", D)
        ]
        messages = server.ask("GET", f"/conversations/{C}").json()["messages"]
        assert [message["content"] for message in messages] == [""]
    assert "differences" not in manage("replay", "--check")
    for part in (database, Path(f"{database}-wal")):
        assert not part.exists() or SECRET.encode() not in part.read_bytes()


def test_a_conversation_that_the_backup_does_not_know_stays_erased(environ, manage, backup):
    manage("erase_conversation", D, "--yes")
    manage("restore", str(backup), "--yes")
    with running("granian", environ) as server:
        event = make_event("NEW_MESSAGE", id=N, conversation_id=D, content="Bom dia")
        assert server.post(json.dumps(event).encode()).status_code == 400


def test_the_replaced_database_stays_beside(manage, backup, database, tmp_path):
    said = manage("restore", str(backup), "--yes")
    [aside] = tmp_path.glob("granian.sqlite3.before-restore-*")
    assert str(aside) in said
    assert len(conversations(aside)) == 2
    assert len(conversations(database)) == 1
    assert not list(tmp_path.glob(".*restoring*"))


def test_without_yes_nothing_is_restored(manage, backup, database):
    said = manage("restore", str(backup))
    assert "chat_conversation: 1 rows" in said
    assert "Nothing was done" in said
    assert len(conversations(database)) == 2


def test_a_restore_begins_a_new_generation(manage, backup, database):
    before = generation(database)
    manage("restore", str(backup), "--yes")
    assert generation(database) not in (before, generation(backup))


def test_owner_and_mode_of_the_replaced_file_stay(manage, backup, database):
    database.chmod(0o640)
    if os.getuid() == 0:
        os.chown(database, 1234, 2345)
    before = database.stat()
    manage("restore", str(backup), "--yes")
    after = database.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_the_wal_of_the_replaced_database_is_not_played_into_the_restored_one(
    environ, manage, backup, database
):
    """As after a kill, which leaves a WAL."""
    with running("granian", environ) as server:
        post(server, "NEW_CONVERSATION", id="00000000-8d80-4ce9-84ba-7af66f369f6a")
        server.kill()
    assert Path(f"{database}-wal").stat().st_size
    manage("restore", str(backup), "--yes")
    assert len(conversations(database)) == 1


def test_a_running_server_is_not_robbed_of_its_database(environ, manage, backup, database):
    with running("granian", environ) as server:
        said = manage("restore", str(backup), "--yes", fails=True)
        assert "stop the server first" in said
        assert any(str(pid) in said for pid in [server.pid, *server.workers()])
    assert len(conversations(database)) == 2


def test_a_lost_database_is_restored_too(manage, backup, database):
    database.unlink()
    manage("restore", str(backup), "--yes")
    assert len(conversations(database)) == 1
    assert database.stat().st_mode & 0o777 == 0o600


def test_a_damaged_database_is_moved_aside_with_its_wal(manage, backup, database, tmp_path):
    database.write_bytes(b"damaged" * 1000)
    Path(f"{database}-wal").write_bytes(b"wal")
    manage("restore", str(backup), "--yes")
    assert len(conversations(database)) == 1
    assert len(list(tmp_path.glob("granian.sqlite3.before-restore-*-wal"))) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no backup"), (b"damaged" * 1000, "no backup"), (None, "No such file")],
    ids=["empty", "damaged", "missing"],
)
def test_what_is_no_backup_is_refused(manage, backup, database, tmp_path, content, said):
    file = tmp_path / "other"
    if content is not None:
        file.write_bytes(content)
    assert said in manage("restore", str(file), "--yes", fails=True)
    assert len(conversations(database)) == 2


def test_another_database_is_refused(manage, backup, database, tmp_path):
    file = tmp_path / "other.sqlite3"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE django_migrations (app, name)")
    assert "no backup" in manage("restore", str(file), "--yes", fails=True)
    assert len(conversations(database)) == 2


def test_a_backup_of_a_newer_version_is_refused(manage, backup, database):
    with closing(sqlite3.connect(backup)) as newer, newer:
        newer.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('chat', '9999_later', '')"
        )
    assert "newer version: it has chat.9999_later" in manage(
        "restore", str(backup), "--yes", fails=True
    )
    assert len(conversations(database)) == 2


# PostgreSQL


@pytest.fixture
def postgresql(tmp_path):
    """A database, and an empty one beside it."""
    with beside("restored_from") as full, beside("restored_into") as empty:
        erasures = {"ERASURES_FILE": str(tmp_path / "erasures")}
        yield [
            os.environ | erasures | {"DATABASE_URL": url, "DEBUG": "true"} for url in (full, empty)
        ]


def run(environ, *arguments):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environ | {"DJANGO_SETTINGS_MODULE": "realmate.settings"},
        capture_output=True,
        text=True,
    )


@pytest.mark.postgresql
@pytest.mark.alone("an erasure waits for every older transaction of the server")
def test_a_dump_is_restored_into_an_empty_database(postgresql, tmp_path):
    full, empty = postgresql
    file = str(tmp_path / "backup.dump")
    for command in (("migrate", "-v0"), ("simulate", "--bulk", "3"), ("backup", file)):
        done = run(full, *command)
        assert done.returncode == 0, done.stderr
    assert "not empty" in run(full, "restore", file, "--yes").stderr
    show = "from chat.models import *; c = Conversation.objects; print(c.count(), c.exclude(erased_at=None).count(), current_generation(), c.order_by('id').first().id)"
    count, _, generation, first = run(full, "shell", "--no-imports", "-c", show).stdout.split()
    assert run(full, "erase_conversation", first, "--yes").returncode == 0
    done = run(empty, "restore", file, "--yes")
    assert done.returncode == 0, done.stderr
    again = run(empty, "shell", "--no-imports", "-c", show).stdout.split()
    assert again[:2] == [count, "1"]
    assert again[2] != generation
    assert run(empty, "replay", "--check").returncode == 0
