"""Hostile requests by the thousand: none breaks the service, and each gets a documented answer."""

import json
import socket
import time
from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from chat.models import Delivery
from tests.conftest import C, M, make_event
from tests.servers import assert_problem, serving, through_wsgi

pytestmark = pytest.mark.both_engines("any body, into each engine")


def hypothetically(examples, **strategies):
    """Runs a function on so many examples."""
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    def run(check):
        chosen(given(**strategies)(check))()

    return run


# Bodies: JSON similar to an event, and events with some bytes changed

LEAVES = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text()
    | some.sampled_from([C, M, C.upper(), "SENT", "RECEIVED", "NEW_MESSAGE", "2025-02-21T10:20:41"])
    | some.sampled_from(["9999-12-31T23:59:59-14:00", "\0", "\ud800", " ", "1" * 5000])
)
JSON = some.recursive(
    LEAVES, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=8
)
EVENTS = some.sampled_from(
    [
        make_event("NEW_CONVERSATION", id=C),
        make_event("NEW_MESSAGE", id=M),
        make_event("CLOSE_CONVERSATION", id=C),
    ]
)


@some.composite
def almost_events(draw):
    """Draw an event with one member replaced, in the event or in its data."""
    event = json.loads(json.dumps(draw(EVENTS)))
    where = draw(some.sampled_from([event, event["data"]]))
    where[draw(some.sampled_from([*where, "other"]))] = draw(LEAVES | JSON)
    return json.dumps(event).encode()


@some.composite
def mutated(draw, whole):
    """Draw a body with up to four stretches cut, doubled or overwritten."""
    sent = bytearray(draw(whole))
    for _ in range(draw(some.integers(1, 4))):
        at = draw(some.integers(0, len(sent)))
        end = at + draw(some.integers(0, 8))
        sent[at:end] = draw(some.sampled_from([b"", sent[at:end] * 2]) | some.binary(max_size=8))
    return bytes(sent)


BODIES = (
    almost_events()
    | mutated(EVENTS.map(lambda event: json.dumps(event).encode()))
    | JSON.map(lambda value: json.dumps(value).encode())
    | some.binary(max_size=200)
)


def is_json(sent):
    try:
        json.loads(sent)
    except (ValueError, RecursionError):
        return False
    return True


GOOD = json.dumps(make_event("NEW_CONVERSATION", id=C)).encode()


@pytest.mark.django_db
@pytest.mark.proof
def test_any_body_has_a_promised_answer_and_leaves_a_row(rounds):
    through_wsgi("POST", "/webhook/", GOOD)

    @hypothetically(rounds(quick=100, ci=300, long=25_000), sent=BODIES)
    def check(sent):
        answer = through_wsgi("POST", "/webhook/", sent)
        if answer.status_code in (200, 201):
            assert is_json(sent)
        else:
            assert answer.status_code in (400, 404, 409)
            assert_problem(answer, answer.status_code, answer.json()["code"])
        assert str(Delivery.objects.latest("id").request_id) == answer["X-Request-Id"]


# Headers

HEADERS = some.dictionaries(
    some.sampled_from(
        [
            *("ACCEPT", "ACCEPT_LANGUAGE", "ACCEPT_ENCODING", "AUTHORIZATION", "COOKIE", "HOST"),
            *("IF_NONE_MATCH", "IF_MODIFIED_SINCE", "RANGE", "ORIGIN", "REFERER", "HX_REQUEST"),
            *("X_FORWARDED_FOR", "X_FORWARDED_PROTO", "X_REQUEST_ID", "CONTENT_ENCODING"),
            *("WEBHOOK_ID", "WEBHOOK_TIMESTAMP", "WEBHOOK_SIGNATURE", "X_HUB_SIGNATURE_256"),
            *("TRANSFER_ENCODING", "CONTENT_TYPE", "CONTENT_LENGTH"),
        ]
    ),
    some.sampled_from(
        ["-1", "9" * 30, "chunked", "bytes=5-1", 'sessionid="\\000"', "W/", "v1,", "[::1"]
    )
    | some.text(some.characters(max_codepoint=255), max_size=60),
    max_size=5,
)
PLACES = some.sampled_from(
    [
        *(("POST", "/webhook/"), ("GET", "/conversations"), ("GET", f"/conversations/{C}")),
        *(
            ("GET", "/ui/"),
            ("GET", f"/ui/{C}/"),
            ("GET", "/ui/search/?q=a"),
            ("POST", "/ui/login/"),
        ),
        *(("GET", "/ui/fragments/poll/?filter=all"), ("GET", "/readyz"), ("GET", "/nowhere")),
    ]
)


