"""`manage.py erase_conversation` leaves nothing of a conversation, and `export_conversation` hands over all of it."""

import json
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, connections, transaction
from django.test import Client

from chat.events.bulk import ingest_many
from chat.models import Conversation, Delivery, Message, MessageWords
from chat.statistics import read_statistics
from chat.upkeep import erasure
from tests.conftest import NOW, C, M

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("each engine keeps text in places of its own"),
    pytest.mark.erases,
]

D = "b3a1c7de-2f53-4a0d-9a53-0f6f3a1d9e11"
N = "16b63b04-60de-4257-b1a1-20a5154abc6d"
TEXT = "segredinho guardado"


@pytest.fixture
def told(deliver, event):
    """Two conversations: one with a secret, and one with another text."""
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("NEW_MESSAGE", id=M, content=TEXT))
    deliver(event("NEW_CONVERSATION", id=D))
    deliver(event("NEW_MESSAGE", id=N, content="Bom dia", conversation_id=D))


def erase(*options):
    call_command("erase_conversation", C, "--yes", *options)


def bodies_of(id):
    return {bytes(row.body) for row in Delivery.objects.filter(conversation_id=id)}


def in_the_files(text):
    """Whether the text is anywhere in SQLite's files on disk."""
    name = connection.settings_dict["NAME"]
    files = [Path(f"{name}{suffix}") for suffix in ("", "-wal", "-shm")]
    return any(
        text.encode().lower() in file.read_bytes().lower() for file in files if file.exists()
    )


def test_without_yes_nothing_is_erased(told, capsys):
    call_command("erase_conversation", C)
    assert Message.objects.get(id=M).content == TEXT
    assert "OPEN, 1 messages, 2 deliveries" in capsys.readouterr().out


def test_the_text_goes_and_the_ids_stay(told):
    erase()
    assert Message.objects.get(id=M).content == ""
    assert Conversation.objects.get(pk=C).last_message_preview == ""
    assert bodies_of(C) == {b""}
    assert not MessageWords.objects.search("segredinho")


def test_other_conversations_stay_as_they_are(told):
    erase()
    assert Message.objects.get(id=N).content == "Bom dia"
    assert MessageWords.objects.search("bom")
    assert b"" not in bodies_of(D)


@pytest.mark.sqlite
def test_the_text_is_nowhere_in_the_files(told, deliver, event):
    for number in range(300):  # enough to split and merge the index and the tables
        id = f"00000000-0000-4000-8000-{number:012}"
        deliver(event("NEW_MESSAGE", id=id, content=f"{TEXT} {number} " * 9))
        deliver(event("NEW_CONVERSATION", id=id))
    assert in_the_files("segredinho")
    erase()
    assert not in_the_files("segredinho")
    assert not in_the_files("guardado")


@contextmanager
def looking_once(monkeypatch):
    """Do not wait for older transactions. Another database of the server may have some at any time."""
    with monkeypatch.context() as patch:
        patch.setattr("chat.upkeep.erasure.LOOKS", 1)
        yield


@pytest.mark.sqlite
def test_a_reader_that_never_ends_is_told(told, monkeypatch, second_connection):
    second_connection.execute("BEGIN")
    second_connection.execute("SELECT COUNT(*) FROM chat_message").fetchone()
    with looking_once(monkeypatch), pytest.raises(CommandError, match="run this again"):
        erase()
    second_connection.rollback()
    erase()
    assert not in_the_files("segredinho")


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("level", "work"),
    [
        ("REPEATABLE READ", "SELECT COUNT(*) FROM chat_message"),
        ("READ COMMITTED", "SELECT pg_current_xact_id()"),
    ],
)
def test_who_began_before_and_does_not_end_is_told(told, monkeypatch, level, work):
    with closing(connections.create_connection("default")) as second:
        with second.cursor() as cursor:
            cursor.execute(f"BEGIN ISOLATION LEVEL {level}")
            cursor.execute(work)
        with looking_once(monkeypatch), pytest.raises(CommandError, match="run this again"):
            erase()
    erase()


@pytest.mark.postgresql
def test_what_was_being_logged_during_the_erasure_is_emptied_too(told):
    """Another conversation refuses a message of the erased one. Its writer waits for no lock."""
    with closing(connections.create_connection("default")) as second:
        second.set_autocommit(False)
        with second.cursor() as cursor:
            cursor.execute(
                "INSERT INTO chat_delivery (received_at, type, conversation_id, message_id, body,"
                " outcome, code, request_id, webhook_id)"
                " VALUES (now(), 'NEW_MESSAGE', %s, %s, %s, 'refused', 'id_conflict', %s, '')",
                [D, M, TEXT.encode(), D],
            )
        erasure.erase(UUID(C), at=NOW)
        second.commit()
    list(erasure.scrub(UUID(C)))
    assert not Delivery.objects.filter(message_id=M).exclude(body=b"").exists()


