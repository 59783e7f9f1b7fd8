"""Hostile requests over real sockets: the servers' answers, before the application sees a request."""

import json
import time
from contextlib import closing
from http.client import HTTPConnection

import pytest

from tests.conftest import C, M, make_event
from tests.servers import answer_of, assert_page, assert_problem, serving
from tests.test_signatures import SECRET
from tests.test_the_card import SAMPLES

pytestmark = pytest.mark.both_engines("the door, through real servers and their connections")

MIB = 1024 * 1024
SAMPLE_C = "6a41b347-8d80-4ce9-84ba-7af66f369f6a"
servers = ["granian", "runserver"]


@pytest.fixture(scope="module", params=servers)
def server(request, tmp_path_factory):
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def granian(server, request):
    return request.node.callspec.params["server"] == "granian"


def opening(id: str) -> bytes:
    return json.dumps(make_event("NEW_CONVERSATION", id=id)).encode()


def numbered(number: int) -> str:
    """Return another id for each test, because the module shares one database."""
    return f"{number:08}{C[8:]}"


def head(*lines: str, host: str = "localhost") -> bytes:
    """Return the head of a POST to the webhook, as raw bytes."""
    lines = ("POST /webhook/ HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *lines)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exists(server, id: str) -> bool:
    return server.ask("GET", f"/conversations/{id}").status_code == 200


def test_the_samples_in_and_the_conversation_out(server):
    answers = [server.post(sample.encode()) for sample in SAMPLES]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 200]
    conversation = server.ask("GET", f"/conversations/{SAMPLE_C}")
    assert conversation["Content-Type"] == "application/json"
    assert conversation.json()["state"] == "CLOSED"
    contents = [message["content"] for message in conversation.json()["messages"]]
    assert contents == ["Olá, tudo bem?", "Tudo ótimo e você?"]


def test_the_webhook_without_its_slash_is_the_same_place(server):
    answer = server.ask("POST", "/webhook", opening(numbered(1)), Content_Type="application/json")
    assert answer.status_code == 201
    assert exists(server, numbered(1))


# Chunks


def test_a_chunked_body_is_read_or_refused(server, granian):
    sent = opening(numbered(2))
    answer = server.post(iter([sent[:20], sent[20:]]))
    if granian:
        assert (answer.status_code, answer.json()["id"]) == (201, numbered(2))
    else:
        assert_problem(answer, 411, "length_required")
    assert exists(server, numbered(2)) == granian


def test_a_chunked_body_over_four_mib_is_refused(server, granian):
    answer = server.post(b" " * (MIB // 2) for _ in range(9))
    if granian:
        assert_problem(answer, 413, "body_too_large")
    else:
        assert_problem(answer, 411, "length_required")


def test_a_chunked_body_of_four_mib_is_read(server, granian):
    if granian:
        sent = opening(numbered(3))
        padded = [sent, b" " * (4 * MIB - len(sent))]
        assert server.post(iter(padded)).status_code == 201


def test_an_empty_chunked_body_is_no_json(server, granian):
    if granian:
        assert_problem(server.post(iter([])), 400, "invalid_json")


# Lengths


def test_four_mib_are_taken_and_one_byte_more_is_not(server):
    sent = opening(numbered(4))
    padded = sent + b" " * (4 * MIB - len(sent))
    assert server.post(padded).status_code == 201
    assert_problem(server.post(padded + b" "), 413, "body_too_large")


def test_a_large_body_is_refused_before_it_is_sent(server):
    answer = server.send(head(f"Content-Length: {5 * MIB}", "Connection: close"), b" " * 1024)
    assert_problem(answer, 413, "body_too_large")


def test_no_body_is_no_json(server):
    answer = server.send(head("Content-Length: 0", "Connection: close"))
    assert_problem(answer, 400, "invalid_json")


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: {length}", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: {length}"),
        ("Content-Length: abc",),
        ("Content-Length: -1",),
        ("Content-Length: " + "9" * 400,),
        ("Content-Length: {length}, 5",),
        ("Content-Length: +{length}",),
    ],
    ids=lambda lines: " ".join(lines)[:40],
)
def test_a_length_that_nobody_can_trust_is_refused(server, granian, lines):
    """Django's development server takes the first of two lengths, and accepts a plus sign."""
    sent = opening(numbered(5))
    lines = [line.format(length=len(sent)) for line in lines]
    answer = answer_or_none(server, head(*lines, "Connection: close"), sent)
    assert answer is None or answer.status_code < 500
    assert not (granian and exists(server, numbered(5)))
    assert server.ask("GET", "/healthz").status_code == 200


