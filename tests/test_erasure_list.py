"""The list of erasures: outside the database, complete, and finished by `manage.py upkeep`."""

import json
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.utils import timezone

from chat.models import Conversation, Delivery, Message
from chat.upkeep import erasure, erasure_list, steps
from tests.conftest import NOW, OTHER_C, C, M, make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("an erasure is finished by each engine's own means"),
    pytest.mark.erases,
]

TEXT = "segredinho guardado"


@pytest.fixture(autouse=True)
def told(deliver, settings):
    settings.DELIVERY_RETENTION_DAYS = 36_500
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M, content=TEXT))


def erase():
    call_command("erase_conversation", C, "--yes")


def listed(file):
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def fail(*arguments, **named):
    raise OperationalError("disk full")


@pytest.fixture
def erase_until(monkeypatch):
    """Run an erasure that fails at this function of `erasure`."""

    def erase_until(name):
        with monkeypatch.context() as patched:
            patched.setattr(erasure, name, fail)
            with pytest.raises(CommandError, match="disk full"):
                erase()

    return erase_until


@pytest.fixture
def interrupted(erase_until):
    """An erasure with a failed scrub."""
    erase_until("wait_for_older_transactions")


@pytest.fixture
def failed(erase_until):
    """An erasure that failed before its commit."""
    erase_until("empty")


def test_the_list_has_the_id_and_the_time_and_no_text(erasures_file):
    erase()
    erased, scrubbed = listed(erasures_file)
    assert (erased["id"], erased["what"]) == (C, "erased")
    assert (scrubbed["id"], scrubbed["what"]) == (C, "scrubbed")
    assert erased.keys() == {"id", "what", "at"}


def test_only_its_owner_reads_the_list(erasures_file):
    erase()
    assert erasures_file.stat().st_mode & 0o777 == 0o600


def test_an_erasure_is_listed_before_its_commit(failed, erasures_file):
    assert [entry["what"] for entry in listed(erasures_file)] == ["erased"]
    assert Message.objects.get().content == TEXT


def test_without_a_list_nothing_is_erased(settings, tmp_path):
    settings.ERASURES_FILE = str(tmp_path / "none" / "erasures")
    with pytest.raises(CommandError, match=r"be written: /[^\[]*: No such file"):
        erase()
    assert Message.objects.get().content == TEXT


@pytest.mark.sqlite
def test_sqlite_s_list_is_beside_the_database(settings):
    settings.ERASURES_FILE = ""
    file = Path(f"{connection.settings_dict['NAME']}-erasures")
    try:
        erase()
        assert listed(file)[0]["id"] == C
    finally:
        file.unlink()


@pytest.mark.postgresql
def test_postgresql_erases_nothing_until_the_list_has_a_place(settings):
    settings.ERASURES_FILE = ""
    with pytest.raises(CommandError, match="nothing was erased: ERASURES_FILE"):
        erase()
    assert Message.objects.get().content == TEXT


def test_half_a_line_spoils_no_other(erasures_file):
    erase()
    with erasures_file.open("a") as file:
        file.write('{"id": "6a41')
    erasure_list.note(erasure_list.Happened.ERASED, UUID(M), at=timezone.now())
    assert [str(id) for id in erasure_list.read()] == [C, M]


def test_a_new_list_begins_with_the_erasures_that_the_database_knows(erasures_file):
    erase()
    erasures_file.unlink()
    call_command("upkeep")
    assert [entry["what"] for entry in listed(erasures_file)] == ["erased", "scrubbed"]


# Upkeep


def test_upkeep_scrubs_what_was_not_scrubbed(interrupted, capsys):
    call_command("upkeep")
    assert "erasures: 1 erasures finished\n" in capsys.readouterr().out
    call_command("upkeep")
    assert "erasures: 0 erasures finished\n" in capsys.readouterr().out


def test_upkeep_empties_unreadable_bodies_of_an_interrupted_erasure(deliver, erase_until):
    deliver(f'{{"content": "{TEXT}", "id": "{M}"'.encode())
    erase_until("wait_for_older_transactions")
    call_command("upkeep")
    assert bytes(Delivery.objects.get(code="invalid_json").body) == b""


def test_upkeep_erases_what_was_ordered_and_not_erased(failed):
    call_command("upkeep")
    assert Message.objects.get().content == ""
    assert erasure_list.unscrubbed() == []


def test_upkeep_keeps_out_what_the_database_no_longer_has(deliver):
    erase()
    Message.objects.all().delete()
    Conversation.objects.all().delete()
    call_command("upkeep")
    event = make_event("NEW_MESSAGE", id=M, content=TEXT)
    assert deliver(event).code == "conversation_closed"


def test_upkeep_says_that_an_older_transaction_keeps_the_text(interrupted, monkeypatch, capsys):
    def fail(*arguments, **named):
        raise erasure.StillRead

    monkeypatch.setattr(erasure, "wait_for_older_transactions", fail)
    with pytest.raises(CommandError, match="failed: erasures"):
        call_command("upkeep")
    assert "then an older transaction is still open" in capsys.readouterr().out
    assert len(erasure_list.unscrubbed()) == 1


# The time of the step


@pytest.fixture
def in_seconds(monkeypatch):
    """Return the report of the step, given so much time."""

    def in_seconds(seconds):
        monkeypatch.setattr(steps, "MOST_SECONDS", seconds)
        return steps.run("erasures", now=timezone.now())

    return in_seconds


UNFINISHED = steps.Report("erasures", 0, is_complete=False)
FINISHED = steps.Report("erasures", 1)


def test_a_scrub_whose_time_is_over_goes_on_the_next_time(interrupted, in_seconds):
    assert in_seconds(-1) == UNFINISHED
    assert in_seconds(600) == FINISHED


@pytest.mark.postgresql
@pytest.mark.parametrize("table", ["chat_conversation", "chat_delivery"])
def test_a_vacuum_whose_time_is_over_is_cancelled(interrupted, in_seconds, table):
    """Without its own limit, the VACUUM would wait for the session's `lock_timeout`, and then report an error."""
    with locked(table):
        assert in_seconds(1) == UNFINISHED
    assert in_seconds(600) == FINISHED


@contextmanager
def locked(table):
    """Hold a lock that blocks only VACUUM and changes of the schema."""
    with closing(connections.create_connection("default")) as second:
        second.set_autocommit(False)
        with second.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
        yield
        second.rollback()


def test_some_scrubs_are_listed_before_the_others_begin(monkeypatch):
    erasure.erase(UUID(C), at=NOW)
    erasure.erase(UUID(OTHER_C), at=NOW)
    monkeypatch.setattr(steps, "SCRUBBED_AT_ONCE", 1)
    step = steps.finish_erasures(NOW)
    assert next(count for count in step if count) == 1
    step.close()
    assert erasure_list.unscrubbed() == [UUID(OTHER_C)]
