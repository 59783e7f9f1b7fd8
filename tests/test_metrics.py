"""The metrics for Prometheus."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from signal import SIGKILL
from time import monotonic, sleep, time

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.utils import timezone
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from chat.database.statements import execute
from chat.health.vitals import VITALS, Vital, read_all
from chat.models import Change, LoginAttempts, Token, User
from realmate import __version__
from realmate.commits import commit, commit_of
from realmate.server import counters_of
from tests.conftest import M2, NOW, OTHER_C, C, M, make_event
from tests.servers import serving, through_wsgi


def samples(answer):
    """Return each sample by its name and labels."""
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def read():
    answer = through_wsgi("GET", "/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    return samples(answer)


def grown(before, *name):
    return read()[name] - before.get(name, 0)


def test_deliveries_are_counted_by_what_was_answered(post):
    before = read()
    opening = make_event("NEW_CONVERSATION", id=C)
    for sent in (opening, opening, make_event("CLOSE_CONVERSATION", id=M), b"{"):
        post(sent)
    post(b"{}", content_type="text/plain")
    for code in ("applied", "duplicate", "conversation_not_found", "invalid_json"):
        assert grown(before, "realmate_deliveries_total", code) == 1
    assert grown(before, "realmate_deliveries_total", "unsupported_media_type") == 1


def test_refused_signatures_are_there_before_the_first(db):
    assert ("realmate_deliveries_total", "invalid_signature") in read()


def test_durations_are_of_routes_and_not_of_paths(db):
    before = read()
    for id in (C, M):
        through_wsgi("GET", f"/conversations/{id}")
    through_wsgi("GET", "/nothing")
    name = "realmate_request_duration_seconds_count"
    assert grown(before, name, "/conversations/<str:id>", "404") == 2
    assert grown(before, name, "/", "404") == 1
    assert not [labels for labels in read() if C in str(labels) or "nothing" in str(labels)]


def test_a_bad_host_has_no_route(db):
    before = read()
    through_wsgi("GET", "/stats", HTTP_HOST="evil")
    assert grown(before, "realmate_request_duration_seconds_count", "", "400") == 1


def test_the_start_is_the_server_s_whichever_worker_answers(tmp_path):
    began = time()
    with serving("granian", tmp_path) as server:
        [told] = started_by(server)
        assert began <= told <= time()
        os.kill(server.workers()[0], SIGKILL)
        while starts_of_workers(server) < 3:
            sleep(0.1)
        assert started_by(server) == {told}


def starts_of_workers(server):
    """Return the number of worker starts, or 0 if the killed worker still had the connection."""
    with suppress(OSError):
        return samples(server.ask("GET", "/metrics"))["realmate_worker_starts_total",]
    return 0


def started_by(server):
    """Return the start times told by ten answers."""
    answers = [server.ask("GET", "/metrics") for _ in range(10)]
    return {samples(answer)["process_start_time_seconds",] for answer in answers}


def test_all_processes_are_counted_together(tmp_path):
    with serving("granian", tmp_path) as server:
        sent = 0
        while not all(has_applied(tmp_path / f"counter_{pid}.db") for pid in server.workers()):
            event = make_event("NEW_CONVERSATION", id=f"{sent:08}{C[8:]}")
            assert server.post(json.dumps(event).encode()).status_code == 201
            sent += 1
            assert sent < 5_000, "one of the processes takes no event"
        told = samples(server.ask("GET", "/metrics"))
        workers = len(server.workers())
    assert told["realmate_deliveries_total", "applied"] == sent
    # Figures of the database are told once, and not added up over both processes.
    assert told["realmate_conversations_open",] == sent
    assert told["realmate_worker_starts_total",] == workers
    assert told["realmate_sqlite_group_size_sum",] == sent
    assert told["realmate_sqlite_writer_wait_seconds_count",] > 0


def has_applied(counters):
    """Whether the process with this file has applied an event."""
    if not counters.exists():
        return False
    values = MmapedDict.read_all_values_from_file(str(counters))
    return any(value for key, value, *_ in values if '"applied"' in key)


def test_what_counts_is_not_on_a_disk_that_may_be_full():
    """A process writing to a mapped file on a full disk is killed."""
    folder = counters_of("of this test")
    assert folder.is_relative_to("/dev/shm")
    folder.rmdir()


def test_each_answer_of_the_webhook_begins_at_zero(db):
    """Prometheus sees an increase only between two samples, so the first failure would raise no alarm."""
    begun = read()
    for code in ("applied", "duplicate", "try_again", "too_many_bodies", "conversation_closed"):
        assert ("realmate_deliveries_total", code) in begun


def test_503s_are_counted(post):
    before = read()
    with connection.execute_wrapper(broken):
        assert post(make_event("NEW_CONVERSATION", id=C)).status_code == 503
    assert grown(before, "realmate_deliveries_total", "try_again") == 1


def test_the_answer_of_another_method_is_counted_by_its_code(db):
    before = read()
    through_wsgi("PUT", "/webhook/")
    assert grown(before, "realmate_deliveries_total", "method_not_allowed") == 1


def test_the_lag_of_applied_events_is_measured(post):
    before = read()
    late = (timezone.now() - timedelta(minutes=2)).isoformat()
    for _ in range(2):  # the second is a duplicate: its lag would measure the redelivery
        post(make_event("NEW_CONVERSATION", id=C, at=late))
    assert grown(before, "realmate_event_lag_seconds_count") == 1
    assert 120 <= grown(before, "realmate_event_lag_seconds_sum") < 240


# Gauges of the database


def broken(execute, sql, params, many, context):
    raise OperationalError("gone")


def gauges(now=None):
    """Return the gauges of now, or of another instant."""
    cache.clear()
    return read() if now is None else read_all(now)


@pytest.mark.both_engines("the figures are SQL of each engine")
def test_early_events_that_wait_are_counted_with_the_age_of_the_oldest(deliver):
    assert gauges()["realmate_early_events_waiting",] == 0
    deliver(make_event("NEW_MESSAGE", id=M))
    deliver(make_event("NEW_MESSAGE", id=M2), after=timedelta(hours=1))
    found = gauges(NOW + timedelta(hours=2))
    assert (found["early_events_waiting"], found["early_events_oldest_seconds"]) == (2, 7200)
    assert gauges(NOW + timedelta(hours=24.5))["early_events_waiting"] == 1
    deliver(make_event("NEW_CONVERSATION", id=C), after=timedelta(hours=2))
    found = gauges(NOW + timedelta(hours=2))
    assert (found["early_events_waiting"], found["early_events_oldest_seconds"]) == (0, 0)


@pytest.mark.both_engines("the figures are SQL of each engine")
def test_conversations_and_the_longest_wait_are_told(deliver):
    empty = gauges(NOW)
    assert "last_event_timestamp_seconds" not in empty
    assert (empty["conversations_open"], empty["longest_wait_seconds"]) == (0, 0)
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    deliver(make_event("NEW_MESSAGE", id=M), after=timedelta(minutes=1))
    deliver(make_event("NEW_MESSAGE", id=M), after=timedelta(minutes=5))
    found = gauges(datetime(2025, 2, 21, 11, 20, 41, 349308, UTC))
    assert (found["conversations_open"], found["conversations_waiting"]) == (2, 1)
    assert found["longest_wait_seconds"] == 3600
    assert found["last_event_timestamp_seconds"] == (NOW + timedelta(minutes=1)).timestamp()


@pytest.mark.both_engines("the figures are SQL of each engine")
def test_what_upkeep_should_have_deleted_is_told(deliver):
    deliver(make_event("NEW_MESSAGE", id=M))  # an early event, kept for longer
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C), after=timedelta(days=1))
    deliver(make_event("CLOSE_CONVERSATION", id=OTHER_C), after=timedelta(days=1))
    Change.objects.update(at=NOW + timedelta(days=1))
    found = gauges(NOW + timedelta(days=92))
    day = timedelta(days=1).total_seconds()
    assert found["deliveries_overdue_seconds"] == found["changes_overdue_seconds"] == day
    Change.objects.order_by("id").first().delete()  # and the newest one stays
    assert gauges(NOW + timedelta(days=92))["changes_overdue_seconds"] == 0
    assert gauges(NOW + timedelta(days=90))["deliveries_overdue_seconds"] == 0


@pytest.mark.both_engines("the figures are SQL of each engine")
def test_sessions_and_lockouts_are_counted(db, client, settings):
    user = User.objects.create_user("ana")
    client.force_login(user)
    at = timezone.now()
    LoginAttempts.objects.create(name="a", address="", count=settings.LOGIN_ATTEMPTS, last_at=at)
    LoginAttempts.objects.create(name="b", address="", count=1, last_at=at)
    found = gauges()
    assert (found["realmate_sessions",], found["realmate_lockouts",]) == (1, 1)
    later = at + timedelta(minutes=settings.LOGIN_LOCKOUT_MINUTES + 1)
    assert gauges(later)["lockouts"] == 0
    assert gauges(at + timedelta(days=1))["sessions"] == 0


@pytest.mark.both_engines("the sizes are asked for in SQL of each engine")
def test_bytes_are_told(db):
    found = gauges()
    assert found["realmate_database_bytes",] > 100_000
    on_sqlite = {"realmate_database_wal_bytes", "realmate_disk_free_bytes"}
    assert {name for name, *_ in found} & on_sqlite == (
        on_sqlite if connection.vendor == "sqlite" else set()
    )


@pytest.mark.both_engines("a transaction that failed takes no further statement on PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_without_the_database_the_scrape_leaves_its_figures_out():
    with connection.execute_wrapper(broken):
        found = gauges()
    assert found["realmate_database_up",] == 0
    assert ("realmate_sessions",) not in found
    assert ("realmate_deliveries_total", "applied") in found
    assert gauges()["realmate_database_up",] == 1


@pytest.mark.both_engines("each engine stops a query in its own way")
@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_too_long_is_not_waited_for(monkeypatch):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    slow = Vital("", lambda now: execute(endless)[0])
    monkeypatch.setitem(VITALS, "sessions", slow)
    monkeypatch.setattr("chat.health.vitals.MOST_SECONDS", 0.1)
    began = monotonic()
    assert gauges()["realmate_database_up",] == 0
    assert monotonic() - began < 20


def test_the_database_is_asked_once_in_fifteen_seconds(db, django_assert_num_queries):
    gauges()
    with django_assert_num_queries(0):
        assert read()["realmate_database_up",] == 1


@pytest.mark.sqlite
def test_a_file_that_is_gone_is_not_made_anew(db, tmp_path):
    found = subprocess.run(
        [
            sys.executable,
            "manage.py",
            "shell",
            "-c",
            "from chat.health.vitals import *; print(vitals())",
        ],
        env=os.environ | {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "None"
    assert list(tmp_path.iterdir()) == []


def test_logins_are_counted_by_outcome(db, client, settings):
    settings.LOGIN_ATTEMPTS = 2
    User.objects.create_user("ana", password="right")
    before = read()
    for password in ("right", "wrong", "wrong", "right"):
        client.post("/ui/login/", {"username": "ana", "password": password})
        client.logout()
    for outcome, count in {"logged_in": 1, "wrong_password": 1, "locked_out": 2}.items():
        assert grown(before, "realmate_logins_total", outcome) == count
    assert ("realmate_logins_total", "too_many_logins") in before


def test_the_version_is_told(db):
    [labels] = [labels for labels in read() if labels[0] == "realmate_build_info"]
    assert labels[1:] == (commit(), __version__)


@pytest.mark.parametrize("packed", [True, False])
def test_the_commit_is_read_from_a_checkout(tmp_path, packed):
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "packed-refs").write_text("# pack-refs\n" + "b" * 40 + " refs/heads/main\n")
    if not packed:
        (tmp_path / "refs/heads").mkdir(parents=True)
        (tmp_path / "refs/heads/main").write_text("a" * 40 + "\n")
    assert commit_of(tmp_path) == ("b" if packed else "a") * 40


# Permissions


@pytest.fixture
def scrape(db, settings):
    settings.LOGIN_REQUIRED = True
    return lambda token: through_wsgi("GET", "/metrics", HTTP_AUTHORIZATION=f"Bearer {token}")


def test_a_token_of_the_settings_needs_no_database(scrape, settings):
    settings.METRICS_TOKEN = "scrape-me-" * 4
    with connection.execute_wrapper(broken):
        answer = scrape(settings.METRICS_TOKEN)
    assert answer.status_code == 200
    assert samples(answer)["realmate_database_up",] == 0
    assert scrape("another").status_code == scrape("").status_code == 401


def test_without_such_a_setting_an_empty_token_is_none(scrape):
    assert scrape("").status_code == 401


def test_a_known_token_counts_while_the_database_is_away(scrape):
    token = Token.objects.issue(name="prometheus", at=timezone.now())
    with connection.execute_wrapper(broken):
        assert scrape(token).status_code == 503
    assert scrape(token).status_code == 200
    with connection.execute_wrapper(broken):
        assert scrape(token).status_code == 200
        assert scrape("unknown").status_code == 503


def test_a_revoked_token_is_refused_at_once(scrape):
    token = Token.objects.issue(name="prometheus", at=timezone.now())
    assert scrape(token).status_code == 200
    Token.objects.all().revoke(at=timezone.now())
    assert scrape(token).status_code == 401
    with connection.execute_wrapper(broken):
        assert scrape(token).status_code == 503


def test_a_token_of_the_settings_reads_nothing_else(scrape, settings):
    settings.METRICS_TOKEN = "scrape-me-" * 4
    path, sent = "/conversations", f"Bearer {settings.METRICS_TOKEN}"
    assert through_wsgi("GET", path, HTTP_AUTHORIZATION=sent).status_code == 401