def answer_or_none(server, *parts):
    """Send these bytes. Return None if the server closes the connection on invalid HTTP."""
    try:
        return server.send(*parts)
    except OSError:
        return None


def test_a_length_and_chunks_together_are_no_way_past_the_end(server):
    sent = opening(numbered(6))
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = head(f"Content-Length: {len(smuggled)}", "Transfer-Encoding: chunked")
    answer = answer_or_none(server, both, smuggled + sent)
    assert answer is None or 400 <= answer.status_code < 500
    assert not exists(server, numbered(6))


# Senders hanging up


def test_a_sender_that_hangs_up_leaves_the_server_well(server):
    sent = opening(numbered(7))
    for part in (b"POST", head("Content-Length: 100")[:-2], head(f"Content-Length: {len(sent)}")):
        for more in (b"", sent[:20]):
            with server.connected() as connection:
                connection.sendall(part + more)
    assert server.ask("GET", "/healthz").status_code == 200
    assert server.post(opening(numbered(8))).status_code == 201
    assert not exists(server, numbered(7))


def test_a_slow_sender_is_waited_for(server):
    sent = opening(numbered(9))
    with server.connected() as connection:
        connection.sendall(head(f"Content-Length: {len(sent)}", "Connection: close"))
        for part in (sent[:30], sent[30:]):
            time.sleep(0.1)
            connection.sendall(part)
        assert connection.recv(100).startswith(b"HTTP/1.1 201")


def test_a_sender_may_ask_before_it_sends(server):
    sent = opening(numbered(10))
    lines = f"Content-Length: {len(sent)}", "Expect: 100-continue", "Connection: close"
    with server.connected() as connection:
        connection.sendall(head(*lines))
        time.sleep(0.1)
        connection.sendall(sent)
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"HTTP/1.1 201" in received


def test_a_connection_serves_many_events(server):
    """A refusal leaves the connection at the start of the next request, once the body is read."""
    events = [(b"{", 400), (opening(numbered(20)), 201), (b"[]", 400), (opening(numbered(20)), 200)]
    with server.connected() as connection:
        for sent, status in events:
            answer = server.send_on(connection, head(f"Content-Length: {len(sent)}"), sent)
            assert answer.status_code == status


UNREAD = [
    ("/webhook/", "text/plain", 415),
    ("/nowhere", "application/json", 404),
    ("/conversations", "application/json", 405),
    ("/ui/login/", "application/json", 413),
]


@pytest.mark.parametrize(("path", "type", "status"), UNREAD)
def test_a_refusal_of_an_unread_body_leaves_the_connection_usable(server, path, type, status):
    assert statuses_on_one_connection(server, path, type) == {status}


def test_a_signature_refused_by_its_headers_leaves_the_connection_usable(tmp_path):
    signed = {"WEBHOOK_SECRETS": SECRET, "DJANGO_SETTINGS_MODULE": "realmate.settings"}
    with serving("granian", tmp_path, **signed) as server:
        assert statuses_on_one_connection(server, "/webhook/", "application/json") == {401}


def statuses_on_one_connection(server, path, type):
    """Return the answers to a client that reads after sending the body, and connects anew if told to."""
    statuses = set()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        for _ in range(5):
            connection.request("POST", path, b"x" * (3 * MIB), {"Content-Type": type})
            statuses.add(answer_of(connection.getresponse()).status_code)
    return statuses


# Headers


