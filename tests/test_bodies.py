"""Large bodies: a process receives a few at a time."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from threading import Event, Thread

import pytest

from chat.api import body_memory
from chat.api.body_memory import ROOM, SMALL
from chat.models import Delivery
from chat.refusals import BodyTooSlow, Refusal
from chat.signatures import Standard, signed
from tests.conftest import C, make_event
from tests.servers import assert_problem, serving, through_wsgi

MIB = 1024 * 1024
SECRET = "whsec_" + "A" * 40
LARGE = b" " * (SMALL + 1)


class Unread(BytesIO):
    def read(self, *args):
        raise AssertionError("it was read")


@pytest.fixture
def full(db):
    """Other requests hold all of the room, within their time."""
    with ExitStack() as others:
        for _ in range(4):
            others.enter_context(ROOM.reserved(4 * MIB))
        yield others


def test_a_large_body_without_room_is_refused_unread(full):
    answer = through_wsgi("POST", "/webhook/", LARGE, **{"wsgi.input": Unread()})
    assert_problem(answer, 503, "too_many_bodies")
    assert answer["Retry-After"] == "1"
    assert not Delivery.objects.exists()


def test_a_large_chunked_body_without_room_is_refused_as_well(full):
    assert_problem(chunked(LARGE), 503, "too_many_bodies")


def test_small_bodies_need_no_room(full, post):
    assert post(make_event("NEW_CONVERSATION", id=C)).status_code == 201
    assert post(b" " * SMALL).status_code == 400
    assert chunked(b" " * SMALL).status_code == 400


@pytest.mark.parametrize("send", ["post", "chunked"])
def test_with_room_again_the_same_body_is_read(full, post, send):
    full.close()
    for _ in range(20):  # each answer gives its room back
        answer = post(b" " * 4 * MIB) if send == "post" else chunked(b" " * 4 * MIB)
        assert_problem(answer, 400, "invalid_json")


def test_a_body_that_is_too_large_gives_its_room_back(db):
    for _ in range(20):
        assert chunked(b" " * (4 * MIB + 1)).status_code == 413


def test_the_signature_s_headers_are_judged_first(full, settings):
    settings.WEBHOOK_SECRETS = [SECRET]
    answer = through_wsgi("POST", "/webhook/", LARGE, **{"wsgi.input": Unread()})
    assert_problem(answer, 401, "invalid_signature")


# Slow bodies


@pytest.fixture
def after_their_deadline(monkeypatch):
    """Let a minute pass. Bodies of 4 MiB have 50 seconds."""

    def wait():
        monkeypatch.setattr(body_memory, "monotonic", lambda: time.monotonic() + 60)

    return wait


class Trickle(BytesIO):
    """Gives a byte, and then blocks the next read until the test lets the body go on."""

    def __init__(self):
        self.is_silent, self.goes_on = Event(), Event()

    def read(self, most):
        if not self.is_silent.is_set():
            self.is_silent.set()
            return b" "
        assert self.goes_on.wait(30)
        return b" " * most  # at most the missing bytes


@contextmanager
def trickling(number=4):
    """Let slow clients with large bodies hold the room. Yield the clients, and their answers after the end."""
    slow, answers = [Trickle() for _ in range(number)], []
    with ThreadPoolExecutor(number) as threads:
        for each in slow:
            answers.append(threads.submit(read_slowly, each))
            assert each.is_silent.wait(30)
        try:
            yield answers
        finally:
            for each in slow:
                each.goes_on.set()


def read_slowly(stream):
    """Parse a body of 4 MiB. Return the parser's result, or the refusal."""
    try:
        with ROOM.reserved(4 * MIB) as place:
            return place.read(4 * MIB, stream)
    except Refusal as refusal:
        return type(refusal)


def test_slow_bodies_lose_their_room_to_a_good_one(db, post, after_their_deadline):
    with trickling() as slow:
        after_their_deadline()
        assert_problem(post(b" " * 4 * MIB), 400, "invalid_json")
    assert {answer.result() for answer in slow} == {BodyTooSlow}


