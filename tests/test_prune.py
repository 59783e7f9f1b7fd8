"""`manage.py prune` keeps the log for the time in the settings, and no longer."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from chat.database import batches
from chat.events.ingest import apply_again, ingest
from chat.models import Change, Conversation, Delivery, Message
from tests.conftest import C, M, make_event

pytestmark = [pytest.mark.django_db, pytest.mark.both_engines("deletes beside what references it")]

OLD = timedelta(days=91)


def delivered(*, ago, **event):
    """Deliver into the log, some time ago."""
    body = json.dumps(make_event(**event)).encode()
    return ingest(body, received_at=timezone.now() - ago)


def left():
    return list(Delivery.objects.order_by("id").values_list("type", flat=True))


@pytest.fixture
def log():
    delivered(ago=OLD, type="NEW_CONVERSATION", id=C)
    delivered(ago=OLD, type="NEW_MESSAGE", id=M)
    delivered(ago=timedelta(days=89), type="CLOSE_CONVERSATION", id=C)


def test_what_is_older_than_ninety_days_is_deleted(log):
    call_command("prune", "--yes")
    assert left() == ["CLOSE_CONVERSATION"]


def test_conversations_and_messages_stay(log):
    call_command("prune", "--yes")
    assert Conversation.objects.get().message_count == Message.objects.count() == 1


def test_without_yes_it_only_says_how_many(log, capsys):
    call_command("prune")
    assert len(left()) == 3
    assert "2 deliveries are older than 90 days." in capsys.readouterr().out


def test_days_can_be_given(log):
    call_command("prune", "--yes", "--days", "10")
    assert left() == []


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_days_without_sense_are_refused(db, days):
    with pytest.raises(CommandError, match="--days is from 1"):
        call_command("prune", "--days", str(days))


def test_the_setting_says_how_many(log, settings):
    settings.DELIVERY_RETENTION_DAYS = 10
    call_command("prune", "--yes")
    assert left() == []


def test_early_events_that_still_wait_stay(settings):
    settings.EARLY_EVENTS_HOURS = 100 * 24
    delivered(ago=OLD, type="NEW_MESSAGE", id=M)
    call_command("prune", "--yes")
    delivered(ago=timedelta(), type="NEW_CONVERSATION", id=C)
    assert Message.objects.count() == 1


def test_early_events_that_came_too_early_go():
    delivered(ago=OLD, type="NEW_MESSAGE", id=M)
    call_command("prune", "--yes")
    assert left() == []


def test_what_a_kept_delivery_replays_stays():
    delivered(ago=OLD, type="NEW_MESSAGE", id=M)
    delivered(ago=timedelta(), type="NEW_CONVERSATION", id=C)
    apply_again(Delivery.objects.earliest("id"), at=timezone.now())
    call_command("prune", "--yes")
    assert Delivery.objects.exclude(replays=None).get().replays.message_id is not None


def test_replays_are_deleted_with_what_they_replay_in_many_batches(monkeypatch):
    monkeypatch.setattr(batches, "DELETED_AT_ONCE", 2)
    for _ in range(5):
        delivered(ago=2 * OLD, type="NEW_MESSAGE", id=M)
    delivered(ago=OLD, type="NEW_CONVERSATION", id=C)
    for delivery in list(Delivery.objects.filter(type="NEW_MESSAGE")):
        apply_again(delivery, at=timezone.now() - OLD)
    assert Delivery.objects.exclude(replays=None).count() == 5
    call_command("prune", "--yes")
    assert left() == []


def test_a_replay_that_is_refused_every_night_does_not_keep_its_original():
    delivered(ago=OLD, type="NEW_MESSAGE", id=M)
    apply_again(Delivery.objects.get(), at=timezone.now())
    call_command("prune", "--yes")
    assert left() == []


def test_the_rows_of_nightly_refusals_that_an_older_version_logged_go_with_their_original(capsys):
    delivered(ago=OLD, type="NEW_MESSAGE", id=M)
    [original] = Delivery.objects.all()
    for night in range(3):
        Delivery.objects.bulk_create([repeated(original, ago=timedelta(days=night))])
    call_command("prune", "--yes")
    assert left() == []
    assert "4 deliveries are older than 90 days." in capsys.readouterr().out


def repeated(original, *, ago):
    values = {field.attname: getattr(original, field.attname) for field in Delivery._meta.fields}
    changed = {"id": None, "replays_id": original.pk, "received_at": timezone.now() - ago}
    return Delivery(**values | changed)


# Changes


def opened(*, ago):
    Change.objects.create(type="opened", conversation_id=C, at=timezone.now() - ago)
    Change.objects.place()


def kept():
    return [row.place for row in Change.objects.placed()]


@pytest.fixture
def first(db):
    """Store four changes, two of them old. Return the place of the first."""
    for ago in (OLD, OLD, timedelta(), OLD):
        opened(ago=ago)
    return Change.objects.bounds()[0]


def test_old_changes_are_deleted_up_to_the_first_one_to_keep(first, capsys):
    call_command("prune", "--yes")
    assert kept() == [first + 2, first + 3]
    assert "2 changes deleted" in capsys.readouterr().out


def test_without_yes_it_only_says_how_many_changes(first, capsys):
    call_command("prune")
    assert len(kept()) == 4
    assert "2 changes are older than 90 days." in capsys.readouterr().out


def test_a_setting_says_how_long_changes_are_kept(first, settings):
    settings.CHANGE_RETENTION_DAYS = 100
    call_command("prune", "--yes")
    assert len(kept()) == 4


def test_the_newest_change_stays_so_that_no_place_is_given_twice(db, monkeypatch):
    monkeypatch.setattr(batches, "DELETED_AT_ONCE", 2)
    for _ in range(6):
        opened(ago=OLD)
    [*_, last] = kept()
    call_command("prune", "--yes")
    assert kept() == [last]
    call_command("prune", "--yes")
    opened(ago=OLD)
    assert kept() == [last, last + 1]
