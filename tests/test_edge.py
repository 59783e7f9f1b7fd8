"""The edge: one shape for every error, a request id on every answer, and never a 500."""

import json
import logging
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.views.debug import ExceptionReporter

from chat.models import Conversation, Delivery, Message
from tests.conftest import C, M, make_event
from tests.servers import assert_page, assert_problem, through_wsgi

pytestmark = pytest.mark.both_engines("counts the statements of each address")

OPENING = make_event("NEW_CONVERSATION", id=C)
MESSAGE = make_event("NEW_MESSAGE", id=M)
CLOSE = make_event("CLOSE_CONVERSATION", id=C)
READING = "GET, HEAD"
PLACES_OF_MACHINES = {
    "/webhook": "POST",
    "/conversations": READING,
    f"/conversations/{C}": READING,
    f"/conversations/{C.upper()}": READING,
    f"/conversations/{C}/messages": READING,
    f"/conversations/{C}/transcript.txt": READING,
    f"/conversations/{C}/transcript.csv": READING,
    f"/conversations/{C}/transcript.xlsx": READING,
    "/schema": READING,
    "/docs": READING,
    "/metrics": READING,
    "/healthz": READING,
    "/readyz": READING,
    "/export/messages.jsonl": READING,
    "/deliveries/1/replay": "POST",
    "/deliveries": READING,
}
PLACES_OF_PEOPLE = {
    "/ui": READING,
    f"/ui/{C}": READING,
    "/ui/fragments/poll": READING,
    "/ui/deliveries": READING,
    "/ui/deliveries/{delivery}": READING,
    "/ui/deliveries/{delivery}/apply": "POST",
    "/ui/login": "GET, HEAD, POST",
    "/ui/logout": "POST",
    "/ui/account": "GET, HEAD, POST",
}
PLACES = PLACES_OF_MACHINES | PLACES_OF_PEOPLE
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
both_forms = pytest.mark.parametrize("end", ["", "/"], ids=["bare", "slash"])


def body(event) -> bytes:
    return json.dumps(event).encode()


def is_for_people(path: str) -> bool:
    return path.startswith("/ui")


@pytest.fixture
def opened(deliver):
    deliver(OPENING)


# Errors


def test_an_error_is_a_problem_of_rfc_9457(db):
    answer = through_wsgi("GET", "/nothing")
    assert_problem(answer, 404, "not_found")
    assert answer.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "code": "not_found",
        "request_id": answer["X-Request-Id"],
    }


def test_a_malformed_event_has_a_pointer_for_every_error(post):
    answer = post({"type": "NEW_MESSAGE", "timestamp": 5, "data": {"id": "x", "content": " "}})
    assert_problem(answer, 400, "invalid_event")
    errors = answer.json()["errors"]
    assert {error["pointer"]: error["code"] for error in errors} == {
        "/timestamp": "invalid_timestamp",
        "/data/id": "invalid_id",
        "/data/content": "blank",
        "/data/direction": "missing",
        "/data/conversation_id": "missing",
    }
    assert all(error.keys() == {"pointer", "code", "detail"} for error in errors)


@pytest.mark.parametrize("debug", [False, True], ids=["debug off", "debug on"])
@pytest.mark.parametrize(
    ("method", "path", "environ", "status", "code"),
    [
        ("GET", "/nothing", {}, 404, "not_found"),
        ("GET", "/conversations/abc", {}, 404, "conversation_not_found"),
        ("GET", "/conversations?limit=x", {}, 400, "bad_request"),
        ("GET", "/conversations/abc/messages", {}, 404, "conversation_not_found"),
        ("GET", "/conversations/abc/transcript.txt", {}, 404, "conversation_not_found"),
        ("GET", f"/conversations/{C}/transcript.pdf", {}, 404, "not_found"),
        ("GET", "/webhook/", {}, 405, "method_not_allowed"),
        ("DELETE", f"/conversations/{C}", {}, 405, "method_not_allowed"),
        ("GET", "/stats", {"HTTP_HOST": "evil"}, 400, "bad_request"),
        ("POST", "/webhook/", {"CONTENT_TYPE": "text/plain"}, 415, "unsupported_media_type"),
        ("POST", "/webhook/", {"CONTENT_LENGTH": "9" * 9}, 413, "body_too_large"),
        ("POST", "/webhook/", {}, 400, "invalid_json"),
    ],
)
def test_every_error_has_the_one_shape(db, settings, debug, method, path, environ, status, code):
    settings.DEBUG = debug
    assert_problem(through_wsgi(method, path, **environ), status, code)


