"""`manage.py copy_to` copies every row into another database, and nothing else."""

import os
import subprocess
import sys
from contextlib import contextmanager
from threading import Thread

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connections

from chat.models import (
    Change,
    Conversation,
    Delivery,
    Message,
    MessageWords,
    User,
    current_generation,
)
from chat.upkeep import copying
from tests.conftest import C, M
from tests.databases import beside

pytestmark = [
    pytest.mark.usefixtures("scratch_database"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("copies between the engines"),
]


@pytest.fixture
def filled(deliver, event):
    deliver(event("NEW_MESSAGE", id=M, content="Olá, não é açúcar \U0001f600\r\n"))
    deliver(event("NEW_CONVERSATION", id=C))
    deliver(event("CLOSE_CONVERSATION", id=C))
    deliver(b"\xff no JSON")
    User.objects.create_user("ana", password="a password")


@pytest.fixture(
    params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'copy.sqlite3'}"
        return
    with beside("copy") as url:
        yield url


def stored(database):
    return {
        model: list(model.objects.using(database).order_by("pk").values_list())
        for model in (Conversation, Message, User)
    }


def test_everything_is_copied(filled, url, capsys, monkeypatch):
    monkeypatch.setattr(copying, "call_command", call_command)  # migrates
    call_command("copy_to", url)
    with copying_from(url):
        assert stored(copying.TARGET) == stored("default")
        bodies = [bytes(row.body) for row in Delivery.objects.using(copying.TARGET).order_by("id")]
        assert bodies == [bytes(row.body) for row in Delivery.objects.order_by("id")]
        assert MessageWords.objects.using(copying.TARGET).search("acucar").get().message_id
    assert "chat_message: 1 rows, equal" in capsys.readouterr().out


@pytest.mark.erases
def test_an_erased_conversation_is_copied_as_it_is(filled, url):
    call_command("erase_conversation", C, "--yes")
    call_command("copy_to", url)
    with copying_from(url):
        assert stored(copying.TARGET) == stored("default")
        assert not MessageWords.objects.using(copying.TARGET).search("acucar")


def test_who_may_do_what_is_copied(filled, url):
    """Permissions may have other numbers in the other database."""
    may_look = Permission.objects.get(codename="view_delivery")
    may_look.delete()
    may_look.save(force_insert=True)
    ContentType.objects.create(app_label="gone", model="long ago")
    group = Group.objects.create(name="Night shift")
    group.permissions.add(may_look)
    User.objects.get().groups.add(group)
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_message"))
    call_command("copy_to", url)
    with copying_from(url):
        ana = User.objects.using(copying.TARGET).get()
        assert ana.groups.get().permissions.get().codename == "view_delivery"
        assert ana.user_permissions.get().codename == "view_message"


def test_a_copy_has_the_same_changes_in_a_generation_of_its_own(filled, url):
    Change.objects.place()
    call_command("copy_to", url)
    with copying_from(url):
        copied = Change.objects.using(copying.TARGET)
        copied.place()
        happened = [row.type for row in copied.placed()]
        assert happened == [row.type for row in Change.objects.placed()]
        assert happened == ["opened", "message", "closed"]
        assert current_generation(using=copying.TARGET) != current_generation()


@contextmanager
def copying_from(url):
    """Prepare a copy whose check of the target is asked again: a target with rows is refused, but only then."""
    with pytest.raises(copying.NotEmpty), copying.target(url):
        pass
    before = copying.COPIED[:]
    copying.COPIED.clear()
    try:
        with copying.target(url):
            yield
    finally:
        copying.COPIED.extend(before)


def test_the_keys_go_on_after_what_was_copied(filled, url):
    call_command("copy_to", url)
    with copying_from(url):
        last = Delivery.objects.using(copying.TARGET).latest("id")
        last.pk = None
        last.save(using=copying.TARGET, force_insert=True)
        assert last.pk == Delivery.objects.latest("id").pk + 1


def test_what_is_not_empty_is_left_alone(filled, url):
    call_command("copy_to", url)
    with pytest.raises(CommandError, match="not empty"):
        call_command("copy_to", url)


def test_a_copy_that_differs_is_told(filled, url, monkeypatch):
    copied = copying.copy

    def tampered():
        yield from copied()
        Message.objects.using(copying.TARGET).update(content="Olá")

    monkeypatch.setattr(copying, "copy", tampered)
    with pytest.raises(CommandError, match="chat_message"):
        call_command("copy_to", url)


def test_a_copy_that_fails_leaves_nothing(filled, url, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(copying, "reset_sequences", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call_command("copy_to", url)
    call_command("copy_to", url)


def test_nothing_is_taken_in_while_it_copies(filled, url, post, event, monkeypatch):
    copied, answers = copying.copy, []

    def meanwhile():
        yield from copied()
        answers.append(in_another_thread(lambda: post(event("NEW_CONVERSATION", id=M)).status_code))

    monkeypatch.setattr(copying, "copy", meanwhile)
    call_command("copy_to", url)
    assert answers == [503]


def in_another_thread(ask):
    answers = []

    def run():
        answers.append(ask())
        connections["default"].close()

    thread = Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]


@pytest.mark.postgresql
def test_a_clone_moves_from_its_file_to_postgresql(tmp_path):
    environ = os.environ | {"DEBUG": "true", "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}"}

    def manage(*arguments):
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, check=True
        ).stdout

    manage("migrate", "-v0")
    manage("simulate", "--bulk", "3", "--seed", "1")
    with beside("copy") as url:
        copied = manage("copy_to", url)
    assert "chat_conversation: 3 rows, equal" in copied
    assert "DIFFERENT" not in copied


@pytest.mark.parametrize("url", ["nonsense", "postgres://x@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_reached_is_named(url):
    with pytest.raises(CommandError):
        call_command("copy_to", url)
