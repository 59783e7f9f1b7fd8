"""Upgrades: a database filled by an older version gets the columns and rows of the newer one."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chat.models import Conversation, Delivery, User
from tests.conftest import NOW, C, M, make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("each engine changes and fills its tables in its own way"),
]

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
N = "16b63b04-60de-4257-b1a1-20a5154abc6d"
DAY = timedelta(days=1)
WROTE = "2025-02-21T11:30:00"


@pytest.fixture
def migrate():
    """Migrate chat to a named migration, and to the newest again in the end."""
    yield lambda name: MigrationExecutor(connection).migrate([("chat", name)])
    call_command("migrate", verbosity=0)


@pytest.fixture
def of_0_1_0(deliver, migrate):
    """A database of 0.1.0 with two conversations, one of them without events."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M, direction="RECEIVED"), after=timedelta(minutes=1))
    deliver(make_event("NEW_MESSAGE", id=N, direction="SENT"), after=timedelta(minutes=2))
    deliver(make_event("NEW_CONVERSATION", id=D), after=timedelta(minutes=3))
    migrate("0006_tokens")
    return migrate


def filled():
    rows = Conversation.objects.order_by("updated_at")
    return [(str(row.pk), row.received_count, row.updated_at) for row in rows]


def test_existing_conversations_are_counted_and_dated(of_0_1_0):
    call_command("migrate", verbosity=0)
    minutes = [NOW + timedelta(minutes=number) for number in (2, 3)]
    assert filled() == [(C, 1, minutes[0]), (D, 0, minutes[1])]


def test_a_fill_that_was_interrupted_goes_on(of_0_1_0):
    of_0_1_0("0007_changes")
    older = MigrationExecutor(connection).loader.project_state(("chat", "0007_changes"))
    conversations = older.apps.get_model("chat", "Conversation").objects
    conversations.filter(pk=C).update(updated_at=NOW, received_count=7)
    call_command("migrate", verbosity=0)
    assert filled() == [(C, 7, NOW), (D, 0, NOW + timedelta(minutes=3))]


@pytest.fixture
def refused_after_closing(deliver, migrate):
    """C is closed. Then its customer wrote M, which arrived twice, and N, which arrived late."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M, at=WROTE), after=DAY)
    deliver(make_event("NEW_MESSAGE", id=M, at="2025-02-21T11:59:00"), after=2 * DAY)
    deliver(make_event("NEW_MESSAGE", id=N, at="2025-02-21T11:00:00"), after=3 * DAY)
    deliver(make_event("NEW_MESSAGE", id=D, at="2025-02-22T00:00:00", direction="SENT"), after=DAY)
    migrate("0006_tokens")


def upgraded(**stored_by_0_1_0):
    """Return the time of writing after an upgrade. 0.1.0 had stored the time of arrival."""
    stored_by_0_1_0 = {"wrote_after_closing_at": NOW + 3 * DAY} | stored_by_0_1_0
    older = MigrationExecutor(connection).loader.project_state(("chat", "0006_tokens"))
    older.apps.get_model("chat", "Conversation").objects.update(**stored_by_0_1_0)
    call_command("migrate", verbosity=0)
    return Conversation.objects.get().wrote_after_closing_at


def test_when_the_customer_wrote_after_closing_is_corrected_by_the_log(refused_after_closing):
    assert upgraded().isoformat() == f"{WROTE}+00:00"


@pytest.mark.usefixtures("scratch_database")
def test_a_corrected_database_is_what_its_log_says(refused_after_closing, capsys):
    upgraded()
    call_command("replay", "--check")
    assert "1 conversations are equal" in capsys.readouterr().out


def test_a_replay_counts_from_the_arrival_of_its_original(refused_after_closing):
    rows = Delivery.objects.order_by("id").only("id")
    first = rows.filter(message_id=M)[0]
    rows.filter(pk=first.pk).update(timestamp=NOW + DAY, replays=rows[0])
    assert upgraded() == NOW


@pytest.mark.parametrize(
    "unread",
    [
        lambda log: log.filter(message_id=M).update(body=b""),
        lambda log: log.filter(type="CLOSE_CONVERSATION").delete(),
    ],
    ids=["erased", "pruned"],
)
def test_the_stored_time_stays_if_the_log_cannot_tell(refused_after_closing, unread):
    unread(Delivery.objects.only("id"))
    assert upgraded() == NOW + 3 * DAY


def test_who_did_not_write_after_closing_has_no_time(refused_after_closing):
    assert upgraded(wrote_after_closing_at=None) is None


def test_corrections_go_on_after_an_interruption(refused_after_closing, monkeypatch):
    migration = import_module("chat.migrations.0008_fill_changes")
    with monkeypatch.context() as interrupted:
        interrupted.setattr(migration, "direction_in", raising)
        with pytest.raises(KeyboardInterrupt):
            upgraded()
    assert upgraded().isoformat() == f"{WROTE}+00:00"


def raising(body):
    raise KeyboardInterrupt


def test_what_is_stored_after_the_upgrade_is_a_change(of_0_1_0, deliver):
    call_command("migrate", verbosity=0)
    deliver(make_event("CLOSE_CONVERSATION", id=C), after=timedelta(minutes=9))
    assert Conversation.objects.get(pk=C).updated_at == NOW + timedelta(minutes=9)


def test_existing_users_get_their_folded_names_and_a_second_one_of_a_name_none(db, migrate):
    migrate("0009_changes_filled")
    older = MigrationExecutor(connection).loader.project_state(("chat", "0009_changes_filled"))
    users = older.apps.get_model("chat", "User").objects
    for name in ("José", "Ana", "ana", "JOSÉ"):
        users.create(username=name)
    call_command("migrate", verbosity=0)
    found = User.objects.order_by("pk").values_list("username", "folded_name")
    assert list(found) == [("José", "josé"), ("Ana", "ana"), ("ana", None), ("JOSÉ", None)]


def test_the_rows_of_django_axes_are_gone(db, migrate):
    migrate("0009_changes_filled")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE axes_accessattempt (ip_address text)")
    call_command("migrate", verbosity=0)
    assert not [name for name in connection.introspection.table_names() if "axes" in name]


def indexes_of_the_log():
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "chat_delivery")
    return {name for name, index in found.items() if index["index"]}


def test_indexes_whose_building_was_interrupted_are_built_again(migrate):
    migrate("0017_last_digits")
    before = indexes_of_the_log()
    with connection.cursor() as cursor:
        # PostgreSQL keeps such a half under the name of the index.
        cursor.execute("CREATE INDEX delivery_by_webhook ON chat_delivery (id)")
    call_command("migrate", verbosity=0)
    named = {"request", "caller", "webhook", "message", "arrival"}
    assert indexes_of_the_log() - before == {f"delivery_by_{name}" for name in named}
    assert before - indexes_of_the_log() == {"delivery_by_time"}
    migrate("0017_last_digits")
    assert indexes_of_the_log() == before