@pytest.mark.parametrize("debug", [False, True], ids=["debug off", "debug on"])
@pytest.mark.parametrize(
    ("method", "path", "environ", "status"),
    [
        ("GET", "/ui/abc", {}, 404),
        ("GET", "/ui/a/b/c", {}, 404),
        ("GET", "/ui/deliveries/999", {}, 404),
        ("POST", "/ui/", {}, 405),
        ("POST", "/ui/deliveries/999/apply", {}, 403),
        ("GET", "/ui/", {"HTTP_HOST": "evil"}, 400),
    ],
)
def test_people_get_errors_as_pages(db, settings, debug, method, path, environ, status):
    settings.DEBUG = debug
    assert_page(through_wsgi(method, path, **environ), status)


@pytest.mark.parametrize("path", ["/ui/", "/stats", "/metrics"])
def test_the_log_says_that_a_host_is_not_allowed(client, caplog, path):
    assert client.get(path, headers={"host": "elsewhere.example"}).status_code == 400
    assert caplog.records[-1].why == "host"
    assert "elsewhere" not in caplog.text


@pytest.mark.parametrize("path", ["/ui/a/b/c", "/nothing", "/webhook"])
def test_an_error_has_the_safety_headers_of_every_answer(db, path):
    headers = through_wsgi("GET", path).headers
    for name in ("X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options"):
        assert headers[name] == through_wsgi("GET", "/ui/").headers[name]


def test_an_error_page_loads_and_runs_nothing_of_others(db):
    policy = through_wsgi("GET", "/ui/").headers["Content-Security-Policy"]
    assert through_wsgi("GET", "/ui/a/b/c").headers["Content-Security-Policy"] == policy


# Methods


@both_forms
@pytest.mark.parametrize("path", PLACES)
def test_any_other_method_is_refused_and_told_which_are_taken(opened, path, end):
    for method in set(METHODS) - set(PLACES[path].split(", ")):
        answer = through_wsgi(method, path + end, b"{}")
        if is_for_people(path):
            assert_page(answer, 405)
        else:
            assert_problem(answer, 405, "method_not_allowed")
        assert answer["Allow"] == PLACES[path]


# Paths


@both_forms
@pytest.mark.parametrize("path", [path for path, allow in PLACES.items() if allow == READING])
def test_both_forms_of_a_path_are_the_same_place(opened, path, end):
    path = path.format(delivery=Delivery.objects.get().pk)
    answer = through_wsgi("GET", path + end)
    assert answer.status_code == 200
    assert UUID(answer["X-Request-Id"])


@both_forms
def test_both_forms_of_the_webhook_take_events(db, end):
    assert through_wsgi("POST", f"/webhook{end}", b"{").status_code == 400
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("debug", [False, True], ids=["debug off", "debug on"])
@both_forms
@pytest.mark.parametrize("path", [*PLACES_OF_MACHINES, "/nothing", "/conversations/a/b", "/ui"])
def test_nothing_redirects_a_machine(opened, settings, debug, path, end):
    settings.DEBUG = debug
    for method in METHODS:
        answer = through_wsgi(method, path + end, b"{}")
        assert not 300 <= answer.status_code < 400
        assert answer["Location"] is None


def test_the_root_leads_to_the_inbox(client):
    answer = client.get("/")
    assert (answer.status_code, answer["Location"]) == (302, "/ui/")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_head_has_what_get_has_but_the_body(opened, client, method):
    answer = getattr(client, method.lower())(f"/conversations/{C}")
    assert answer.status_code == 200
    assert answer["ETag"]
    assert int(answer["Content-Length"]) == len(client.get(f"/conversations/{C}").content)


