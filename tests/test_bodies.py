"""Large bodies: a process receives a few at a time."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest

from chat.api.bodies import ROOM, SMALL
from chat.models import Delivery
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
    """Others take all of the room."""
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
    for _ in range(20):  # each of them gives its room back
        answer = post(b" " * 4 * MIB) if send == "post" else chunked(b" " * 4 * MIB)
        assert_problem(answer, 400, "invalid_json")


def test_a_body_that_is_too_large_gives_its_room_back(db):
    for _ in range(20):
        assert chunked(b" " * (4 * MIB + 1)).status_code == 413


def test_the_signature_s_headers_are_judged_first(full, settings):
    settings.WEBHOOK_SECRETS = [SECRET]
    answer = through_wsgi("POST", "/webhook/", LARGE, **{"wsgi.input": Unread()})
    assert_problem(answer, 401, "invalid_signature")


def chunked(body):
    environ = {"wsgi.input": BytesIO(body), "wsgi.input_terminated": True}
    return through_wsgi(
        "POST", "/webhook/", CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked", **environ
    )


# The memory of a worker


@pytest.fixture
def server(tmp_path):
    environ = {"WEBHOOK_SECRETS": SECRET, "GRANIAN_WORKERS": "1"}
    environ["DJANGO_SETTINGS_MODULE"] = "realmate.settings"
    with serving("granian", tmp_path, **environ) as server:
        yield server


@pytest.mark.alone("watches the memory of a worker")
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
    """Of 4 MiB. Its one emoji makes Python take four bytes for each of its characters."""
    text = "😀" + "a" * (4 * MIB - 400)
    return json.dumps(make_event("NEW_MESSAGE", id=C, content=text), ensure_ascii=False).encode()


def megabytes(pid, name):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024
