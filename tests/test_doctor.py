"""`manage.py doctor` finds each fault, and says how to mend it. A sound installation has no fault."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from io import StringIO
from pathlib import Path
from secrets import token_urlsafe

import psycopg
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone
from django.utils.translation import override

from chat.health.diagnosis import CHECKS, findings_of
from chat.models import Backup, Change, Delivery, Message, MessageWords
from realmate.sqlite import base as sqlite
from realmate.sqlite import files
from tests.conftest import C, M, make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("what is read depends on the engine"),
]


@pytest.fixture
def filled(post):
    post(make_event("NEW_CONVERSATION", id=C))
    post(make_event("NEW_MESSAGE", id=M))


def details(part):
    cache.clear()
    with override("en"):
        return in_english(part)


def in_english(part):
    return " ".join(finding.detail for finding in findings_of(part))


@pytest.mark.parametrize("part", [part for part in CHECKS if part not in ("settings", "backup")])
def test_a_sound_part_has_no_finding(filled, part):
    assert details(part) == ""


def test_debug_is_found(settings):
    settings.DEBUG = True
    assert "DEBUG is on" in details("settings")


def test_what_django_checks_is_found(settings):
    settings.DEBUG = False
    settings.SECURE_HSTS_SECONDS = 0
    assert "SECURE_HSTS_SECONDS" in details("settings")


def test_sound_settings_of_production_have_no_finding(settings, monkeypatch):
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)  # set for tests in a browser
    settings.DEBUG, settings.SECRET_KEY = False, token_urlsafe(48)
    settings.SECURE_SSL_REDIRECT = True
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 365 * 24 * 3600
    assert details("settings") == ""


def test_https_without_a_trusted_proxy_is_found(settings):
    settings.SECURE_SSL_REDIRECT, settings.TRUSTED_PROXIES = True, []
    assert "No proxy is trusted" in details("proxy")
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    assert details("proxy") == ""


def test_a_missing_migration_is_found():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '0013_early_events'")
        try:
            assert "wrong_schema" in details("database")
        finally:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('chat', '0013_early_events', %s)",
                [timezone.now()],
            )


@pytest.mark.sqlite
def test_a_file_that_others_may_open_is_found(tmp_path, settings, monkeypatch):
    file = tmp_path / "db.sqlite3"
    file.touch()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))
    file.chmod(0o640)
    assert "may open" in details("files")
    file.chmod(0o600)
    assert details("files") == ""


@pytest.mark.sqlite
@pytest.mark.usefixtures("_as_root")
def test_a_file_of_another_user_is_found(tmp_path, monkeypatch):
    import os

    file = tmp_path / "db.sqlite3"
    file.touch(mode=0o600)
    os.chown(file, 12345, -1)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(file))
    [finding] = findings_of("files")
    assert finding.mend == f"chown --reference={tmp_path} {file}"


def test_a_clock_that_went_back_is_found(filled):
    Delivery.objects.update(received_at=timezone.now() + timedelta(hours=1))
    assert "in the future" in details("clock")


def test_a_clock_that_is_slow_is_found(filled):
    Delivery.objects.update(timestamp=timezone.now() + timedelta(hours=1))
    assert "our clock is slow" in details("clock")


def test_a_message_that_search_cannot_find_is_found(filled):
    MessageWords.objects.all().delete()
    [finding] = findings_of("search")
    assert finding.mend == "manage.py reindex"


def test_a_message_that_is_lost_is_found(filled):
    MessageWords.objects.all().delete()
    Message.objects.all().delete()
    assert "1 effects are not stored" in details("log")


def test_an_old_backup_is_found(db):
    assert "no backup yet" in details("backup")
    Backup.objects.note(at=timezone.now() - timedelta(hours=40))
    assert "40 hours old" in details("backup")
    Backup.objects.note(at=timezone.now() - timedelta(hours=30))
    assert details("backup") == ""


def test_an_upkeep_that_does_not_run_is_found(filled, settings):
    Change.objects.update(at=timezone.now() - timedelta(days=settings.CHANGE_RETENTION_DAYS + 3))
    assert "chat_change should have been deleted 3 days ago" in details("upkeep")


def test_a_database_that_fails_is_one_finding_a_part(db):
    def broken(*statement):
        raise OperationalError("gone")

    with connection.execute_wrapper(broken):
        assert "could not be judged: gone" in details("search")
        assert "database_unreachable" in details("database")


def doctor(*arguments):
    out = StringIO()
    with pytest.raises(CommandError, match=r"^wrong: .*backup"):
        call_command("doctor", *arguments, stdout=out)
    return out.getvalue()


def test_each_part_is_a_line(filled):
    lines = doctor().splitlines()
    assert "search: sound" in lines
    assert any(line.startswith("backup: There was no backup yet. To mend it:") for line in lines)


@pytest.mark.sqlite
def test_a_shell_with_the_write_lock_is_found(filled):
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as shell:
        assert "lock: sound" in doctor()
        shell.execute("BEGIN IMMEDIATE")
        assert "lock: No write can begin: database is locked. To mend it: fuser -v" in doctor()


@pytest.mark.postgresql
def test_a_session_that_others_wait_for_is_found(filled):
    taken = "SELECT pg_advisory_xact_lock(1)"
    with ThreadPoolExecutor(2) as pool, session() as shell:
        shell.execute(taken)
        with session() as waiting:
            waiting.execute("SET lock_timeout = 0")
            ended = pool.submit(waiting.execute, taken)
            culprit, victim = shell.info.backend_pid, waiting.info.backend_pid
            while f"lock: Others wait for the session {culprit}" not in doctor():
                assert not ended.done()
            with session() as last:
                behind = pool.submit(last.execute, f"SET lock_timeout = 0; {taken}")
                while blockers_of(last) != {culprit, victim}:
                    assert not behind.done()
                assert f"lock: Others wait for the session {culprit}" in doctor()
                last.cancel_safe()
                with pytest.raises(psycopg.errors.QueryCanceled):
                    behind.result()
            shell.rollback()
            ended.result()
            assert "lock: sound" in doctor()


@pytest.mark.sqlite
def test_a_file_that_cannot_be_written_is_found_with_what_shows_why(filled, monkeypatch):
    """The lock names no other program, because no program holds the lock."""
    folder = Path(connection.settings_dict["NAME"]).parent
    monkeypatch.setattr(files, "are_writable", lambda database: False)
    monkeypatch.setattr(sqlite, "opened_read_only", set())
    monkeypatch.setattr(sqlite.WriterQueue, "enter", cannot_lock)
    connection.close()
    said = doctor()
    shown = f"To mend it: findmnt -T {folder}; ls -la {folder}"
    assert f"database: The database takes no writes. (database_read_only) {shown}" in said
    assert f"lock: No write can begin: cannot lock it: Read-only file system. {shown}" in said


def cannot_lock(*args, **options):
    raise OperationalError("cannot lock it: Read-only file system")


def blockers_of(session):
    [(blockers,)] = connection_rows("SELECT pg_blocking_pids(%s)", session.info.backend_pid)
    return set(blockers)


def connection_rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def session():
    return closing(psycopg.connect(**connection.get_connection_params()))


def test_it_speaks_json(filled):
    parts = {part["part"]: part for part in json.loads(doctor("--json"))["parts"]}
    assert parts["search"] == {"part": "search", "ok": True, "findings": []}
    assert parts["backup"]["ok"] is False
    assert list(parts) == [*CHECKS, "lock", "static_files"]
