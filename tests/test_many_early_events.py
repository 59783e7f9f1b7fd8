"""Early events beyond one transaction, which need transactions of their own."""

from io import StringIO
from random import Random

import pytest
from django.core.management import call_command

from chat.models import Change, Conversation, Delivery, Message, MessageWords
from tests.conftest import C, M
from tests.test_early_events import (
    OPEN,
    close,
    log,
    message,
    messages,
    numbered,
    upkeep,
)

pytestmark = [
    pytest.mark.usefixtures("scratch_database"),
    pytest.mark.django_db(transaction=True, reset_sequences=True),
    pytest.mark.both_engines("compares two databases"),
]


@pytest.fixture
def two_at_once(monkeypatch):
    monkeypatch.setattr("chat.models.deliveries.EARLY_AT_ONCE", 2)


@pytest.mark.erases
def test_an_erased_conversation_waits_for_nothing(deliver, two_at_once):
    for early in messages(7):
        deliver(early)
    deliver(OPEN)
    call_command("erase_conversation", C, "--yes", stdout=StringIO())
    upkeep()
    conversation = Conversation.objects.get()
    assert (conversation.message_count, conversation.has_early_events) == (2, False)


@pytest.mark.parametrize("seed", range(4))
def test_parts_end_as_one_transaction_would(deliver, monkeypatch, seed):
    """Random early events, then the opening: the same rows, changes and log for all sizes of the parts."""
    random = Random(seed)
    found = []
    for most in (1_000, 1, 4):
        monkeypatch.setattr("chat.models.deliveries.EARLY_AT_ONCE", most)
        random.seed(seed)
        for _ in range(12):
            number = random.randrange(8)
            text = random.choice(["a", "b"])
            early = message(numbered(number), random.randrange(60), content=text)
            deliver(close(random.randrange(60)) if random.random() < 0.1 else early)
        deliver(OPEN)
        upkeep()
        call_command("replay", "--check", stdout=StringIO())
        found.append(everything())
        for model in (Delivery, Change, MessageWords, Message, Conversation):
            model.objects.all().delete()
    assert found[1] == found[2] == found[0]


def everything():
    conversations = Conversation.objects.values_list(
        "state", "message_count", "revision", "waiting_since", "last_message_preview"
    )
    changes = Change.objects.order_by("id").values_list("type", "message_id")
    stored = Message.objects.order_by("arrival").values_list("id", "content", "late")
    return list(conversations), list(changes), list(stored), log()


def test_the_check_is_silent_while_they_wait_and_after(deliver, two_at_once):
    for early in messages(7):
        deliver(early)
    deliver(OPEN)
    deliver(message(M, 20))
    call_command("replay", "--check", stdout=StringIO())
    upkeep()
    call_command("replay", "--check", stdout=StringIO())
