"""Programs need a valid token for reading. A login will do as well."""

import json
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from time import monotonic

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from chat.models import Token
from chat.models.tokens import expiry_of
from tests.conftest import NOW, C, M, make_event
from tests.servers import assert_problem

pytestmark = pytest.mark.both_engines("looked up by cached statements")

READS = [
    *("/conversations", f"/conversations/{C}", f"/conversations/{C}/messages"),
    *(f"/conversations/{C}/transcript.txt", f"/conversations/{C}/transcript.csv"),
    f"/conversations/{C}/transcript.xlsx",
    *("/deliveries", "/stats", "/schema", "/metrics"),
]


@pytest.fixture(autouse=True)
def closed(settings, deliver):
    settings.LOGIN_REQUIRED = True
    deliver(make_event("NEW_CONVERSATION", id=C))


@pytest.fixture
def token():
    return Token.objects.issue(name="prometheus", at=NOW)


def read(path="/conversations", *, authorization=None, **headers):
    if authorization:
        headers["Authorization"] = authorization
    return Client(headers=headers).get(path)


def bearer(token, path="/conversations"):
    return read(path, authorization=f"Bearer {token}")


# Reading


@pytest.mark.parametrize("address", ["203.0.113.5", "2001:db8::1", "", "unknown"])
@pytest.mark.parametrize("text", [None, "unknown"])
def test_a_token_in_plain_text_is_refused_where_https_is_meant(settings, token, address, text):
    settings.SECURE_SSL_REDIRECT = True
    asked = {"headers": {"authorization": f"Bearer {text or token}"}, "REMOTE_ADDR": address}
    for path in ("/conversations", "/metrics", "/changes"):
        assert_problem(Client().get(path, **asked), 403, "https_required")
    assert Token.objects.get().last_used_at is None
    if text is None:
        assert Client().get("/conversations", secure=True, **asked).status_code == 200
        settings.SECURE_SSL_REDIRECT = False
        assert Client().get("/conversations", **asked).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_a_token_from_this_machine_needs_no_https(settings, token, address):
    settings.SECURE_SSL_REDIRECT = True
    asked = {"headers": {"authorization": f"Bearer {token}"}, "REMOTE_ADDR": address}
    assert Client().get("/metrics", **asked).status_code == 200


@pytest.mark.parametrize("path", [*READS, *(f"{path}/" for path in READS)])
def test_json_is_for_those_who_have_a_token_or_a_login(path, token, admin_client):
    assert_problem(read(path), 401, "not_authenticated")
    assert bearer(token, path).status_code == 200
    assert admin_client.get(path).status_code == 200


OF_A_SCOPE = [
    ("read", {path for path in READS if path not in ("/deliveries", "/metrics")} | {"/changes"}),
    ("deliveries", {"/deliveries"}),
    ("metrics", {"/metrics"}),
    ("replay", set()),
]


@pytest.mark.parametrize(("scope", "opened"), OF_A_SCOPE)
def test_a_token_opens_what_its_scope_says(scope, opened):
    token = Token.objects.issue(name=scope, at=NOW, scopes=[scope])
    for path in (*READS, "/changes"):
        answer = bearer(token, path)
        assert (answer.status_code == 200) == (path in opened), path
        if path not in opened:
            assert_problem(answer, 403, "insufficient_scope")


def test_a_refused_token_is_told_the_scope(token):
    kept = Token.objects.get()
    assert kept.scopes == "read deliveries metrics"  # every older token has these scopes too
    Token.objects.update(scopes="metrics")
    challenge = bearer(token, "/deliveries")["WWW-Authenticate"]
    assert challenge == 'Bearer error="insufficient_scope", scope="deliveries"'


def test_a_token_without_the_scope_is_not_told_what_exists(token):
    Token.objects.update(scopes="metrics")
    assert_problem(bearer(token, f"/conversations/{M}"), 403, "insufficient_scope")


@pytest.mark.parametrize(("left", "status"), [(timedelta(seconds=9), 200), (timedelta(), 401)])
def test_a_token_holds_until_it_expires(left, status):
    now = timezone.now()
    token = Token.objects.issue(name="short", at=now, expires_at=now + left)
    answer = bearer(token)
    assert answer.status_code == status
    if status == 401:
        assert_problem(answer, 401, "not_authenticated")
        assert Token.objects.get().last_used_at is None


def test_an_answer_to_nobody_says_how_to_ask(token):
    assert read()["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "authorization",
    [
        *("Bearer", "Bearer ", "Bearer x", "Bearer {0}x", "Bearer {0},{0}", "Basic {0}", "{0}"),
        *("Token {0}", "Bearer Bearer {0}", "Bearer \0", "Bearer é", "Bearer " + "x" * 9_000),
    ],
)
def test_what_is_no_token_of_ours_is_nothing(token, authorization):
    assert_problem(read(authorization=authorization.format(token)), 401, "not_authenticated")


