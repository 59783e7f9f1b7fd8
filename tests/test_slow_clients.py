"""Clients dripping their bytes keep nobody else waiting: dozens on the server, hundreds behind a proxy."""

import json
import socket
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from statistics import median
from threading import Event, Thread
from uuid import uuid4

import pytest

from tests.conftest import C, make_event
from tests.proxies import HOST, PROXIES, fronting
from tests.servers import serving

pytestmark = pytest.mark.alone("a good request beside fifty slow ones")

SLOW = 50
BODY = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()
HEAD = (
    "POST /webhook/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving("granian", tmp_path_factory.mktemp("slow")) as server:
        yield server


def drip(connections, over):
    """Send a byte on each connection, ten times a second."""
    at = 0
    while not over.wait(0.1):
        for connection, rest in connections:
            connection.sendall(rest[at : at + 1])
        at += 1


@pytest.mark.sqlite
@pytest.mark.parametrize("at_once", [b"", HEAD], ids=["headers", "bodies"])
def test_fifty_slow_clients_keep_no_good_request_waiting(server, at_once):
    over, alone = Event(), median_of_good_requests(server)
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connected()) for _ in range(SLOW)]
        for connection in connections:
            connection.sendall(at_once)
            time.sleep(0.02)  # connections and their waiting threads start one by one
        rest = (HEAD + BODY)[len(at_once) :]
        dripping = Thread(target=drip, args=([(each, rest) for each in connections], over))
        dripping.start()
        time.sleep(1)
        beside = median_of_good_requests(server)
        over.set()
        dripping.join()
    assert beside - alone < 1  # a drip takes half a minute


def median_of_good_requests(server):
    return median(seconds_of_a_good_request(server) for _ in range(5))


def seconds_of_a_good_request(server):
    began = time.monotonic()
    sent = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()
    assert server.post(sent).status_code == 201
    return time.monotonic() - began


# Behind the proxies of deploy/. The slow clients have thirty addresses, so that no limit for
# one address helps.

by_hand = pytest.mark.by_hand("needs the Debian packages of three proxies")
SECONDS = 4
LINE = f"HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
POST = f"POST /webhook/ {LINE}".encode()
READ = f"GET /conversations/{C} {LINE}\r\n".encode()


@pytest.fixture(scope="module", params=PROXIES)
def fronted(request, tmp_path_factory):
    """A proxy in front of the production server with a conversation of 1 MB."""
    folder = tmp_path_factory.mktemp(request.param)
    given = {"ALLOWED_HOSTS": f"{HOST},127.0.0.1", "TRUSTED_PROXIES": "127.0.0.1"}
    with (
        serving("granian", folder, **given) as server,
        fronting(request.param, folder, server.port) as proxy,
    ):
        assert server.post(json.dumps(make_event("NEW_CONVERSATION", id=C))).status_code == 201
        for _ in range(20):
            message = make_event("NEW_MESSAGE", id=str(uuid4()), content="x" * 50_000)
            assert server.post(json.dumps(message)).status_code == 201
        yield proxy


SLOW_CLIENTS = {
    "idle": (1000, None, b""),
    "headers": (300, b"", POST + b"X-A: b\r\n" * 10),
    "bodies": (300, POST + b"Content-Length: 300\r\n\r\n", b"{" * 299),
    "large bodies": (300, POST + b"Content-Length: 1000000\r\n\r\n" + b" " * 70_000, b"{" * 299),
    "readers": (300, READ, b""),
}


@by_hand
@pytest.mark.sqlite
@pytest.mark.parametrize("kind", SLOW_CLIENTS)
def test_a_good_sender_keeps_half_of_its_rate_behind_a_proxy(fronted, kind):
    count, at_once, rest = SLOW_CLIENTS[kind]
    over, alone = Event(), rate_of_a_good_sender(fronted)
    with ExitStack() as stack:
        slow = [
            stack.enter_context(slow_client(fronted, f"127.0.1.{n % 30 + 1}", at_once))
            for n in range(count)
        ]
        dripping = Thread(target=drip_slowly, args=(slow, rest, over))
        dripping.start()
        beside = rate_of_a_good_sender(fronted)
        over.set()
        dripping.join()
    after = rate_of_a_good_sender(fronted)  # a busy machine slows both
    print(f"\n{kind}: {alone:.0f} events/s alone, {beside:.0f} beside {count}, {after:.0f} after")
    assert beside > min(alone, after) / 2


def slow_client(proxy, address, at_once):
    """Connect, and send the first bytes. With None, do not even begin TLS."""
    if at_once is None:
        return socket.create_connection(("127.0.0.1", proxy.https), 30, (address, 0))
    connection = proxy.connected(address)
    connection.sendall(at_once)
    return connection


def drip_slowly(connections, rest, over):
    """Send a byte on each connection, once a second. The proxy may have hung up."""
    for at in range(len(rest)):
        if over.wait(1):
            return
        for connection in connections:
            with suppress(OSError):
                connection.sendall(rest[at : at + 1])


def rate_of_a_good_sender(proxy):
    """Return the stored events a second, over four seconds, with one connection at a time."""
    stored, ends = 0, time.monotonic() + SECONDS
    with closing(HTTPConnection("127.0.0.1", proxy.https, timeout=SECONDS)) as connection:
        while time.monotonic() < ends:
            # nginx ends a connection after 1,000 requests.
            connection.sock = connection.sock or proxy.connected()
            event = make_event("NEW_CONVERSATION", id=str(uuid4()))
            given = {"Host": HOST, "Content-Type": "application/json"}
            try:
                connection.request("POST", "/webhook/", json.dumps(event), given)
                response = connection.getresponse()
                response.read()
            except (OSError, HTTPException):
                break
            stored += response.status == 201
    return stored / SECONDS
