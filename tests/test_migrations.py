"""Upgrades: a database that an older version filled has what the newer one needs."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chat.models import Conversation
from tests.conftest import NOW, C, M, make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("each engine changes and fills its tables in its own way"),
]

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
N = "16b63b04-60de-4257-b1a1-20a5154abc6d"


@pytest.fixture
def migrate():
    """Migrates to a named migration of chat; forwards to the newest again in the end."""
    yield lambda name: MigrationExecutor(connection).migrate([("chat", name)])
    call_command("migrate", verbosity=0)


@pytest.fixture
def of_0_1_0(deliver, migrate):
    """A database as 0.1.0 left it: two conversations, one of them without events of its own."""
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


def test_what_is_stored_after_the_upgrade_is_a_change(of_0_1_0, deliver):
    call_command("migrate", verbosity=0)
    deliver(make_event("CLOSE_CONVERSATION", id=C), after=timedelta(minutes=9))
    assert Conversation.objects.get(pk=C).updated_at == NOW + timedelta(minutes=9)
