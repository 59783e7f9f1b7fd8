"""Upgrades: a database filled by a release is migrated, and keeps everything."""

import json
import re
import sqlite3
from contextlib import closing, contextmanager
from uuid import UUID

import pytest
from django.conf import global_settings
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chat.models import Conversation, Delivery, Message, MessageWords, Token, User
from chat.upkeep import copying
from tests.conftest import ROOT
from tests.released.make import conversation, message

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("each engine changes and fills its tables in its own way"),
]

RELEASED = ROOT / "tests" / "released"
# The last migration of each release.
NEWEST = {"0.1.0": "0006_tokens"}
MODELS = ("User", "Conversation", "Message", "Delivery", "Token")
OPEN, LATE, CLOSED, ERASED = (conversation(n) for n in (2, 1, 3, 5))


@pytest.fixture(params=sorted(NEWEST))
def upgraded(request, tmp_path, scratch_database):
    """Migrate the release's database. Yield the numbers of rows stored by the release."""
    path = tmp_path / "released.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.executescript((RELEASED / f"{request.param}.sql").read_text())
        counts = counted(database)
    holding = holding_file if connection.vendor == "sqlite" else holding_rows
    with holding(path, NEWEST[request.param]):
        call_command("migrate", verbosity=0)
        yield counts


def counted(database):
    tables = ("chat_user", "chat_conversation", "chat_message", "chat_delivery", "chat_token")
    counts = {}
    for table in tables:
        [counts[table]] = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    return counts


@contextmanager
def holding_file(path, newest):
    """Let the connection of the test read and write the file."""
    connection.close()
    own, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], str(path)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own


@contextmanager
def holding_rows(path, newest):
    """Give the test's database the schema of the release, and the rows of the file."""
    MigrationExecutor(connection).migrate([("chat", newest)])
    apps = MigrationExecutor(connection).loader.project_state(("chat", newest)).apps
    models = [apps.get_model("chat", name) for name in MODELS]
    with copying.attached(copying.parse(f"sqlite:///{path}")) as file:
        for model in models:
            rows = [model(**values) for values in model.objects.using(file).order_by("pk").values()]
            model.objects.bulk_create(rows)
            if model.__name__ == "Message":
                MessageWords.objects.index(rows)
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
    yield


def test_every_release_has_a_database_here():
    released = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert set(released) == set(NEWEST) == {path.stem for path in RELEASED.glob("*.sql")}


def test_nothing_is_lost_or_doubled(upgraded):
    kept = [User, Conversation, Message, Delivery, Token]
    assert {model._meta.db_table: model.objects.count() for model in kept} == upgraded
    assert MessageWords.objects.count() == Message.objects.count()


def test_the_log_agrees_with_what_is_stored(upgraded, capsys):
    call_command("replay", "--check")
    assert f"{upgraded['chat_conversation'] - 2} conversations are equal" in capsys.readouterr().out


def found(client, **query):
    return [row["id"] for row in client.get("/conversations", query).json()["conversations"]]


def test_search_finds_every_text_but_the_erased(upgraded, client):
    assert found(client, q="atrasada") == [LATE]
    assert set(found(client, q="nao recebi o pedido", limit=100)) == {
        conversation(n) for n in range(1, 13) if n not in (5, 6)
    }
    assert found(client, q="pedido 5.0") == []


def test_pages_list_each_conversation_once(upgraded, client):
    ids, cursor = [], {}
    while cursor is not None:
        page = client.get("/conversations", {"limit": 3} | cursor).json()
        ids += [row["id"] for row in page["conversations"]]
        cursor = page["next"] and {"cursor": page["next"]}
    assert len(ids) == len(set(ids)) == upgraded["chat_conversation"]


def test_a_thread_has_its_messages_in_order(upgraded, client):
    told = client.get(f"/conversations/{LATE}").json()["messages"]
    assert [each["id"] for each in told] == [message(n) for n in (201, 10, 11, 12, 13)]
    assert client.get(f"/ui/{LATE}/").status_code == 200


def test_events_and_changes_go_on(upgraded, client, post):
    now = client.get("/changes", {"after": "now"}).json()["next"]
    logged = Delivery.objects.get(message_id=message(20), outcome="applied")
    assert post(bytes(logged.body)).json()["outcome"] == "duplicate"
    event = json.loads(bytes(logged.body))
    for id, of, status in ((301, OPEN, 201), (302, CLOSED, 400), (303, ERASED, 400)):
        event["data"] |= {
            "id": message(id),
            "conversation_id": of,
            "content": "Depois da atualização",
        }
        assert post(event).status_code == status
    change = client.get("/changes", {"after": now}).json()["changes"][0]
    assert (change["type"], change["message_id"]) == ("message", message(301))
    assert found(client, q="depois atualizacao") == [OPEN]
    assert Message.objects.latest("arrival").id == UUID(message(301))


def test_erased_texts_stay_out(upgraded, client, post):
    logged = Delivery.objects.get(message_id=message(10), outcome="applied")
    event = json.loads(bytes(logged.body))
    event["data"] |= {"id": message(50), "conversation_id": ERASED}
    event["timestamp"] = Message.objects.get(id=message(50)).timestamp.isoformat()
    assert post(event).json()["outcome"] == "duplicate"
    told = client.get(f"/conversations/{ERASED}").json()
    assert {each["content"] for each in told["messages"]} == {""}


def test_people_log_in(upgraded, client, settings):
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS  # tests have a quick one
    form = {"username": "ana", "password": "quatro palavras bem longas"}
    assert client.post("/ui/login/", form)["Location"] == "/ui/"
    assert Token.objects.get().name == "mirror"
