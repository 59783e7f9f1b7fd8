"""Code older or newer than the schema writes nothing, and reports the mismatch."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import StringIO
from threading import Barrier

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from chat.database.migrated import WrongSchema, missing_from, unknown_among, writing
from chat.events.bulk import ingest_many
from chat.events.ingest import apply_again, ingest
from chat.models import Conversation, Delivery, Token, User
from tests.conftest import NOW, C, M, make_event
from tests.servers import ROOT, assert_page, assert_problem, through_wsgi

pytestmark = pytest.mark.both_engines(
    "each engine reads the migrations in a transaction of its own"
)

NEWER = "9999_of_a_newer_version"
Migration = MigrationRecorder.Migration
OPENING = make_event("NEW_CONVERSATION", id=C)


def newer():
    Migration.objects.create(app="chat", name=NEWER)


def latest_migration():
    return max(path.stem for path in (ROOT / "chat" / "migrations").glob("0*.py"))


def older():
    Migration.objects.filter(app="chat").order_by("id").last().delete()


@pytest.fixture(params=[newer, older])
def wrong(request, db):
    """Makes the schema newer or older than the code."""
    return request.param


def nothing_stored():
    return not Conversation.objects.exists() and not Delivery.objects.exists()


def test_an_event_is_refused_and_succeeds_once_the_schema_fits(post, wrong):
    applied = list(Migration.objects.filter(app="chat"))
    wrong()
    answer = post(OPENING)
    assert_problem(answer, 503, "try_again")
    assert int(answer["Retry-After"]) > 0
    assert nothing_stored()
    Migration.objects.filter(app="chat").delete()
    Migration.objects.bulk_create(applied)
    assert post(OPENING).status_code == 201


def test_a_refused_event_leaves_no_traceback(post, wrong, caplog):
    wrong()
    post(OPENING)
    assert [record.exc_info for record in caplog.records if record.exc_info] == []


def test_every_way_in_is_refused(deliver, wrong):
    deliver(make_event("NEW_MESSAGE", id=M))
    early, body = Delivery.objects.get(), b"{}"
    wrong()
    for write in (
        lambda: ingest(body, received_at=NOW),
        lambda: apply_again(early, at=NOW),
        lambda: list(ingest_many([(body, NOW)])),
    ):
        with pytest.raises(WrongSchema):
            write()
    assert Delivery.objects.count() == 1


def test_migrations_of_other_apps_do_not_count(post):
    Migration.objects.create(app="removed", name="0001_initial")
    assert post(OPENING).status_code == 201


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("replay", ["--yes"]),
        ("replay", ["--check"]),
        ("erase_conversation", [C, "--yes"]),
        ("prune", ["--yes"]),
        ("reindex", []),
        ("upkeep", []),
        ("export_conversation", [C, "export.json"]),
        ("export_messages", ["export.jsonl"]),
        ("import_events", ["events.jsonl", "--yes"]),
        ("createtoken", ["mirror"]),
        ("backup", ["backup.sqlite3"]),
    ],
)
def test_a_command_ends_with_one_line(wrong, command, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong()
    name = NEWER if wrong is newer else f"chat.{latest_migration()}"
    with pytest.raises(CommandError, match=f"^[^\n]*{name}[^\n]*$"):
        call_command(command, *arguments, stdout=StringIO(), stderr=StringIO())
    assert nothing_stored()
    assert not Token.objects.exists()
    assert list(tmp_path.iterdir()) == []


def test_loading_in_bulk_ends_with_one_line(transactional_db):
    newer()
    try:
        with pytest.raises(CommandError, match=f"^[^\n]*{NEWER}$"):
            call_command("simulate", "--bulk", "1", "--yes", stdout=StringIO(), stderr=StringIO())
    finally:
        Migration.objects.filter(name=NEWER).delete()
    assert nothing_stored()


def test_a_long_command_stops_when_another_version_migrates(db):
    newer()
    with pytest.raises(WrongSchema), writing(durable=False):
        pytest.fail("the transaction began")


def test_nobody_logs_in_meanwhile(wrong):
    User.objects.create_user("ana", password="quatro palavras bem longas")
    wrong()
    form = {"username": "ana", "password": "quatro palavras bem longas"}
    answer = Client(raise_request_exception=False).post("/ui/login/", form)
    assert_page(answer, 503)
    assert not Session.objects.exists()


def test_a_page_and_json_are_still_read(deliver, client):
    deliver(OPENING)
    newer()
    assert client.get(f"/ui/{C}/").status_code == 200
    assert through_wsgi("GET", f"/conversations/{C}").status_code == 200


def test_events_that_share_a_commit_are_all_refused(transactional_db, caplog):
    """The whole group is refused at once, because single retries would wait for the writer again."""
    newer()
    together = Barrier(8)

    def attempt(n):
        together.wait()
        with pytest.raises(WrongSchema):
            ingest(b"{}", received_at=NOW)
        connections.close_all()

    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(attempt, range(8)))
    finally:
        Migration.objects.filter(name=NEWER).delete()
    assert nothing_stored()
    assert "one by one" not in caplog.text


class Squashed:
    replaces = [("chat", "0001_a"), ("chat", "0002_b")]


@pytest.fixture
def squashed(monkeypatch):
    code = {("chat", "0001_squashed"): Squashed()}
    monkeypatch.setattr("chat.database.migrated.migrations_of_the_code", lambda: code)


def test_a_squashed_migration_stands_for_those_that_it_replaces(squashed):
    applied = {("chat", "0001_a"), ("chat", "0002_b")}
    assert (missing_from(applied), unknown_among(applied)) == ([], [])
    assert missing_from({("chat", "0001_a")}) == ["chat.0001_squashed"]
    assert unknown_among({("chat", "0003_c")}) == ["chat.0003_c"]


@pytest.mark.postgresql
def test_a_later_migration_can_wait_for_writes_that_read_the_names_before(transactional_db):
    """A migration that fills derived rows must begin like this; docs/decisions.md has the rule."""
    lock = "LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE NOWAIT"
    with closing(psycopg.connect(**connection.get_connection_params())) as migrating:
        with writing(), pytest.raises(psycopg.errors.LockNotAvailable):
            migrating.execute(lock)
        migrating.rollback()
        migrating.execute(lock)
