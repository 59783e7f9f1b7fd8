"""The log of an operator: a JSON line for each failed request, and no text of customers."""

import json
import logging
import logging.config
import time
from io import StringIO

import pytest
from django.conf import settings
from django.db import DataError, OperationalError, connection

import realmate.wsgi  # noqa: F401 - sets logging up anew, and takes the handlers of tests away
from realmate.logs import OneASecond
from tests.conftest import C, M, make_event
from tests.servers import serving, through_wsgi

WORDS = "palavras de um cliente"


@pytest.fixture
def json_lines():
    """Yield a function for the logged lines, in the format outside DEBUG."""
    outside_debug = dict(settings.LOGGING["formatters"]["json"])
    formatter = logging.config.DictConfigurator({}).configure_formatter(outside_debug)
    handler = logging.StreamHandler(StringIO())
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in handler.stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def break_down(execute, sql, params, many, context):
    raise OperationalError("the disk is full")


def test_a_refusal_is_one_line_of_ids_and_codes(json_lines, post):
    answer = post({"type": "NEW_MESSAGE", "data": {"content": WORDS}}, path="/webhook/?q=palavras")
    (line,) = json_lines()
    assert line.pop("time")
    assert line == {
        "level": "WARNING",
        "logger": "chat.middleware",
        "message": "POST /webhook/ 400 invalid_event",
        "request_id": answer["X-Request-Id"],
        "method": "POST",
        "path": "/webhook/",
        "status": 400,
        "code": "invalid_event",
    }


def test_the_senders_own_ids_stand_beside_ours(json_lines, post):
    given = {"headers": {"X-Request-Id": "trace-1", "webhook-id": "evt\u20ac1"}}
    answer = post({"type": "NEW_MESSAGE"}, **given)
    with connection.execute_wrapper(break_down):
        post(make_event("NEW_CONVERSATION", id=C), **given)
    refusal, fault, after = json_lines()  # one line tells of the database, and one of the answer
    assert refusal["request_id"] == answer["X-Request-Id"] != "trace-1"
    assert {line["caller_request_id"] for line in (refusal, fault, after)} == {"trace-1"}
    assert {line["webhook_id"] for line in (refusal, fault, after)} == {"evt?1"}
    assert fault["traceback"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/ui/deliveries/?outcome=palavras", "bad_request"),
        ("GET", "/conversations?q=palavras&limit=x", "bad_request"),
        ("GET", "/nothing?q=palavras", "not_found"),
        ("GET", "/ui/a/b/c?q=palavras", "not_found"),
        ("DELETE", "/ui/search/?q=palavras", "method_not_allowed"),
        ("POST", "/ui/deliveries/1/apply?q=palavras", "forbidden"),
    ],
)
def test_no_line_has_what_was_searched_for(json_lines, db, method, path, code):
    through_wsgi(method, path, b"palavras")
    assert code in [line.get("code") for line in json_lines()]
    assert "palavras" not in json.dumps(json_lines())


def test_a_path_is_one_line_and_not_a_long_one(json_lines, db):
    through_wsgi("GET", "/a%0Ab%22" + "x" * 9000)
    (line,) = json_lines()
    assert line["path"].startswith("/a%0Ab%22xxx")
    assert len(line["path"]) == 200


def test_what_went_well_leaves_no_line(json_lines, post):
    assert post(make_event("NEW_CONVERSATION", id=C)).status_code == 201
    assert json_lines() == []


def test_a_fault_leaves_its_traceback_with_the_id_of_the_request(json_lines, post):
    with connection.execute_wrapper(break_down):
        answer = post(make_event("NEW_MESSAGE", id=M, content=WORDS))
    fault, refusal = json_lines()
    assert (refusal["status"], refusal["code"]) == (503, "try_again")
    assert fault["level"] == "ERROR"
    assert fault["request_id"] == refusal["request_id"] == answer["X-Request-Id"]
    assert fault["method"] == "POST"
    assert "in ingest" in fault["traceback"]
    assert fault["traceback"].endswith("django.db.utils.OperationalError: the disk is full")
    assert WORDS not in json.dumps(json_lines(), ensure_ascii=False)