def test_bodies_keep_their_room_until_their_deadline(db, post):
    with trickling() as slow:
        assert_problem(post(LARGE), 503, "too_many_bodies")
    assert {answer.result() for answer in slow} == {b" " * 4 * MIB}


def test_a_slow_body_is_refused_also_if_nobody_needs_its_room(db, after_their_deadline):
    with trickling(1) as slow:
        after_their_deadline()
    assert slow[0].result() is BodyTooSlow


def test_a_late_body_keeps_no_memory(after_their_deadline):
    with trickling(1), ROOM._lock:
        (late,) = ROOM._places
        assert not late.take_if_late()
        after_their_deadline()
        assert late.take_if_late()
        assert late._read is None


def test_a_body_that_is_read_keeps_its_room_until_it_is_answered(db, post, after_their_deadline):
    with ExitStack() as answered:
        for _ in range(4):
            place = answered.enter_context(ROOM.reserved(4 * MIB))
            place.read(4 * MIB, BytesIO(LARGE))
        after_their_deadline()
        assert_problem(post(LARGE), 503, "too_many_bodies")


def test_a_late_body_gets_a_503_that_asks_for_another_try(db, after_their_deadline):
    class Late(BytesIO):
        def read(self, most):
            after_their_deadline()
            return super().read(most)

    answer = through_wsgi("POST", "/webhook/", LARGE, **{"wsgi.input": Late(LARGE)})
    assert_problem(answer, 503, "too_many_bodies")
    assert "too slowly" in answer.json()["detail"]
    assert not Delivery.objects.exists()


def chunked(body):
    environ = {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    return through_wsgi(
        "POST", "/webhook/", CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked", **environ
    )


@pytest.mark.sqlite
def test_through_the_server_connections_that_trickle_lose_their_room(tmp_path):
    given = {"DJANGO_SETTINGS_MODULE": "tests.impatient", "GRANIAN_WORKERS": "1"}
    with serving("granian", tmp_path, **given) as server, ExitStack() as stack:
        ends = time.monotonic() + 60
        while server.post(LARGE).status_code != 503:
            assert time.monotonic() < ends, "slow bodies take no room"
            slow = stack.enter_context(server.connected())
            slow.sendall(HEAD)
            stack.callback(trickle(slow))
        while (status := server.post(LARGE).status_code) == 503:
            assert time.monotonic() < ends, "slow bodies keep the room"
            time.sleep(0.1)
        assert status == 400


HEAD = (
    "POST /webhook/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {4 * MIB}\r\n\r\n"
).encode()


def trickle(connection):
    """Send a byte ten times a second, until the returned function is called."""
    over = Event()

    def send():
        with suppress(OSError):
            while not over.wait(0.1):
                connection.sendall(b" ")

    Thread(target=send).start()
    return over.set


# The memory of a worker


@pytest.fixture
def server(tmp_path):
    environ = {"WEBHOOK_SECRETS": SECRET, "GRANIAN_WORKERS": "1"}
    environ["DJANGO_SETTINGS_MODULE"] = "realmate.settings"
    with serving("granian", tmp_path, **environ) as server:
        yield server


@pytest.mark.alone("sends 256 MiB at once")
@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("secret", "number", "statuses"),
    [(None, 64, {401}), ("whsec_" + "B" * 40, 64, {401, 503}), (SECRET, 16, {404, 503})],
    ids=["unsigned", "forged", "signed"],
)
def test_a_worker_stays_under_400_mb(server, secret, number, statuses):
    (worker,) = server.workers()
    body = large_message()
    headers = signed(Standard([secret]) if secret else None, body, id="msg_1")
    named = {name.replace("-", "_"): value for name, value in headers.items()}
    with ThreadPoolExecutor(number) as threads:
        answers = list(threads.map(lambda _: server.post(body, **named), range(number)))
    assert {answer.status_code for answer in answers} <= statuses
    assert megabytes(worker, "VmHWM") < 400


def large_message():
    """A body of 4 MiB. Its one emoji makes Python store each character in four bytes."""
    text = "😀" + "a" * (4 * MIB - 400)
    return json.dumps(make_event("NEW_MESSAGE", id=C, content=text), ensure_ascii=False).encode()


def megabytes(pid, name):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024