@pytest.mark.postgresql
def test_rewritten_files_have_nothing_of_the_text(told):
    """The files of all tables and indexes of this database, but not the WAL."""

    def written():
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")
            cursor.execute(
                "SELECT pg_read_binary_file(pg_relation_filepath(oid)) FROM pg_class"
                " WHERE pg_relation_filepath(oid) IS NOT NULL"
            )
            return b"".join(bytes(file) for [file] in cursor)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    assert b"segredinho" in written()
    erase("--rewrite")
    assert b"segredinho" not in written()
    assert b"guardado" not in written()


@pytest.mark.postgresql
def test_the_planner_keeps_no_sample_of_the_text(told):
    def samples():
        with connection.cursor() as cursor:
            cursor.execute("SELECT s::text FROM pg_stats s WHERE tablename LIKE 'chat_%'")
            return "".join(row for [row] in cursor)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    assert "guardado" in samples()
    erase()
    assert "guardado" not in samples()


@pytest.mark.postgresql
def test_who_writes_in_another_database_of_the_server_is_waited_for(told, monkeypatch):
    parameters = connection.get_connection_params() | {"dbname": "postgres"}
    with closing(connection.Database.connect(**parameters)) as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")
        with looking_once(monkeypatch), pytest.raises(CommandError, match="run this again"):
            erase()
    erase()


@pytest.mark.postgresql
def test_the_planners_old_samples_are_not_left_to_who_came_while_new_ones_were_made(
    told, monkeypatch
):
    monkeypatch.setattr("chat.upkeep.erasure.LOOKS", 1)
    execute = erasure.execute
    with closing(connections.create_connection("default")) as second, second.cursor() as cursor:

        def meanwhile(statement, params=(), **named):
            if "chat_message" in statement:
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SELECT 1")
            return execute(statement, params, **named)

        monkeypatch.setattr(erasure, "execute", meanwhile)
        with pytest.raises(CommandError, match="run this again"):
            erase()


def test_many_are_erased_and_the_files_are_scrubbed_once(told, monkeypatch, erasures_file):
    scrub, scrubs = erasure.scrub, []
    monkeypatch.setattr(
        erasure, "scrub", lambda *ids, **named: scrubs.append(ids) or scrub(*ids, **named)
    )
    call_command("erase_conversation", C, D, C, "--yes")
    assert scrubs == [(UUID(C), UUID(D))]
    assert not Message.objects.exclude(content="").exists()
    assert bodies_of(C) | bodies_of(D) == {b""}
    listed = [json.loads(line) for line in erasures_file.read_text().splitlines() if line]
    assert [(entry["id"], entry["what"]) for entry in listed] == [
        (C, "erased"),
        (D, "erased"),
        (C, "scrubbed"),
        (D, "scrubbed"),
    ]


def test_of_many_ids_none_is_erased_if_nothing_is_stored_about_one(told):
    with pytest.raises(CommandError, match=f"nothing is stored about {M}"):
        call_command("erase_conversation", C, M, "--yes")
    assert Message.objects.get(id=M).content == TEXT


@pytest.fixture
def second_connection():
    second = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    yield second
    second.close()


@pytest.mark.parametrize("content", [TEXT, "another text"])
def test_a_redelivered_message_is_a_duplicate_and_stays_erased(told, deliver, event, content):
    erase()
    assert deliver(event("NEW_MESSAGE", id=M, content=content)).outcome == "duplicate"
    assert Message.objects.get(id=M).content == ""
    assert bodies_of(C) == {b""}


def test_an_erased_message_keeps_its_id_from_others(told, deliver, event):
    erase()
    assert deliver(event("NEW_MESSAGE", id=M, direction="SENT")).code == "id_conflict"
    assert deliver(event("NEW_MESSAGE", id=M, conversation_id=D)).code == "id_conflict"
    assert Delivery.objects.filter(message_id=M).exclude(body=b"").count() == 0


def test_a_redelivered_opening_or_closing_is_a_duplicate(told, deliver, event):
    erase()
    assert deliver(event("NEW_CONVERSATION", id=C)).outcome == "duplicate"
    assert deliver(event("CLOSE_CONVERSATION", id=C)).outcome == "duplicate"


