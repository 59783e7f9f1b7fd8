"""`manage.py import_events` imports a file of events by the rules of the webhook, and can continue."""

import gzip
import json
import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from chat.events import bulk
from chat.models import Conversation, Delivery, Message
from tests.conftest import M2, C, M, make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("imports in large transactions"),
]

OPENING = make_event("NEW_CONVERSATION", id=C)
FIRST = make_event("NEW_MESSAGE", id=M, content="first")
SECOND = make_event("NEW_MESSAGE", id=M2, content="second")
CLOSE = make_event("CLOSE_CONVERSATION", id=C)
LATER = make_event("NEW_MESSAGE", id="00000000-0000-4000-8000-000000000001")


@pytest.fixture
def file(tmp_path):
    def file(*lines, name="events.jsonl", pack=bytes):
        path = tmp_path / name
        texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        path.write_bytes(pack(b"\n".join(texts) + b"\n"))
        return str(path)

    return file


def load(path, *options):
    """Import a file, and return the results."""
    out = StringIO()
    call_command("import_events", str(path), "--yes", *options, stdout=out, stderr=StringIO())
    return [json.loads(line) for line in out.getvalue().splitlines()]


def outcomes(results):
    return [(result["line"], result["code"] or result["outcome"]) for result in results]


def test_every_event_has_a_result_by_the_rules_of_the_webhook(file):
    results = load(file(OPENING, FIRST, FIRST, CLOSE, LATER))
    assert outcomes(results) == [
        (1, "applied"),
        (2, "applied"),
        (3, "duplicate"),
        (4, "applied"),
        (5, "conversation_closed"),
    ]
    assert results[1] == {
        "line": 2,
        "outcome": "applied",
        "code": None,
        "type": "NEW_MESSAGE",
        "id": M,
    }
    assert Delivery.objects.count() == 5


def test_an_early_event_is_applied_when_its_conversation_comes(file):
    results = load(file(FIRST, OPENING))
    assert outcomes(results) == [(1, "conversation_not_found"), (2, "applied")]
    assert Message.objects.get().content == "first"


def test_an_invalid_event_has_its_errors(file):
    [bad, worse] = load(file({**OPENING, "data": {}}, b"{"))
    assert bad["code"] == "invalid_event"
    assert bad["errors"] == [{"pointer": "/data/id", "code": "missing", "detail": "Required."}]
    assert worse["code"] == "invalid_json"


def test_blank_lines_have_a_number_and_no_result(file):
    assert outcomes(load(file(b"", OPENING, b" \r", CLOSE))) == [(2, "applied"), (4, "applied")]


def test_a_line_longer_than_a_body_is_refused_unread(file, settings):
    settings.MAX_BODY_BYTES = 200
    exact = OPENING | {"more": "x" * (200 - len(json.dumps(OPENING)) - len(', "more": ""'))}
    assert len(json.dumps(exact)) == 200
    results = load(file(b"x" * 201, exact, b"x" * 70_000, CLOSE, b"x" * 202))
    assert outcomes(results) == [
        (1, "body_too_large"),
        (2, "applied"),
        (3, "body_too_large"),
        (4, "applied"),
        (5, "body_too_large"),
    ]
    assert Delivery.objects.count() == 2


def test_a_gzipped_file_is_read(file):
    assert len(load(file(OPENING, FIRST, name="events.jsonl.gz", pack=gzip.compress))) == 2


def test_a_gzipped_file_that_breaks_off_is_named(file):
    texts = b"".join(os.urandom(50).hex().encode() + b"\n" for _ in range(5_000))
    path = file(texts, pack=lambda whole: gzip.compress(whole)[:-1000])
    with pytest.raises(CommandError, match="cannot be read: Compressed file ended"):
        load(path)


def test_standard_input_is_read(file):
    with Path(file(OPENING, FIRST)).open() as events:
        saved = os.dup(0)
        os.dup2(events.fileno(), 0)
        try:
            assert len(load("-")) == 2
        finally:
            os.dup2(saved, 0)
            os.close(saved)


def test_without_yes_it_only_says_what_the_file_has(file):
    out = StringIO()
    call_command("import_events", file(OPENING, FIRST, b"{"), stdout=out, stderr=StringIO())
    assert out.getvalue().splitlines() == [
        "3 events to import:",
        "  NEW_CONVERSATION: 1",
        "  NEW_MESSAGE: 1",
        "  invalid_json: 1",
        "Nothing was done. Add --yes to do it.",
    ]
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(CommandError, match="cannot be read: "):
        load(tmp_path / name)


# Results in a file


def test_the_results_are_in_a_file_of_their_own(file, tmp_path):
    results = tmp_path / "results.jsonl"
    assert load(file(OPENING, FIRST), "--results", str(results)) == []
    assert [json.loads(line)["line"] for line in results.read_text().splitlines()] == [1, 2]
    assert results.stat().st_mode & 0o777 == 0o600


def test_an_interrupted_import_goes_on_after_its_last_result(file, tmp_path, monkeypatch):
    results, events = tmp_path / "results.jsonl", file(OPENING, FIRST, b"", SECOND, CLOSE)
    monkeypatch.setattr(bulk.ingest_many, "__kwdefaults__", {**DEFAULTS, "batch_size": 2})
    with monkeypatch.context() as broken:
        breaks_at(2, broken)
        with pytest.raises(CommandError, match=r"stopped after line 2.*run this again to go on"):
            load(events, "--results", str(results))
    with results.open("a") as torn:
        torn.write('{"line": 4, "outc')
    load(events, "--results", str(results))
    written = [json.loads(line) for line in results.read_text().splitlines()]
    assert outcomes(written) == [(1, "applied"), (2, "applied"), (4, "applied"), (5, "applied")]
    assert Delivery.objects.count() == 4


DEFAULTS = bulk.ingest_many.__kwdefaults__


def breaks_at(batch, monkeypatch):
    """Let the database fail at this batch."""
    batches = iter(range(1, 100))
    ingest = bulk.ingest_batch

    def fail(*args, **kwargs):
        if next(batches) == batch:
            raise OperationalError("disk full")
        return ingest(*args, **kwargs)

    monkeypatch.setattr(bulk, "ingest_batch", fail)


def test_without_a_file_the_import_begins_again_and_changes_nothing(file):
    events = file(OPENING, FIRST, CLOSE)
    load(events)
    assert {result["outcome"] for result in load(events)} == {"duplicate"}
    assert (Conversation.objects.count(), Message.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    "other", [[OPENING], [OPENING, SECOND, CLOSE], [OPENING, b"", FIRST]], ids=range(3)
)
def test_results_of_another_input_are_refused(file, tmp_path, other):
    results = tmp_path / "results.jsonl"
    load(file(OPENING, FIRST), "--results", str(results))
    before = results.read_bytes()
    with pytest.raises(CommandError, match=r"results\.jsonl has the results of another input"):
        load(file(*other, name="other.jsonl"), "--results", str(results))
    assert results.read_bytes() == before
    assert Delivery.objects.count() == 2


@pytest.mark.parametrize("text", ["Dear Ana\n", "Dear Ana", "[1]\n", "{}\n"])
def test_a_file_with_other_lines_than_results_is_refused_and_kept(file, tmp_path, text):
    results = tmp_path / "letter.txt"
    results.write_text(text)
    with pytest.raises(CommandError, match=r"letter\.txt has other lines than results"):
        load(file(OPENING), "--results", str(results))
    assert results.read_text() == text