# Request ids


def test_every_answer_has_a_request_id_of_its_own(opened):
    targets = [*PLACES, "/", "/nothing", "/ui/x/y", "/admin/", "/static/nothing"]
    answers = [through_wsgi("GET", target) for target in targets]
    ids = {UUID(answer["X-Request-Id"]) for answer in answers}
    assert len(ids) == len(targets)


def test_an_unchanged_conversation_still_has_a_request_id(opened, client):
    etag = client.get(f"/conversations/{C}")["ETag"]
    answer = client.get(f"/conversations/{C}", headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert UUID(answer["X-Request-Id"])


def test_the_request_id_is_never_the_sender_s(db):
    sent = "00000000-0000-0000-0000-000000000000"
    assert through_wsgi("GET", "/healthz", HTTP_X_REQUEST_ID=sent)["X-Request-Id"] != sent


# Languages

LANGUAGES = ["pt-BR", "en", "de", "xx", "*", ""]


@pytest.mark.parametrize("language", LANGUAGES)
def test_json_is_in_english_whatever_the_reader_speaks(post, language):
    refused = post({"type": "NEW_MESSAGE"}, headers={"Accept-Language": language}).json()
    expected = post({"type": "NEW_MESSAGE"}).json()
    assert refused | {"request_id": ""} == expected | {"request_id": ""}
    missing = through_wsgi("GET", "/nothing", HTTP_ACCEPT_LANGUAGE=language)
    assert missing.json()["detail"] == "There is nothing at this address."
    assert missing["Content-Language"] is None


def test_an_error_page_speaks_the_reader_s_language(db):
    english = through_wsgi("GET", "/ui/x/y", HTTP_ACCEPT_LANGUAGE="en")
    portuguese = through_wsgi("GET", "/ui/x/y", HTTP_ACCEPT_LANGUAGE="pt-BR")
    assert b'<html lang="en" ' in english.content
    assert b'<html lang="pt-BR" ' in portuguese.content


# The last resort


@pytest.fixture
def without(transactional_db):
    """Drop tables, for real, and restore them."""
    gone = []

    def without(*tables):
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
                gone.append(table)

    yield without
    with connection.cursor() as cursor:
        for table in gone:
            cursor.execute(f"ALTER TABLE {table}_gone RENAME TO {table}")


def assert_try_again(answer):
    assert_problem(answer, 503, "try_again")
    assert int(answer["Retry-After"]) > 0


def assert_try_again_page(answer):
    assert_page(answer, 503)
    assert int(answer["Retry-After"]) > 0
    assert b"Traceback" not in answer.content


@pytest.mark.parametrize("table", ["chat_conversation", "chat_message", "chat_delivery"])
def test_a_broken_database_is_a_503_that_leaves_nothing(without, deliver, debug_off_and_on, table):
    deliver(OPENING)
    before = list(Conversation.objects.values())
    without(table)
    assert_try_again(through_wsgi("POST", "/webhook/", body(MESSAGE)))
    for model in (Message, Delivery, Conversation):
        if model._meta.db_table != table:
            assert model.objects.count() == {Message: 0, Delivery: 1, Conversation: 1}[model]
    if table != "chat_conversation":
        assert list(Conversation.objects.values()) == before


@pytest.mark.parametrize("sent", [OPENING, MESSAGE, CLOSE, {}])
def test_no_effect_is_stored_without_its_row(without, sent):
    without("chat_delivery")
    assert_try_again(through_wsgi("POST", "/webhook/", body(sent)))
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


def test_what_was_refused_by_a_broken_database_is_taken_later(without, post):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE chat_delivery RENAME TO away")
    try:
        assert_try_again(post(OPENING))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO chat_delivery")
    assert post(OPENING).status_code == 201


def test_readers_get_a_503_of_their_kind(without, debug_off_and_on):
    without("chat_conversation")
    for path in PLACES_OF_MACHINES:
        if path.startswith("/conversations"):
            assert_try_again(through_wsgi("GET", path))
    for path in ("/ui/", f"/ui/{C}/", "/ui/fragments/poll/"):
        assert_try_again_page(through_wsgi("GET", path))


def test_the_log_has_the_traceback_and_the_answer_does_not(without, caplog):
    without("chat_conversation")
    with caplog.at_level(logging.ERROR):
        answer = through_wsgi("GET", f"/conversations/{C}")
    assert "chat_conversation" in caplog.text
    assert "Traceback" in caplog.text
    assert b"chat_conversation" not in answer.content


@pytest.mark.sqlite
def test_a_database_that_cannot_be_opened_is_a_503(transactional_db, tmp_path, debug_off_and_on):
    connection.close()
    used, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], str(tmp_path)
    try:
        assert_try_again(through_wsgi("POST", "/webhook/", body(OPENING)))
        assert_try_again(through_wsgi("GET", "/readyz"))
        assert_try_again_page(through_wsgi("GET", "/ui/"))
        assert through_wsgi("GET", "/healthz").status_code == 200
    finally:
        connection.close()
        connection.settings_dict["NAME"] = used
    assert not Conversation.objects.exists()


