"""`manage.py reindex`: search finds every message again."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection

from chat.models import Conversation, Message, MessageWords
from chat.text.folding import RULE
from chat.upkeep import reindexing
from chat.upkeep.erasure import erase
from tests.conftest import NOW, C, id_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("each engine has a search index of its own"),
]


@pytest.fixture
def five(deliver, event):
    """A conversation with five messages. The search index lacks the rows of four."""
    deliver(event("NEW_CONVERSATION", id=C))
    for number in range(5):
        deliver(event("NEW_MESSAGE", id=id_of(number), content=f"fatura número {number}"))
    MessageWords.objects.exclude(message__id=id_of(2)).delete()


def reindex(capsys, *arguments):
    call_command("reindex", *arguments)
    return capsys.readouterr().out


def found(query):
    return {str(hit.message.id) for hit in MessageWords.objects.search(query)}


def test_missing_rows_are_written_in_many_batches(five, capsys, monkeypatch):
    monkeypatch.setattr(reindexing, "AT_ONCE", 2)
    assert (
        "5 messages read. 4 search rows were missing or out of date, and are right now."
        in reindex(capsys)
    )
    assert found("fatura") == {id_of(number) for number in range(5)}


def test_a_second_run_finds_nothing_missing(five, capsys):
    reindex(capsys)
    assert "0 search rows were missing" in reindex(capsys)


def test_an_interruption_keeps_what_was_written(five, capsys, monkeypatch):
    monkeypatch.setattr(reindexing, "AT_ONCE", 2)
    next(reindexing.reindex(every=False))
    assert "2 search rows were missing" in reindex(capsys)


def test_all_rows_can_be_written_anew(five, capsys):
    MessageWords.objects.filter(message__id=id_of(2)).update(words=[RULE, "rasurado"])
    assert "0 search rows" not in reindex(capsys)
    assert found("rasurado") == {id_of(2)}
    assert "5 messages read. 5 search rows were written." in reindex(capsys, "--all")
    assert found("rasurado") == set()
    assert len(found("fatura")) == 5


def test_rows_of_an_older_rule_are_written_anew(five, capsys, monkeypatch):
    """Newest first, so that the oldest message tells whether an interrupted run must go on."""
    reindex(capsys)
    assert not reindexing.is_reindex_due()
    MessageWords.objects.filter(message__id__in=[id_of(0), id_of(3)]).update(words=["fatura"])
    assert reindexing.is_reindex_due()
    monkeypatch.setattr(reindexing, "AT_ONCE", 2)
    next(reindexing.reindex(every=False))
    assert reindexing.is_reindex_due()
    assert found("numero") == {id_of(number) for number in (1, 2, 3, 4)}
    assert "1 search rows were missing or out of date" in reindex(capsys)
    assert not reindexing.is_reindex_due()
    assert len(found("numero")) == 5


def test_upkeep_writes_rows_of_an_older_rule(five, capsys):
    call_command("upkeep")
    assert "search: 4 search rows of an older version rewritten" in capsys.readouterr().out
    assert not reindexing.is_reindex_due()


def test_an_old_row_still_finds_its_words(five):
    MessageWords.objects.filter(message__id=id_of(2)).update(
        words=["fatura", "10h30", "東京タワー"]
    )
    assert found("fatura 10h") == found("10h30") == found("東京タワー") == {id_of(2)}


def test_an_erasure_makes_no_reindex_due(five, capsys):
    reindex(capsys)
    erase(UUID(C), at=NOW)
    assert not reindexing.is_reindex_due()


def test_erased_messages_get_a_row_without_words(five, capsys):
    erase(UUID(C), at=NOW)
    assert "4 search rows were missing" in reindex(capsys)
    assert found("fatura") == set()
    assert MessageWords.objects.count() == 5


@pytest.mark.postgresql
def test_no_text_is_indexed_after_its_erasure(five, capsys, monkeypatch):
    """The reindex waits for a started erasure, and then reads the messages again."""
    erasing, looked = Event(), Event()
    locked = type(Conversation.objects.all()).all_locked

    def after_the_erasure_began(rows, ids):
        if erasing.is_set():
            looked.set()
        return locked(rows, ids)

    def slowly_erased(conversation, *, at):
        erasing.set()
        assert looked.wait(20)
        undisturbed(conversation, at=at)

    def erase_and_disconnect():
        try:
            erase(UUID(C), at=NOW)
        finally:
            connection.close()

    undisturbed = Conversation.erase
    monkeypatch.setattr(type(Conversation.objects.all()), "all_locked", after_the_erasure_began)
    monkeypatch.setattr(Conversation, "erase", slowly_erased)
    with ThreadPoolExecutor() as pool:
        erasure = pool.submit(erase_and_disconnect)
        assert erasing.wait(20)
        reindex(capsys)
        erasure.result()
    assert found("fatura") == set()
    assert Message.objects.filter(words=None).count() == 0