def test_the_scheme_may_be_spelt_in_either_case(token):
    assert read(authorization=f"bearer  {token}").status_code == 200


def test_an_unknown_path_is_still_not_found():
    assert_problem(read("/no/such/path"), 404, "not_found")


def test_what_has_not_changed_is_told_to_those_only_who_may_read_it(token):
    etag = bearer(token, f"/conversations/{C}")["ETag"]
    assert read(f"/conversations/{C}", if_none_match=etag).status_code == 401


@pytest.mark.parametrize("page", ["/ui/", "/admin/", "/ui/fragments/poll/"])
def test_a_token_opens_no_page(token, page):
    assert bearer(token, page).status_code in {302, 401}


@pytest.mark.parametrize("authorization", ["Bearer x", "Basic eDp5", "Bearer {0}"])
def test_the_webhook_looks_at_no_token(post, token, authorization, django_assert_max_num_queries):
    sent = make_event("NEW_CONVERSATION", id=C)
    with django_assert_max_num_queries(20) as queries:
        answer = post(sent, headers={"Authorization": authorization.format(token)})
    assert answer.json()["outcome"] == "duplicate"
    assert not [query for query in queries if "token" in query["sql"]]


def test_in_development_nobody_is_asked(settings):
    settings.LOGIN_REQUIRED = False
    assert read().status_code == 200


# Stored columns


def test_only_a_hash_is_kept(token):
    kept = Token.objects.values().get()
    assert token.startswith("realmate_")
    assert token not in str(kept)
    assert len(token) >= 9 + 43
    assert kept["name"] == "prometheus"


def test_its_use_is_noted_once_a_minute(token):
    kept = Token.objects.get()
    noted = []
    for seconds in (0, 59, 60, 61):
        kept.refresh_from_db()
        kept.note_use(at=NOW + timedelta(seconds=seconds))
        noted.append((Token.objects.get().last_used_at - NOW).seconds)
    assert noted == [0, 0, 60, 60]


def test_what_it_costs(token, django_assert_num_queries):
    bearer(token)
    with django_assert_num_queries(1):
        assert bearer(token, "/schema").status_code == 200


def test_a_database_that_takes_no_writes_can_still_be_read(token, monkeypatch):
    def fail(*args, **kwargs):
        raise DatabaseError("read-only")

    monkeypatch.setattr(QuerySet, "update", fail)
    assert bearer(token).status_code == 200
    assert Token.objects.get().last_used_at is None


@contextmanager
def another_writer():
    """Hold the locks of a writer, from a connection of its own, until the end of the block."""
    began, ends = Event(), Event()

    def write():
        with transaction.atomic():
            Token.objects.update(name="held")
            began.set()
            ends.wait(30)
            transaction.set_rollback(True)
        connections.close_all()

    thread = Thread(target=write)
    thread.start()
    assert began.wait(10)
    try:
        yield
    finally:
        ends.set()
        thread.join()


@contextmanager
def another_program():
    """Hold SQLite's own lock without our queue, as sqlite3 and older versions do."""
    path = connection.settings_dict["NAME"]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def seconds_of_a_read(token):
    began = monotonic()
    assert bearer(token).status_code == 200
    return monotonic() - began


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "writer", [another_writer, pytest.param(another_program, marks=pytest.mark.sqlite)]
)
def test_a_read_waits_for_no_writer(token, writer, generation):
    """A wait would last five seconds, until the limit of the database."""
    alone = seconds_of_a_read(token)
    Token.objects.update(last_used_at=None)
    with writer():
        took = seconds_of_a_read(token)
        assert Token.objects.get().last_used_at is None
    assert took < alone + 4
    # The connection is usable, and later statements wait again.
    assert bearer(token).status_code == 200
    assert Token.objects.get().last_used_at
    if connection.vendor == "sqlite":
        assert connection.cursor().execute("PRAGMA busy_timeout").fetchone() == (5000,)


# Giving and taking


def test_a_token_is_printed_once_and_then_works(capsys):
    call_command("createtoken", "grafana")
    assert bearer(capsys.readouterr().out.strip()).status_code == 200


WRITTEN = {
    "1d": NOW + timedelta(days=1),
    "90d": NOW + timedelta(days=90),
    "2025-02-21": datetime(2025, 2, 22, 3, tzinfo=UTC),  # midnight in São Paulo
    "2030-12-31": datetime(2031, 1, 1, 3, tzinfo=UTC),
}


@pytest.mark.parametrize(("text", "at"), WRITTEN.items())
def test_an_expiry_is_a_number_of_days_or_the_last_day(text, at):
    assert expiry_of(text, at=NOW) == at


@pytest.mark.parametrize(
    "text",
    [
        *("", "0d", "-1d", "d", "90", "90D", "1.5d", "99999d", "9" * 30 + "d", "٣d", "soon"),
        *("2020-01-01", "2025-02-20", "2030-02-30", "9999-12-31", "2030-12-31T00:00"),
    ],
)
def test_any_other_expiry_is_refused(text, monkeypatch):
    with pytest.raises(CommandError, match="--expires"):
        call_command("createtoken", "grafana", f"--expires={text}")
    assert not Token.objects.exists()