@pytest.mark.sqlite
def test_a_database_that_takes_no_writes_is_a_503(transactional_db, post, debug_off_and_on):
    connection.ensure_connection()
    connection.connection.execute("PRAGMA query_only = ON")
    try:
        assert_try_again(post(OPENING))
    finally:
        connection.close()  # the next session has no such mark
    assert not Delivery.objects.exists()


@pytest.mark.postgresql
def test_a_server_that_takes_no_writes_is_a_503(transactional_db, post, debug_off_and_on):
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert_try_again(post(OPENING))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
    assert not Delivery.objects.exists()


@pytest.mark.postgresql
@pytest.mark.parametrize("path", ["/ui/", "/changes", f"/ui/{C}/", "/metrics"])
def test_a_server_that_takes_no_writes_is_still_read(transactional_db, post, path):
    """The newest changes have no place yet. Giving them a place is a write, and may fail alone."""
    assert post(OPENING).status_code == 201
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert through_wsgi("GET", path).status_code == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")


@pytest.mark.parametrize("path", ["/ui/", "/ui/x/y/z"])
def test_pages_whose_files_are_missing_are_never_a_500(db, settings, tmp_path, path):
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = django_settings.STORAGES | {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }
    answer = through_wsgi("GET", path)
    assert answer.status_code in (404, 503)
    assert UUID(answer["X-Request-Id"])


# Probes


