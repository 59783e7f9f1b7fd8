"""All messages as lines: `GET /export/messages.jsonl` and `manage.py export_messages`."""

import csv
import gzip
import json
from io import StringIO
from threading import Event, Thread
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections, transaction

from chat.api import exports as api
from chat.heavy import reading
from chat.models import Message, begin_generation, exports
from chat.models.messages import LONG_TEXT
from chat.upkeep import erasure
from tests.conftest import NOW, OTHER_C, C, M, id_of, make_event
from tests.servers import assert_problem, through_wsgi

pytestmark = pytest.mark.both_engines("reads by windows, as text")

PATH = "/export/messages.jsonl"
TEXTS = ['Olá, "tudo" bem?', "duas\nlinhas\t\\ \x01\x7f\u2028", "😀 não", "x" * 9_000, "ç" * 8_192]


def get(headers=None, **parameters):
    return through_wsgi("GET", f"{PATH}?{urlencode(parameters)}", **headers or {})


def lines(answer):
    """Export. Return the messages, and the cursor of the last line."""
    assert answer.status_code == 200, answer.content
    assert answer.content.endswith(b"\n")
    *messages, end = [json.loads(line) for line in answer.content.split(b"\n")[:-1]]
    assert list(end) == ["next"]
    return messages, end["next"]


def ids(answer):
    return [message["id"] for message in lines(answer)[0]]


def message(n, **data):
    at = f"2025-02-21T10:{n:02}:00"
    return make_event("NEW_MESSAGE", **{"id": id_of(n), "at": at, "content": f"text {n}"} | data)


@pytest.fixture
def stored(deliver, monkeypatch):
    """Seven messages, one of them late, read in windows of two."""
    monkeypatch.setattr(exports, "WINDOW", 2)
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    for n in (1, 2, 5, 3, 6, 7, 8):
        deliver(message(n, conversation_id=C if n % 2 else OTHER_C))


def test_a_line_has_the_message_and_the_cursor_that_goes_on_after_it(deliver, generation):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M, at="2025-02-21T10:20:41-03:00", content="Olá"))
    arrival = Message.objects.get().arrival
    answer = get()
    assert answer["Content-Type"] == "application/x-ndjson"
    assert lines(answer) == (
        [
            {
                "cursor": f"{generation}-m{arrival}",
                "id": M,
                "conversation_id": C,
                "direction": "RECEIVED",
                "content": "Olá",
                "timestamp": "2025-02-21T13:20:41.000000Z",
                "received_at": "2025-02-21T12:00:00.000000Z",
            }
        ],
        f"{generation}-m{arrival}",
    )


def test_nothing_stored_is_only_the_last_line(db, generation):
    assert lines(get()) == ([], f"{generation}-m0")


def test_messages_come_in_the_order_of_their_arrival(stored):
    assert ids(get()) == [id_of(n) for n in (1, 2, 5, 3, 6, 7, 8)]


def test_every_text_comes_whole(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    for n, text in enumerate(TEXTS):
        deliver(message(n, content=text))
    assert [found["content"] for found in lines(get())[0]] == TEXTS


def test_an_erased_message_is_empty(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(message(1))
    erasure.erase(UUID(C), at=NOW)
    assert [found["content"] for found in lines(get())[0]] == [""]


def test_whoever_breaks_off_goes_on_after_any_line(stored):
    messages, last = lines(get())
    for n, found in enumerate(messages):
        rest, again = lines(get(after=found["cursor"]))
        assert (rest, again) == (messages[n + 1 :], last)


def test_the_last_line_goes_on_with_what_arrives_later(stored, deliver):
    _, last = lines(get())
    deliver(message(4))  # late by its timestamp
    assert ids(get(after=last)) == [id_of(4)]


def test_times_are_those_of_the_messages(stored):
    found = get(**{"from": "2025-02-21T10:03:00Z", "to": "2025-02-21T10:07:00Z"})
    assert ids(found) == [id_of(n) for n in (5, 3, 6)]
    assert ids(get(to="2025-02-21T10:02:00Z")) == [id_of(1)]
    assert ids(get(**{"from": "2025-02-21T10:08:00Z"})) == [id_of(8)]


def test_what_arrives_during_the_export_is_not_in_it(stored, deliver):
    last = exports.settled_arrival()
    windows = exports.in_windows(exports.written_within(None, None), after=0, last=last)
    found = [text.id for text in next(windows)]
    deliver(message(9))
    found += [text.id for window in windows for text in window]
    assert found == [id_of(n) for n in (1, 2, 5, 3, 6, 7, 8)]


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({"after": "x"}, "/after", "invalid_cursor"),
        ({"after": ""}, "/after", "invalid_cursor"),
        ({"from": "yesterday"}, "/from", "invalid_timestamp"),
        ({"to": "2025"}, "/to", "invalid_timestamp"),
        ({"from": "2025-02-21T10:00:00Z", "to": "2025-02-21T10:00:00Z"}, "/to", "contradiction"),
        ({"since": "2025-02-21T10:00:00Z"}, "", "unknown_parameter"),
    ],
)
def test_a_wrong_parameter_is_named(db, parameters, pointer, code):
    answer = get(**parameters)
    assert_problem(answer, 400, "bad_request")
    [error] = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)


def test_the_parameters_that_are_taken_are_named(db):
    [error] = get(since="x").json()["errors"]
    assert error["detail"] == "This address takes only: from, to, after."


