"""`manage.py replay` applies refused events again, and compares the log with the stored rows."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from chat.events.ingest import Envelope, ingest_together, parse_body
from chat.management.commands import replay as command
from chat.models import Conversation, Delivery, Message
from tests.conftest import NOW, C, M

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("applies again what was refused"),
]

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
N = "16b63b04-60de-4257-b1a1-20a5154abc6d"
TOO_EARLY = timedelta(hours=-25)  # longer than EARLY_EVENTS_HOURS before its conversation


@pytest.fixture
def refused(deliver, event):
    """A close and two messages, too early and in the wrong order."""
    close = event("CLOSE_CONVERSATION", id=C, at="2025-02-21T10:20:45")
    second = event("NEW_MESSAGE", id=N, at="2025-02-21T10:20:44", content="second")
    first = event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:42", content="first")
    for early in (close, second, first):
        deliver(early, after=TOO_EARLY)
    deliver(event("NEW_CONVERSATION", id=C))


def replay(*arguments):
    call_command("replay", "--yes", *arguments)


def test_what_was_refused_is_applied_in_the_order_of_its_timestamps(refused):
    replay()
    contents = Message.objects.order_by("arrival").values_list("content", flat=True)
    assert list(contents) == ["first", "second"]
    assert Conversation.objects.get().state == "CLOSED"


def test_every_replay_leaves_a_row_that_names_what_it_replays(refused):
    originals = set(Delivery.objects.filter(code="conversation_not_found").values_list("pk"))
    replay()
    replays = Delivery.objects.exclude(replays=None)
    assert set(replays.values_list("replays")) == originals
    assert {row.outcome for row in replays} == {"applied"}


def test_it_counts_as_delivered_when_it_came(refused):
    replay()
    assert Message.objects.get(id=M).received_at == NOW + TOO_EARLY


def test_without_yes_it_only_says_what_would_be_done(refused, capsys):
    call_command("replay")
    assert not Message.objects.exists()
    assert "3 refused deliveries" in (said := capsys.readouterr().out)
    assert "conversation_not_found: 3" in said
    assert "--yes" in said


def test_the_outcomes_are_counted(refused, capsys):
    replay()
    assert "3 replayed:\n  applied: 3\n" in capsys.readouterr().out


def test_a_second_run_finds_nothing_more(refused, capsys):
    replay()
    count = Delivery.objects.count()
    replay()
    assert Delivery.objects.count() == count
    assert "0 refused deliveries to replay." in capsys.readouterr().out


def logged():
    return list(Delivery.objects.order_by("id").values_list("code", flat=True))


def test_every_night_what_stays_refused_leaves_no_further_row(deliver, event, capsys):
    deliver(event("NEW_MESSAGE", id=M))
    replay()
    replay()
    assert logged() == ["conversation_not_found"]
    assert "1 replayed:\n  conversation_not_found: 1\n" in capsys.readouterr().out


def test_each_further_reason_is_logged_once(deliver, event, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr("chat.events.payloads.YEARS", range(2026, 3000))
        deliver(event("NEW_MESSAGE", id=M))
    replay()
    replay()
    assert logged() == ["invalid_event", "conversation_not_found"]


def test_a_reason_that_two_replays_of_one_batch_meet_is_logged_once(deliver, event):
    for _ in range(2):
        deliver(event("NEW_MESSAGE", id=M), after=TOO_EARLY)
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("CLOSE_CONVERSATION", id=C))
    original = Delivery.objects.earliest("id")
    envelope = Envelope(
        body=bytes(original.body), received_at=NOW, request_id=uuid4(), replays=original
    )
    ingest_together(lambda: [parse_body(envelope)] * 2)
    assert logged()[-2:] == ["", "conversation_closed"]


def test_what_is_refused_for_good_is_left_alone_unless_it_is_named(deliver, event):
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("CLOSE_CONVERSATION", id=C))
    deliver(event("NEW_MESSAGE", id=M))
    replay()
    assert Delivery.objects.count() == 3
    replay("--code", "conversation_closed")
    assert Delivery.objects.latest("id").code == "conversation_closed"


def test_what_another_replay_has_brought_is_not_applied_twice(deliver, event, monkeypatch):
    """An opening, valid since an upgrade, brings the early events waiting for the conversation."""
    deliver(event("NEW_MESSAGE", id=M))
    with monkeypatch.context() as older:
        older.setattr("chat.events.payloads.YEARS", range(2026, 3000))
        deliver(event("NEW_CONVERSATION", id=C))
    replay()
    assert Delivery.objects.filter(type="NEW_MESSAGE", outcome="applied").count() == 1
    assert not Delivery.objects.filter(outcome="duplicate").exists()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--code", "conversation_not_found"], 3),
        (["--code", "invalid_json", "--code", "invalid_event"], 0),
        (["--conversation", C], 3),
        (["--conversation", D], 0),
        (["--since", "2025-02-20T12:00:00Z"], 0),
        (["--since", "2025-02-20T10:00:00Z", "--until", "2025-02-20T12:00:00Z"], 3),
        (["--until", "2025-02-20"], 0),
        (["--id", "1", "--id", "999999999"], 1),
    ],
)
def test_filters_choose(refused, capsys, arguments, found):
    first = Delivery.objects.earliest("id").pk
    call_command("replay", *[str(first) if part == "1" else part for part in arguments])
    assert f"{found} refused deliveries" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["--code", "nonsense"], ["--since", "soon"], ["--conversation", "abc"], ["--id", "x"]],
)
def test_bad_filters_are_named(db, arguments):
    with pytest.raises(CommandError, match=f"argument {arguments[0]}"):
        call_command("replay", *arguments)


def test_a_database_that_fails_is_named_and_what_was_done_stays(refused, monkeypatch):
    applied = command.replay

    def failing(delivery, **rest):
        if delivery.message_id is None:
            raise OperationalError("database is locked")
        return applied(delivery, **rest)

    with monkeypatch.context() as broken:
        broken.setattr(command, "replay", failing)
        with pytest.raises(CommandError, match=r"stopped after 2, .*run this again"):
            replay()
    replay()
    assert Conversation.objects.get().state == "CLOSED"