def test_a_new_message_is_refused_and_not_kept(told, deliver, event):
    erase()
    other = "20000000-0000-4000-8000-000000000000"
    assert deliver(event("NEW_MESSAGE", id=other)).code == "conversation_closed"
    assert deliver(event("NEW_MESSAGE", id=other, direction="in")).code == "invalid_event"
    assert bodies_of(C) == {b""}
    assert Conversation.objects.get(pk=C).wrote_after_closing_at is None


def test_many_events_at_once_bring_nothing_back_either(told, event):
    erase()
    events = [
        event("NEW_CONVERSATION", id=C),
        event("NEW_MESSAGE", id=M, content=TEXT),
        event("NEW_MESSAGE", id=M, content=TEXT, conversation_id=D),
        event("NEW_MESSAGE", id="20000000-0000-4000-8000-000000000000", content=TEXT),
        event("NEW_MESSAGE", id="x", content=TEXT),
    ]
    results = list(ingest_many((json.dumps(event).encode(), NOW) for event in events))
    assert [result.code or result.outcome for result in results] == [
        "duplicate",
        "duplicate",
        "id_conflict",
        "conversation_closed",
        "invalid_event",
    ]
    assert not any(TEXT.encode() in bytes(row.body) for row in Delivery.objects.all())


def test_what_was_refused_elsewhere_with_its_ids_goes_too(told, deliver, event):
    deliver(event("NEW_MESSAGE", id=M, content=TEXT, conversation_id=D))
    deliver(
        json.dumps(event("NEW_MESSAGE", id=N, content=TEXT)).encode()[:-1].replace(b"6a", b"6A")
    )
    erase()
    assert not any(TEXT.encode() in bytes(row.body) for row in Delivery.objects.all())


def test_what_could_not_be_read_goes_by_the_id_of_one_of_its_messages(told, deliver):
    cut = f'{{"content": "{TEXT}", "id": "{M.upper()}"'.encode()
    deliver(cut)
    deliver(cut.replace(M.upper().encode(), N.encode()))
    erase()
    unreadable = Delivery.objects.filter(code="invalid_json").order_by("id")
    bodies = [bytes(row.body) for row in unreadable]
    assert bodies == [b"", cut.replace(M.upper().encode(), N.encode())]


@pytest.mark.parametrize("id", [C, M, M.upper()])
def test_what_cannot_be_read_and_comes_after_the_erasure_is_not_kept(told, deliver, id):
    erase()
    deliver(f'{{"content": "{TEXT}", "id": "{id}"'.encode())
    [result] = ingest_many([(f'{{"content": "{TEXT}", "id": "{id}"'.encode(), NOW)])
    assert result.code == "invalid_json"
    assert [bytes(row.body) for row in Delivery.objects.filter(code="invalid_json")] == [b"", b""]


def test_early_events_go_and_their_conversation_never_opens(deliver, event):
    deliver(event("NEW_MESSAGE", id=M, content=TEXT))
    erase()
    assert bodies_of(C) == {b""}
    assert deliver(event("NEW_CONVERSATION", id=C)).outcome == "duplicate"
    assert deliver(event("NEW_MESSAGE", id=M, content=TEXT)).code == "conversation_closed"
    assert not Message.objects.exists()
    assert bodies_of(C) == {b""}


def test_applied_deliveries_are_still_the_messages(told):
    erase()
    applied = Delivery.objects.filter(type="NEW_MESSAGE", outcome="applied")
    assert set(applied.values_list("message_id")) == set(Message.objects.values_list("id"))


def test_erasing_again_changes_no_time(told):
    erase()
    first = Conversation.objects.get(pk=C)
    erase()
    again = Conversation.objects.get(pk=C)
    assert (again.erased_at, again.closed_at) == (first.erased_at, first.closed_at)


def test_an_erased_conversation_keeps_its_opening_from_others(told, deliver, event):
    erase()
    assert deliver(event("NEW_CONVERSATION", id=C)).outcome == "duplicate"
    another = event("NEW_CONVERSATION", id=C, at="2025-02-21T11:00:00")
    assert deliver(another).code == "id_conflict"
    assert bodies_of(C) == {b""}