def test_the_process_is_alive_without_a_database():
    """Without the db fixture, a query is an error."""
    answer = through_wsgi("GET", "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_migrated_database_is_ready(db):
    answer = through_wsgi("GET", "/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


def test_a_missing_migration_is_not_ready(db):
    MigrationRecorder.Migration.objects.filter(app="chat").last().delete()
    assert_try_again(through_wsgi("GET", "/readyz"))


def test_an_empty_database_is_not_ready(without):
    without("django_migrations")
    assert_try_again(through_wsgi("GET", "/readyz"))


# Queries

UNKNOWN_ALSO_LOCKS_ITS_ID = 2 if connection.vendor == "postgresql" else 0


@pytest.fixture
def queries(transactional_db, generation, django_assert_num_queries):
    """Count queries, including the BEGIN and the COMMIT of a transaction."""
    return django_assert_num_queries


def test_queries_of_an_opening(queries, post):
    with queries(8 + UNKNOWN_ALSO_LOCKS_ITS_ID):
        assert post(OPENING).status_code == 201


def test_queries_of_a_message(queries, post):
    post(OPENING)
    with queries(10):
        assert post(MESSAGE).status_code == 201


def test_queries_of_a_late_message(queries, post):
    post(OPENING)
    post(make_event("NEW_MESSAGE", id=C, at="2025-02-21T11:00:00"))
    with queries(12):
        assert post(MESSAGE).status_code == 201


def test_queries_of_a_late_message_for_which_nobody_waits(queries, post):
    post(OPENING)
    post(make_event("NEW_MESSAGE", id=C, at="2025-02-21T11:00:00", direction="SENT"))
    with queries(10):
        assert post(MESSAGE).status_code == 201


def test_queries_of_a_closing(queries, post):
    post(OPENING)
    with queries(7):
        assert post(CLOSE).status_code == 200


def test_queries_of_duplicates(queries, post):
    for event in (OPENING, MESSAGE, CLOSE):
        post(event)
    for event, count in ((OPENING, 5), (MESSAGE, 6), (CLOSE, 5)):
        with queries(count):
            assert post(event).json()["outcome"] == "duplicate"


def test_queries_of_what_came_early(queries, post):
    with queries(6 + UNKNOWN_ALSO_LOCKS_ITS_ID):
        assert post(MESSAGE).status_code == 404


def test_queries_of_what_is_malformed(queries, post):
    with queries(4):
        assert post({}).status_code == 400


def test_queries_of_what_is_not_read(queries, post):
    with queries(0):
        assert post(OPENING, content_type="text/plain").status_code == 415


def test_queries_of_a_thread_do_not_grow_with_it(queries, client, deliver):
    deliver(OPENING)
    for number in range(60):
        deliver(make_event("NEW_MESSAGE", id=f"{number:08}{M[8:]}"))
    with queries(3):
        assert len(client.get(f"/conversations/{C}").json()["messages"]) == 60
    with queries(3):
        client.head(f"/conversations/{C}")
    client.get("/ui/")  # gives the changes their places (PostgreSQL)
    with queries(8):  # the row is read again, because somebody may have written meanwhile
        client.get(f"/ui/{C}/")


def test_queries_of_an_unchanged_conversation(queries, client, deliver):
    deliver(OPENING)
    etag = client.get(f"/conversations/{C}")["ETag"]
    with queries(2):
        answer = client.get(f"/conversations/{C}", headers={"If-None-Match": etag})
    assert answer.status_code == 304


def test_queries_of_an_id_that_is_none(queries, client):
    with queries(0):
        assert client.get("/conversations/abc").status_code == 404


def test_queries_of_the_inbox_do_not_grow_with_it(queries, client, deliver):
    for number in range(60):
        deliver(make_event("NEW_CONVERSATION", id=f"{number:08}{C[8:]}"))
    client.get("/ui/")  # gives the changes their places (PostgreSQL)
    with queries(4):
        assert client.get("/ui/").content.count(b'id="row-') == 50


def test_queries_of_an_idle_poll(queries, client, deliver, held):
    deliver(OPENING)
    for address in ("/ui/", f"/ui/{C}/", f"/ui/{C}/?q=x"):
        asked = held(address)
        with queries(1):
            assert client.get("/ui/fragments/poll/", asked).status_code == 204


def test_queries_of_an_idle_poll_that_asks_for_the_counts(queries, client, deliver, held):
    deliver(OPENING)
    asked = held(f"/ui/{C}/") | {"counts": "1-1-0-0-0"}
    with queries(2):
        assert client.get("/ui/fragments/poll/", asked).status_code == 204


def test_queries_of_a_poll_that_brings_news(queries, client, deliver, held):
    deliver(OPENING)
    asked = held(f"/ui/{C}/")
    deliver(MESSAGE)
    with queries(5):
        answer = client.get("/ui/fragments/poll/", asked)
    assert "Olá, tudo bem?" in answer.content.decode()


class ShortReporter(ExceptionReporter):
    """Django's error page without stack frames, because their values take seconds to write."""

    def get_traceback_frames(self):
        return []


@pytest.mark.sqlite  # the database is not asked
@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/ui/", "/conversations"])
def test_a_query_of_too_many_parameters_is_a_bad_request(settings, db, path, debug):
    settings.DEBUG = debug
    settings.DEFAULT_EXCEPTION_REPORTER = f"{__name__}.{ShortReporter.__name__}"
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5  # the debug page of 1,000 takes 20 seconds
    query = "&".join(f"a{n}=" for n in range(6))
    client = Client(raise_request_exception=False)
    assert client.get(f"{path}?{query}").status_code == 400
