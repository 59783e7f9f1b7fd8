"""A lost connection is one failure at every door, for each error of the database about lost connections."""

from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError, connection
from django.db.models import QuerySet

from chat.database.group_commit import GroupCommit
from chat.logins import attempt
from chat.management.commands import replay as replaying
from chat.models import Token
from chat.upkeep import copying, steps
from realmate.logs import without_data
from tests.conftest import C, make_event

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_engines("errors of each engine"),
]


def raises(error):
    def lose(execute, *statement):
        raise error("connection already closed")

    return lose


def ends_the_session(execute, sql, params, many, context):
    """Let the server end the session before each statement, as in a restart."""
    pid = connection.connection.info.backend_pid
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    return execute(sql, params, many, context)


@pytest.fixture(
    params=[
        pytest.param(raises(OperationalError), id="OperationalError"),
        pytest.param(raises(InterfaceError), id="InterfaceError"),
        pytest.param(ends_the_session, id="ended", marks=pytest.mark.postgresql),
    ]
)
def lost(request):
    """Inside this block, each statement finds the connection lost."""

    @contextmanager
    def lost():
        with connection.execute_wrapper(request.param):
            yield
        connection.close()

    return lost


def test_an_event_gets_503_and_the_process_is_not_ready(lost, post, client):
    client.raise_request_exception = False
    with lost():
        answer = post(make_event("NEW_CONVERSATION", id=C))
    assert (answer.status_code, answer.json()["code"]) == (503, "try_again")
    assert answer["Retry-After"] == "5"
    codes = [error["code"] for error in client.get("/readyz").json()["errors"]]
    assert codes == ["write_failed"]
    assert post(make_event("NEW_CONVERSATION", id=C)).status_code == 201


def test_a_page_gets_503(lost, client, settings):
    settings.LOGIN_REQUIRED = False
    client.raise_request_exception = False
    with lost():
        assert client.get("/ui/").status_code == 503


def test_a_probe_says_that_the_database_does_not_answer(lost, client):
    with lost():
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert [error["code"] for error in answer.json()["errors"]] == ["database_unreachable"]


@pytest.mark.parametrize(
    "command",
    [
        ["prune"],
        ["replay"],
        ["createtoken", "grafana"],
        ["unlock", "ana"],
        ["simulate", "--bulk", "1", "--yes"],
    ],
    ids=lambda command: command[0],
)
def test_a_command_ends_with_one_line(lost, command):
    with (
        lost(),
        pytest.raises(
            CommandError, match=r"^the database says: .*; `manage\.py doctor` says more$"
        ),
    ):
        call_command(*command)


# Where a lost connection comes later, only the error matters

each_error = pytest.mark.parametrize("error", [OperationalError, InterfaceError])


@each_error
def test_a_step_of_upkeep_that_fails_stops_no_other(error, monkeypatch, capsys):
    def fail(now):
        yield 1
        raise error("connection already closed")

    monkeypatch.setitem(steps.STEPS, "deliveries", fail)
    with pytest.raises(CommandError, match="failed: deliveries"):
        call_command("upkeep")
    said = capsys.readouterr().out
    assert "1 deliveries deleted, then the database says: connection already closed" in said
    assert "sessions: 0 sessions deleted" in said


@each_error
def test_a_replay_says_how_far_it_came(error, monkeypatch, deliver):
    def fail(*_, **__):
        raise error("connection already closed")

    deliver(make_event("CLOSE_CONVERSATION", id=C))
    monkeypatch.setattr(replaying, "replay", fail)
    with pytest.raises(CommandError, match=r"stopped after 0, .*run this again"):
        call_command("replay", "--code", "conversation_not_found", "--yes")


@each_error
def test_a_copy_says_that_nothing_was_copied(error, monkeypatch, tmp_path):
    def fail(*_):
        raise error("connection already closed")

    monkeypatch.setattr(copying, "target", fail)
    with pytest.raises(CommandError, match=r"nothing was copied; a database says: .* closed$"):
        call_command("copy_to", f"sqlite:///{tmp_path}/copy.sqlite3")


@each_error
def test_a_token_s_use_that_cannot_be_noted_hinders_no_read(error, monkeypatch, client):
    def fail(*_, **__):
        raise error("connection already closed")

    call_command("createtoken", "grafana")
    token = Token.objects.get()
    monkeypatch.setattr(QuerySet, "update", fail)
    token.note_use(at=token.created_at)


@each_error
def test_an_attempt_that_cannot_be_taken_back_ends_in_its_own_error(error, monkeypatch):
    def fail(*_, **__):
        raise error("connection already closed")

    def lose():
        monkeypatch.setattr(QuerySet, "update", fail)
        raise RuntimeError("lost while it was judged")

    with pytest.raises(RuntimeError):
        attempt(lose, name="ana", address="192.0.2.1")


@each_error
def test_it_is_everybody_s_error_in_a_group(error):
    def together(waiting):
        waiting()
        raise error("connection already closed")

    with pytest.raises(error):
        GroupCommit(together, alone=lambda item: item)("a")


@each_error
def test_the_log_tells_its_message(error):
    assert without_data(error("connection already closed")).endswith(": connection already closed")