@pytest.mark.parametrize("cause", ["raise from", "while handling", "alone"])
def test_an_exception_that_quotes_the_data_is_logged_without_its_words(json_lines, post, cause):
    def quote(execute, sql, params, many, context):
        if cause == "alone":
            raise DataError(f"too long: {WORDS}")
        try:
            int(WORDS)
        except ValueError as error:
            if cause == "while handling":
                raise DataError(f"too long: {WORDS}")  # noqa: B904 - as libraries do
            raise DataError(f"too long: {WORDS}") from error

    with connection.execute_wrapper(quote):
        assert post(make_event("NEW_MESSAGE", id=M, content=WORDS)).status_code == 503
    traceback = json_lines()[0]["traceback"]
    assert "django.db.utils.DataError" in traceback
    assert ("builtins.ValueError" in traceback) == (cause != "alone")
    assert WORDS not in json.dumps(json_lines(), ensure_ascii=False)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_row_that_postgresql_refuses_is_not_in_the_log(json_lines, post):
    """PostgreSQL's own message ends: DETAIL: Failing row contains (..., palavras de um cliente, ...)."""
    post(make_event("NEW_CONVERSATION", id=C))
    refuse = "ALTER TABLE chat_message ADD CONSTRAINT none_today CHECK (content = 'x') NOT VALID"
    with connection.cursor() as cursor:
        cursor.execute(refuse)
        try:
            answer = post(make_event("NEW_MESSAGE", id=M, content=WORDS))
        finally:
            cursor.execute("ALTER TABLE chat_message DROP CONSTRAINT none_today")
    assert answer.status_code == 503
    assert "psycopg.errors.CheckViolation" in json_lines()[0]["traceback"]
    assert WORDS not in json.dumps(json_lines(), ensure_ascii=False)


PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "realmate.settings",
    "DEBUG": "false",
    "SECRET_KEY": "long-random-secret-" * 4,
    "ALLOWED_HOSTS": "127.0.0.1",
    "WEBHOOK_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "SECURE_SSL_REDIRECT": "false",
}


def test_the_production_server_logs_in_json(tmp_path):
    with serving("granian", tmp_path, **PRODUCTION) as server:
        answer = server.ask("POST", "/webhook/?q=palavras", b"{}", Content_Type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_signature")
    said = (tmp_path / "granian.log").read_text()
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if "code" in line]
    assert (line["code"], line["request_id"]) == ("invalid_signature", answer["X-Request-Id"])
    assert line["time"].endswith("+00:00")
    assert "palavras" not in said


# A flood


def record(message="broken", *, code=None, error=None):
    made = logging.LogRecord(
        "chat", logging.ERROR, "", 0, message, (), error and (error, None, None)
    )
    if code:
        made.code = code
    return made


def test_a_flood_is_one_line_a_second_of_each_kind_with_a_count():
    now = [100.0]
    limit = OneASecond(lambda: now[0])
    assert limit.filter(record(code="try_again"))
    assert not any(limit.filter(record(code="try_again")) for _ in range(50))
    others = (record(code="invalid_event"), record(error=OperationalError), record("another"))
    assert all(map(limit.filter, others))
    assert not limit.filter(record("broken", error=OperationalError))
    now[0] += 1
    again = record(code="try_again")
    assert limit.filter(again)
    assert again.lines == 51
    now[0] += 1
    after = record(code="try_again")
    assert limit.filter(after)
    assert not hasattr(after, "lines")


def test_kinds_without_end_take_no_memory_without_end():
    limit = OneASecond()
    for number in range(3 * limit.MOST_KINDS):
        limit.filter(record(f"text {number}"))
    assert len(limit._kinds) <= limit.MOST_KINDS


def test_a_flood_of_refusals_leaves_few_lines(tmp_path):
    """Each process logs some a second."""
    with serving("granian", tmp_path, **PRODUCTION, GRANIAN_WORKERS="1") as server:
        began = time.monotonic()
        for _ in range(60):
            assert server.post(b"{}").status_code == 401
        seconds = time.monotonic() - began
    said = (tmp_path / "granian.log").read_text()
    assert 1 <= said.count("invalid_signature") // 2 <= seconds + 1  # in the code and the message


# Each request


def test_no_request_that_went_well_is_logged_unless_asked_for(json_lines, post, caplog, settings):
    post(make_event("NEW_CONVERSATION", id=C))
    assert json_lines() == []
    settings.ACCESS_LOG = True
    access = logging.getLogger("realmate.access")
    access.addHandler(caplog.handler)
    try:
        answer = post(make_event("NEW_CONVERSATION", id=C), path="/webhook/?q=palavras")
    finally:
        access.removeHandler(caplog.handler)
    [line] = caplog.records
    assert line.getMessage() == "POST /webhook/ 200"
    assert (line.request_id, line.address) == (answer["X-Request-Id"], "127.0.0.1")
    assert line.milliseconds > 0