def as_environ(headers):
    named = ("CONTENT_TYPE", "CONTENT_LENGTH")
    return {name if name in named else f"HTTP_{name}": value for name, value in headers.items()}


@pytest.mark.django_db
@pytest.mark.proof
def test_no_headers_break_any_place(rounds):
    @hypothetically(rounds(quick=50, ci=150, long=12_500), place=PLACES, headers=HEADERS)
    def check(place, headers):
        answer = through_wsgi(*place, GOOD, **as_environ(headers))
        assert answer.status_code < 500
        if place[0] == "POST" and answer.status_code >= 400 and place[1] == "/webhook/":
            assert_problem(answer, answer.status_code, answer.json()["code"])


# The wire


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving("granian", tmp_path_factory.mktemp("fuzz")) as server:
        yield server


HEAD = b"POST /webhook/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(GOOD)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
SIZES = some.sampled_from(
    [b"0", b"-1", b"ffffffffffffffffff", b"zz", b"", b"%x" % len(GOOD), b"5;a=b"]
)
REQUESTS = (
    some.binary(max_size=300)
    | mutated(some.just(HEAD + LENGTH + b"\r\n" + GOOD))
    | some.integers(0, 999).map(lambda n: HEAD + LENGTH + b"Content-Length: %d\r\n\r\n" % n + GOOD)
    | SIZES.map(lambda size: HEAD + CHUNKED + b"\r\n" + size + b"\r\n" + GOOD + b"\r\n0\r\n\r\n")
    | SIZES.map(lambda size: HEAD + CHUNKED + LENGTH + b"\r\n" + size + b"\r\n" + GOOD)
    | some.integers(1, 20).map(lambda n: HEAD + b"X-Large: " + b"a" * n * 8_000 + b"\r\n" + LENGTH)
    | some.integers(0, len(GOOD)).map(lambda n: HEAD + LENGTH + b"\r\n" + GOOD[:n])
    | some.integers(0, len(HEAD)).map(lambda n: HEAD[:n])
)


def status_line_after(server, parts, *, listens):
    """Return the status line, or nothing if either side hangs up. Raise TimeoutError if the server hangs."""
    with server.connected() as connection, suppress(ConnectionError):
        for part in parts:
            connection.sendall(part)
            time.sleep(0.001 * (len(parts) > 1))
        if listens:
            with suppress(OSError):  # the server may have hung up by now
                connection.shutdown(socket.SHUT_WR)
            return connection.recv(100).split(b"\r\n")[0]
    return b""


@pytest.mark.sqlite
@pytest.mark.proof
def test_no_bytes_on_the_wire_break_or_stop_the_production_server(server, rounds):
    @hypothetically(
        rounds(quick=50, ci=150, long=12_500),
        sent=REQUESTS,
        cuts=some.lists(some.integers(0, 400), max_size=3).map(sorted),
        listens=some.booleans(),
    )
    def check(sent, cuts, listens):
        ends = [*cuts, len(sent)]
        parts = [sent[begin:end] for begin, end in zip([0, *cuts], ends, strict=True)]
        line = status_line_after(server, parts, listens=listens)
        assert not line.startswith((b"HTTP/1.1 5", b"HTTP/1.0 5")), line

    for _ in range(5):
        good = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()
        assert server.post(good).status_code == 201
