"""`manage.py upkeep`: all regular work, step by step."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from time import sleep
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from chat.database import batches
from chat.database.statements import execute
from chat.events.ingest import ingest
from chat.models import Change, Delivery, LoginAttempts
from chat.upkeep import steps
from tests.conftest import C, make_event

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_engines("deletes rows in transactions of its own"),
]

OLD = timedelta(days=91)


def upkeep(*options):
    out = StringIO()
    call_command("upkeep", *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def old_things(db):
    """Rows for upkeep to delete, and one of each kind to keep."""
    for ago in (OLD, timedelta()):
        at = timezone.now() - ago
        for type in ("NEW_CONVERSATION", "CLOSE_CONVERSATION"):
            ingest(json.dumps(make_event(type, id=C)).encode(), received_at=at)
        Session.objects.create(session_key=f"{ago.days}", session_data="", expire_date=at)
        LoginAttempts.objects.create(name="ana", address=f"192.0.2.{ago.days}", last_at=at)
    Session.objects.filter(session_key="0").update(expire_date=timezone.now() + OLD)


def test_everything_that_is_old_goes_and_the_rest_stays(old_things):
    upkeep()
    assert Delivery.objects.count() == 2
    assert Change.objects.placed().count() == 1  # the newest
    assert Session.objects.get().session_key == "0"
    assert LoginAttempts.objects.get().address == "192.0.2.0"


def test_it_says_one_line_a_step(old_things):
    placed = 2 if connection.vendor == "postgresql" else 0
    assert upkeep().splitlines() == [
        "early: 0 early events applied",
        f"places: {placed} changes got their place",
        "deliveries: 2 deliveries deleted",
        "changes: 1 changes deleted",
        "sessions: 1 sessions deleted",
        "logins: 1 login attempts deleted",
        "search: 0 search rows of an older version rewritten",
        "erasures: 0 erasures finished",
    ]


def test_the_second_run_finds_nothing_to_do(old_things):
    upkeep()
    assert all(" 0 " in line for line in upkeep().splitlines())


def test_machines_get_json(old_things):
    found = json.loads(upkeep("--json"))["steps"]
    assert [step["step"] for step in found] == list(steps.STEPS)
    assert found[2] == {"step": "deliveries", "rows": 2, "complete": True, "error": None}


def test_a_step_that_fails_is_told_and_stops_no_other(old_things, monkeypatch, capsys):
    def fail(now):
        yield 1
        raise OperationalError("the disk is full")

    monkeypatch.setitem(steps.STEPS, "deliveries", fail)
    with pytest.raises(CommandError, match="failed: deliveries"):
        call_command("upkeep")
    said = capsys.readouterr().out
    assert "deliveries: 1 deliveries deleted, then the database says: the disk is full" in said
    assert "sessions: 1 sessions deleted" in said


def test_a_step_whose_time_is_over_goes_on_the_next_time(old_things, monkeypatch):
    monkeypatch.setattr(batches, "DELETED_AT_ONCE", 1)
    Session.objects.all().update(expire_date=timezone.now() - OLD)
    monkeypatch.setattr(steps, "MOST_SECONDS", -1)
    assert "sessions: 1 sessions deleted, more the next time" in upkeep()
    monkeypatch.setattr(steps, "MOST_SECONDS", 600)
    assert "sessions: 1 sessions deleted\n" in upkeep()


def test_it_works_without_anything_to_do(db):
    assert all(" 0 " in line for line in upkeep().splitlines())


# Rows changed at the same moment (PostgreSQL only, because SQLite has one writer at a time)


def upkeep_beside(change):
    """Run upkeep beside an open transaction with `change`. The transaction commits once upkeep waits."""

    def run():
        try:
            return upkeep()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            change()
            waiting = other.submit(run)
            while not (somebody_waits() or waiting.done()):
                sleep(0.01)
        return waiting.result(timeout=30)


def somebody_waits():
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    )
    return execute(waiting, [connection.settings_dict["NAME"]]) != (0,)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_is_counted_meanwhile_stays(old_things):
    old = LoginAttempts.objects.filter(name="ana", address="192.0.2.91")
    said = upkeep_beside(lambda: old.update(count=1, last_at=timezone.now()))
    assert "logins: 0 login attempts deleted" in said
    assert old.get().count == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_session_that_is_prolonged_meanwhile_stays(old_things):
    old = Session.objects.filter(session_key="91")
    said = upkeep_beside(lambda: old.update(expire_date=timezone.now() + OLD))
    assert "sessions: 0 sessions deleted" in said
    assert old.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_delivery_that_is_replayed_meanwhile_stays_with_its_replay(old_things):
    old = Delivery.objects.earliest("received_at")
    said = upkeep_beside(lambda: note_a_replay_of(old))
    assert "deliveries: 1 deliveries deleted" in said
    assert Delivery.objects.get(replays__isnull=False).replays == old


def note_a_replay_of(old):
    """Write a replay as another process does, up to its commit, when foreign keys are checked."""
    Delivery.objects.create(
        replays=old,
        body=b"",
        request_id=uuid4(),
        outcome=Delivery.Outcome.REFUSED,
        code="id_conflict",
        received_at=timezone.now(),
    )
    execute("SET CONSTRAINTS ALL IMMEDIATE")