@pytest.mark.parametrize(
    "type",
    [
        "application/json; a*=nosuch''%41",
        "application/json; charset=rot13",
        "application/json; charset*=idna''%ff",
        "application/json; charset*=x; charset*0*=y",
        "application/json; a*" + "9" * 5_000 + "*=x",
        "application/json; x=" + "y" * 20_000,
        "application/json; é=ÿ",
        'application/json; a="',
        "text/plain; a*=nosuch''%41",
        "multipart/form-data; boundary=" + "x" * 20_000,
        ";;;",
    ],
    ids=lambda value: value[:40],
)
def test_no_content_type_breaks_the_server(server, type):
    sent = opening(numbered(11))
    answer = server.post(sent, Content_Type=type.encode("latin-1"))
    assert answer["X-Request-Id"]
    if type.startswith("application/json") and type.isascii():
        assert answer.status_code in (200, 201)
        assert exists(server, numbered(11))
    else:  # granian passes a header on as empty if the header is not UTF-8
        assert answer.status_code in (200, 201, 415)


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/xml"},
        {"Authorization": "Basic ÿÿ"},
        {"Cookie": 'sessionid="\\000\\000\\000\\000\\000\\000\\000\\000"; ÿ=ÿ'},
        {"Accept_Language": "x" * 5_000},
        {"X_HTTP_Method_Override": "DELETE"},
        {"X_Request_Id": "00000000-0000-0000-0000-000000000000"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_header_changes_what_an_event_gets(server, headers):
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = server.post(b"{", **raw)
    assert_problem(answer, 400, "invalid_json")
    assert answer["X-Request-Id"] != headers.get("X_Request_Id")


def test_a_bad_host_is_a_problem(server):
    sent = opening(numbered(12))
    lines = f"Content-Length: {len(sent)}", "Connection: close"
    assert_problem(server.send(head(*lines, host="evil.example"), sent), 400, "bad_request")
    assert not exists(server, numbered(12))


def test_a_content_encoding_is_refused(server):
    answer = server.post(opening(numbered(13)), Content_Encoding="gzip")
    assert_problem(answer, 415, "unsupported_media_type")


# Paths and methods, with DEBUG on


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/webhook//", "/webhook/x", "/%00", "/%ff", "/%2e%2e/x", "/a;b"),
        *("/static/nothing.css", "/static/../manage.py", "/static/%00", "/" + "x" * 5_000),
    ],
    ids=lambda path: path[:40],
)
def test_an_unknown_path_is_a_problem(server, path):
    assert_problem(server.ask("GET", path), 404, "not_found")
    assert_problem(server.ask("POST", path, b"{}"), 404, "not_found")


def test_an_unknown_page_is_a_page(server):
    answer = server.ask("GET", "/ui/x/y/z")
    assert_page(answer, 404)
    assert b"DEBUG" not in answer.content


def test_head_has_no_body(server):
    server.post(opening(numbered(14)))
    for path, status in ((f"/conversations/{numbered(14)}", 200), ("/conversations/x", 404)):
        raw = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        with server.connected() as connection:
            connection.sendall(raw.encode())
            received = b"".join(iter(lambda: connection.recv(4096), b""))
        assert received.startswith(f"HTTP/1.1 {status}".encode())
        assert received.endswith(b"\r\n\r\n")
        assert b"x-request-id" in received.lower()


def test_another_method_is_refused(server):
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "FOO"):
        answer = server.ask(method, "/webhook/")
        assert_problem(answer, 405, "method_not_allowed")
        assert answer["Allow"] == "POST"


def test_a_static_file_has_a_request_id(server):
    answer = server.ask("GET", "/static/chat/inbox.css")
    assert answer.status_code == 200
    assert answer["X-Request-Id"]


def test_a_deep_body_is_refused(server):
    """Each server has another depth of the stack, but the same answer."""
    for levels in (1_000, 100_000):
        assert_problem(server.post(b"[" * levels + b"]" * levels), 400, "invalid_json")
    nested = '{{"type": "NEW_CONVERSATION", "x": {}}}'
    for levels in (999, 1_000, 100_000):
        sent = nested.format("[" * levels + "]" * levels).encode()
        answer = server.post(sent)
        assert_problem(answer, 400, "invalid_json")


def test_a_message_keeps_every_character(server):
    server.post(opening(numbered(15)))
    text = "\U0001f600 e\u0301 \u202e <script> \t\r\n"
    message = make_event("NEW_MESSAGE", id=M[:-1] + "0", conversation_id=numbered(15), content=text)
    assert server.post(json.dumps(message, ensure_ascii=False).encode()).status_code == 201
    shown = server.ask("GET", f"/conversations/{numbered(15)}").json()
    assert [message["content"] for message in shown["messages"]] == [text]