def test_a_made_up_cursor_would_skip_messages(stored, generation):
    _, last = lines(get())
    beyond = int(last.partition("-m")[2]) + 1
    assert_problem(get(after=f"{generation}-m{beyond}"), 400, "bad_request")


def test_a_cursor_of_the_changes_would_skip_messages_too(stored):
    """A cursor of the export would also skip changes, because the numbers count different things."""
    of_changes = through_wsgi("GET", "/changes?limit=2").json()["next"]
    of_messages = lines(get())[0][1]["cursor"]
    assert_problem(get(after=of_changes), 400, "bad_request")
    assert_problem(through_wsgi("GET", f"/changes?after={of_messages}"), 400, "bad_request")


def test_a_cursor_from_before_a_restore_has_expired(stored):
    _, last = lines(get())
    begin_generation()
    assert_problem(get(after=last), 410, "cursor_expired")


def test_it_is_packed_for_whoever_takes_gzip(stored):
    answer = get({"HTTP_ACCEPT_ENCODING": "br, gzip"})
    assert (answer["Content-Encoding"], answer["Vary"]) == (
        "gzip",
        "Accept-Encoding, Cookie",
    )
    assert gzip.decompress(answer.content) == get().content
    assert get({"HTTP_ACCEPT_ENCODING": "GZIP"})["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in get({"HTTP_ACCEPT_ENCODING": "gzip;q=0, br"}).headers


def test_it_takes_a_turn_and_head_takes_none(stored, monkeypatch):
    monkeypatch.setattr(reading, "WAIT_SECONDS", 0)
    with reading.turn_to_read(), reading.turn_to_read():
        assert_problem(get(), 503, "too_many_reads")
        answer = through_wsgi("HEAD", PATH)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Type"] == "application/x-ndjson"
    assert lines(get())


def test_a_piece_has_a_bounded_size(stored, monkeypatch):
    monkeypatch.setattr(api, "BYTES_A_PIECE", 100)
    last = exports.settled_arrival()
    windows = exports.in_windows(exports.written_within(None, None), after=0, last=last)
    pieces = list(api.json_lines(windows, "00000000", last))
    assert max(map(len, pieces)) < 400
    assert len(b"".join(pieces).splitlines()) == 8


def test_a_long_text_has_a_query_of_its_own(stored, deliver, monkeypatch):
    deliver(message(9, content="x" * (LONG_TEXT + 1)))
    rows, whole = [], exports.whole
    monkeypatch.setattr(exports, "whole", lambda row: [rows.append(row), whole(row)][1])
    assert len(lines(get())[0]) == 8
    assert [row[4] for row in rows][-1] is None


# Arrivals and commits


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_export_waits_for_messages_that_took_their_arrival_before(deliver, monkeypatch):
    """Otherwise a reader going on from `next` would never see these messages."""
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_CONVERSATION", id=OTHER_C))
    taken, may_commit = Event(), Event()

    def write_slowly():
        with transaction.atomic():
            add_message(1, C)
            taken.set()
            may_commit.wait(10)
        connections.close_all()

    writer = Thread(target=write_slowly)
    writer.start()
    taken.wait(10)
    deliver(message(2, conversation_id=OTHER_C))
    monkeypatch.setattr(exports, "SECONDS_FOR_WRITERS", 0.2)
    with pytest.raises(OperationalError):
        exports.settled_arrival()
    monkeypatch.setattr(exports, "SECONDS_FOR_WRITERS", 10)
    Thread(target=lambda: [may_commit.wait(0.3), may_commit.set()]).start()
    assert ids(get()) == [id_of(1), id_of(2)]
    writer.join()


def add_message(n, conversation):
    Message.objects.create(
        id=id_of(n),
        conversation_id=conversation,
        direction="SENT",
        content="slow",
        timestamp=NOW,
        received_at=NOW,
    )


# The command


def export(*arguments):
    out, err = StringIO(), StringIO()
    call_command("export_messages", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue().splitlines()[-1]


def test_the_command_writes_the_same_lines(stored):
    out, said = export()
    messages, last = lines(get())
    assert [json.loads(line) for line in out.splitlines()] == messages
    assert said == f"7 messages. Later ones: --after {last}"


def test_the_command_writes_a_private_file_and_overwrites_nothing(stored, tmp_path):
    file = tmp_path / "messages.jsonl"
    assert export(str(file))[0] == ""
    assert file.read_text() == export()[0]
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="cannot be written: File exists"):
        export(str(file))


def test_the_command_goes_on_after_a_cursor(stored):
    cursor = json.loads(export()[0].splitlines()[4])["cursor"]
    assert len(export("--after", cursor)[0].splitlines()) == 2


@pytest.mark.parametrize("cursor", ["x", "00000000-m999999"])
def test_the_command_refuses_a_cursor_of_elsewhere(stored, cursor):
    with pytest.raises(CommandError, match="--after is"):
        export("--after", cursor)


def test_the_command_takes_times(stored):
    out, _ = export("--from", "2025-02-21T10:03Z", "--to", "2025-02-21T10:06Z")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [id_of(5), id_of(3)]


def test_the_command_writes_a_table_without_formulas(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(message(1, content='=1+1;"é"\nsegunda'))
    out, said = export("--format", "csv")
    head, row = csv.reader(StringIO(out.removeprefix("\ufeff"), newline=""))
    assert head[:5] == ["timestamp", "direction", "content", "id", "conversation_id"]
    assert row[:5] == [
        "2025-02-21T10:01:00Z",
        "RECEIVED",
        '\'=1+1;"é"\nsegunda',
        id_of(1),
        C,
    ]
    assert said.endswith(row[6])