def test_the_command_gives_scopes_and_an_expiry(capsys):
    call_command("createtoken", "prometheus", "--scope=metrics", "--expires=90d")
    call_command("createtoken", "sync", "--scope", "replay", "--scope", "read")
    assert list(Token.objects.order_by("name").values_list("scopes", flat=True)) == [
        "metrics",
        "read replay",
    ]
    assert bearer(capsys.readouterr().out.split()[0], "/metrics").status_code == 200
    with pytest.raises(CommandError):
        call_command("createtoken", "other", "--scope=all")


def test_the_list_tells_scopes_expiry_and_last_use(capsys):
    Token.objects.issue(name="prometheus", at=NOW, scopes=["metrics"])
    Token.objects.issue(name="sync", at=NOW, expires_at=NOW + timedelta(days=1))
    Token.objects.issue(name="gone", at=NOW)
    call_command("revoketoken", "gone")
    Token.objects.get(name="sync").note_use(at=NOW)
    capsys.readouterr()
    call_command("listtokens")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["NAME", "SCOPES", "EXPIRES", "LAST", "USE"],
        ["prometheus", "metrics", "never", "never"],
        ["sync", "read", "deliveries", "metrics", "2025-02-22", "12:00", "2025-02-21", "12:00"],
    ]


def test_the_list_for_scripts_is_json(capsys):
    Token.objects.issue(name="sync", at=NOW, scopes=["read", "metrics"], expires_at=NOW)
    Token.objects.issue(name="prometheus", at=NOW, scopes=["metrics"])
    call_command("listtokens", "--json")
    names = ("name", "scopes", "expires_at", "last_used_at")
    assert [
        tuple(row[name] for name in names) for row in json.loads(capsys.readouterr().out)["tokens"]
    ] == [
        ("prometheus", ["metrics"], None, None),
        ("sync", ["read", "metrics"], "2025-02-21T12:00:00.000000Z", None),
    ]


def test_the_name_of_an_expired_token_is_free(capsys):
    Token.objects.issue(name="prometheus", at=NOW, expires_at=NOW + timedelta(days=1))
    call_command("createtoken", "prometheus")
    assert bearer(capsys.readouterr().out.strip()).status_code == 200
    assert Token.objects.holding().count() == 1


@pytest.mark.parametrize("name", ["prometheus", "", "x" * 101])
def test_a_name_is_for_one_that_holds(token, name):
    with pytest.raises(CommandError):
        call_command("createtoken", name)
    assert Token.objects.count() == 1


def test_a_name_in_use_leads_to_revoketoken(token):
    with pytest.raises(CommandError, match=r"has this name already.*revoketoken"):
        call_command("createtoken", "prometheus")


def test_what_is_wrong_with_a_name_is_said_in_english(db):
    with pytest.raises(CommandError, match="This field cannot be blank"):
        call_command("createtoken", "")


def test_a_token_that_is_revoked_is_nothing_and_its_name_free(token, capsys):
    call_command("revoketoken", "prometheus")
    assert bearer(token).status_code == 401
    call_command("createtoken", "prometheus")
    assert bearer(capsys.readouterr().out.split()[-1]).status_code == 200


def test_there_is_nothing_to_revoke_under_another_name(token):
    with pytest.raises(CommandError):
        call_command("revoketoken", "prometheuss")
    assert bearer(token).status_code == 200


def revoke(client):
    form = {"action": "revoke", "_selected_action": [Token.objects.get().pk]}
    return client.post("/admin/chat/token/", form, follow=True)


def test_staff_revoke_in_the_admin(token, admin_client):
    assert "Revoked: 1." in revoke(admin_client).content.decode()
    assert bearer(token).status_code == 401


def test_staff_see_no_hash(token, admin_client):
    kept = Token.objects.get()
    page = admin_client.get(f"/admin/chat/token/{kept.pk}/change/").content.decode()
    assert "prometheus" in page
    assert kept.digest not in page


@pytest.mark.parametrize("allowed", [["view_token"], []])
@pytest.mark.parametrize("is_staff", [True, False])
def test_nobody_else_revokes(token, client, django_user_model, is_staff, allowed):
    ana = django_user_model.objects.create_user("ana", is_staff=is_staff)
    ana.user_permissions.set(Permission.objects.filter(codename__in=allowed))
    client.force_login(ana)
    revoke(client)
    assert bearer(token).status_code == 200


# The cost of a login


@pytest.mark.parametrize(("path", "queries"), [("/schema", 2), (f"/conversations/{C}", 5)])
def test_a_read_by_login_costs_its_session_and_its_user(
    admin_client, path, queries, generation, django_assert_num_queries
):
    with django_assert_num_queries(queries):
        assert admin_client.get(path).status_code == 200