def test_a_conversation_that_was_never_opened_takes_any_opening_for_a_duplicate(deliver, event):
    deliver(event("NEW_MESSAGE", id=M))
    erase()
    for at in ("2025-02-21T10:20:41", "2025-02-21T11:00:00"):
        assert deliver(event("NEW_CONVERSATION", id=C, at=at)).outcome == "duplicate"


def test_erased_deliveries_are_not_applied_again(deliver, event):
    deliver(event("NEW_MESSAGE", id=M))
    erase()
    assert not Delivery.objects.worth_applying_again()


def test_an_erased_conversation_says_nothing_and_takes_nothing(told):
    erase()
    for change in ({"state": "OPEN", "closed_at": None}, {"last_message_preview": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Conversation.objects.filter(pk=C).update(**change)


@pytest.mark.parametrize("id", [D, "no id"])
def test_what_is_not_stored_is_said(db, id):
    for command in ("erase_conversation", "export_conversation"):
        with pytest.raises(CommandError, match=r"nothing is stored|not an id"):
            call_command(command, id)


# For readers


def test_machines_get_empty_content(told, client):
    etag = client.get(f"/conversations/{C}")["ETag"]
    erase()
    answer = client.get(f"/conversations/{C}", headers={"If-None-Match": etag})
    assert answer.json()["state"] == "CLOSED"
    assert [message["content"] for message in answer.json()["messages"]] == [""]
    [row] = [row for row in client.get("/conversations").json()["conversations"] if row["id"] == C]
    assert row["last_message"]["preview"] == ""
    assert client.get(f"/conversations/{C}/messages").json()["messages"][0]["content"] == ""


def test_people_are_told_that_it_was_erased(told):
    erase()
    client = Client(headers={"Accept-Language": "en"})
    for path in (f"/ui/{C}/", f"/ui/{C}/print/"):
        assert "This message was erased." in client.get(path).getvalue().decode()
    assert "Erased" in client.get("/ui/").content.decode()
    assert TEXT not in client.get("/ui/").content.decode()


def test_transcripts_say_that_it_was_erased(told, client):
    erase()
    text = client.get(f"/conversations/{C}/transcript.txt").getvalue().decode()
    assert "Erased: " in text
    assert "RECEIVED\n    [erased]\n" in text
    assert client.get(f"/conversations/{C}/transcript.csv").getvalue().count(M.encode()) == 1


def test_statistics_count_what_was_written_but_no_closing(told):
    before = read_statistics(7, now=NOW)
    erase()
    after = read_statistics(7, now=NOW)
    assert after.messages_received == before.messages_received == 2
    assert after.conversations_opened == 2
    assert Conversation.objects.filter(closed_at__isnull=False).count() == 1
    closed_at = Conversation.objects.get(pk=C).closed_at
    assert read_statistics(7, now=closed_at + timedelta(minutes=1)).time_to_close.count == 0


def test_the_log_says_that_a_body_was_erased(told, django_user_model):
    erase()
    staff = Client(headers={"Accept-Language": "en"})
    staff.force_login(django_user_model.objects.create_user("ana", is_staff=True))
    delivery = Delivery.objects.filter(conversation_id=C).latest("id")
    assert "It was erased." in staff.get(f"/ui/deliveries/{delivery.pk}/").content.decode()


# Export


def test_everything_is_exported(told, deliver, event, tmp_path):
    deliver(event("CLOSE_CONVERSATION", id=C))
    deliver(b"\xff" + C.encode())
    file = tmp_path / "export.json"
    call_command("export_conversation", C, str(file))
    exported = json.loads(file.read_text())
    assert exported["conversation"]["state"] == "CLOSED"
    assert [message["content"] for message in exported["messages"]] == [TEXT]
    bodies = [delivery.get("body") for delivery in exported["deliveries"]]
    assert [json.loads(body)["type"] for body in bodies[:3]] == [
        "NEW_CONVERSATION",
        "NEW_MESSAGE",
        "CLOSE_CONVERSATION",
    ]
    assert exported["deliveries"][3]["body_base64"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_export_overwrites_nothing(told, tmp_path):
    file = tmp_path / "export.json"
    file.write_text("mine")
    with pytest.raises(CommandError, match="cannot be written: File exists"):
        call_command("export_conversation", C, str(file))
    assert file.read_text() == "mine"


def test_an_export_goes_to_standard_output(deliver, event, capsys):
    deliver(event("NEW_MESSAGE", id=M, content=TEXT))
    call_command("export_conversation", C)
    exported = json.loads(capsys.readouterr().out)
    assert exported["conversation"] is None
    assert TEXT in exported["deliveries"][0]["body"]
