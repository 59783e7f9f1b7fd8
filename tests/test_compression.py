"""Compressed answers and plain ones: the same content, ETags that hold, and no page that gives a token away."""

import gzip
import json
import re

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from chat.events.bulk import ingest_many
from chat.middleware import compression
from chat.middleware.compression import LONGEST, compressed, is_worth_compressing
from tests.conftest import NOW, C, id_of, make_event
from tests.servers import serving, through_wsgi

READS = [
    *(f"/conversations/{C}", f"/conversations/{C}/messages?limit=100", "/conversations"),
    *("/deliveries", "/changes", "/stats", "/schema", "/metrics"),
    *(f"/conversations/{C}/transcript.txt", f"/conversations/{C}/transcript.csv"),
]
WITH_ETAG = [f"/conversations/{C}", "/conversations", "/deliveries"]


@pytest.fixture
def thread(generation):
    texts = (f"{n}: Olá, tudo bem? " * 5 for n in range(100))
    messages = (
        make_event("NEW_MESSAGE", id=id_of(n), content=text) for n, text in enumerate(texts)
    )
    events = [make_event("NEW_CONVERSATION", id=C), *messages]
    assert len(list(ingest_many((json.dumps(event).encode(), NOW) for event in events))) == 101


def get(path, coding="gzip, deflate, br", **headers):
    return Client(headers={"Accept-Encoding": coding, **headers}).get(path)


def content_of(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


@pytest.mark.parametrize("path", READS)
def test_a_read_is_gzip_for_whoever_takes_it(thread, path):
    plain, packed = get(path, "identity"), get(path)
    assert packed["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain
    assert plain["Content-Type"] == packed["Content-Type"]
    whole, short = content_of(plain), content_of(packed)
    if path != "/metrics":  # this request counts
        assert gzip.decompress(short) == whole
    assert len(short) < len(whole)
    for answer, content in ((plain, whole), (packed, short)):
        assert "Accept-Encoding" in answer["Vary"]
        assert int(answer.get("Content-Length", len(content))) == len(content)


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("path", WITH_ETAG)
def test_head_tells_the_length_that_get_sends(thread, path, coding):
    head = Client(headers={"Accept-Encoding": coding}).head(path)
    answer = get(path, coding)
    for name in ("Content-Length", "Content-Encoding", "ETag", "Vary"):
        assert head.get(name) == answer.get(name)


@pytest.mark.parametrize("path", WITH_ETAG)
@pytest.mark.parametrize("first", ["gzip", "identity"])
@pytest.mark.parametrize("second", ["gzip", "identity"])
def test_an_etag_holds_for_every_coding(thread, path, first, second):
    """A strong ETag would promise the same bytes (RFC 9110, section 8.8.1)."""
    etag = get(path, first)["ETag"]
    assert etag.startswith('W/"')
    answer = get(path, second, **{"If-None-Match": etag})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", etag)
    assert "Content-Encoding" not in answer
    assert "Accept-Encoding" in answer["Vary"]


def test_an_etag_from_before_gzip_holds_too(thread):
    strong = get(f"/conversations/{C}")["ETag"].removeprefix("W/")
    assert get(f"/conversations/{C}", **{"If-None-Match": strong}).status_code == 304


@pytest.mark.parametrize(
    ("coding", "takes"),
    [
        *(("gzip", True), ("GZIP", True), ("br, gzip;q=0.5", True), ("gzip;q=1.0", True)),
        *(("", False), ("br", False), ("gzip;q=0", False), ("gzip; q=0.000, br", False)),
        *(("*", False), ("gzipped", False), ("identity", False)),
    ],
)
def test_gzip_is_sent_to_those_who_name_it(thread, coding, takes):
    assert ("Content-Encoding" in get(f"/conversations/{C}", coding)) == takes


@pytest.mark.parametrize(
    "path", [f"/conversations/{C}/transcript.xlsx", "/healthz", "/conversations?limit=x", "/docs"]
)
def test_other_answers_stay_as_they_are(thread, path):
    assert "Content-Encoding" not in get(path)


def test_the_webhook_answers_as_it_is(post, monkeypatch):
    monkeypatch.setattr(compression, "SHORTEST", 0)
    answer = post(make_event("NEW_CONVERSATION", id=C), headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer


@pytest.mark.parametrize(
    ("length", "is_worth_it"), [(199, False), (200, True), (LONGEST, True), (LONGEST + 1, False)]
)
def test_neither_the_shortest_nor_the_longest_are_compressed(length, is_worth_it):
    request = RequestFactory().get("/stats", headers={"Accept-Encoding": "gzip"})
    answer = StreamingHttpResponse([b""], content_type="application/json")
    assert is_worth_compressing(request, answer)
    answer = HttpResponse(b"x" * length, content_type="application/json")
    assert is_worth_compressing(request, answer) == is_worth_it


def test_a_stream_is_read_piece_by_piece():
    """Each piece of a long file has the time limit of an answer, so none may wait for the next."""
    read = []

    def pieces():
        for n in range(1_000):
            read.append(n)
            yield b"%d\r\n" % n

    packed = compressed(pieces())
    for n in range(1_000):
        next(packed)
        assert len(read) == n + 1
    assert next(packed)


def test_a_stream_as_a_server_sends_it(thread):
    answer = through_wsgi("GET", f"/conversations/{C}/transcript.csv", HTTP_ACCEPT_ENCODING="gzip")
    assert gzip.decompress(answer.content).count(b"Ol\xc3\xa1") >= 100


def test_gzip_of_a_real_server(tmp_path):
    with serving("granian", tmp_path) as server:
        server.post(json.dumps(make_event("NEW_CONVERSATION", id=C)))
        for n in range(20):
            server.post(json.dumps(make_event("NEW_MESSAGE", id=id_of(n))))
        for path in (f"/conversations/{C}", f"/conversations/{C}/transcript.txt", "/metrics"):
            answer = server.ask("GET", path, Accept_Encoding="gzip")
            assert answer["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.content)
            assert server.ask("GET", path)["Content-Encoding"] is None


# Pages


@pytest.fixture
def written_after_closing(thread, deliver):
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(900), content="Esqueci uma coisa"))


@pytest.mark.parametrize(
    ("path", "has_token", "is_gzip"),
    [
        ("/ui/", False, True),
        ("/ui/search/?q=tudo", False, True),
        (f"/ui/{C}/", True, True),
        (f"/ui/{C}/?message={id_of(3)}", True, False),
        ("/ui/?filter=wrote-after-closing", True, False),
        ("/ui/login/", True, True),
        ("/ui/login/?next=/ui/stats/", True, False),
    ],
)
def test_a_page_with_a_token_beside_input_is_not_compressed(
    written_after_closing, path, has_token, is_gzip
):
    plain, packed = get(path, "identity"), get(path)
    assert plain.status_code == packed.status_code == 200, path
    assert (b"csrfmiddlewaretoken" in plain.content) == has_token
    assert (packed.get("Content-Encoding") == "gzip") == is_gzip


def test_a_refused_login_is_not_compressed(db):
    client = Client(headers={"Accept-Encoding": "gzip"})
    page = client.post("/ui/login/", {"username": "reflected", "password": "x"})
    assert b"reflected" in page.content
    assert b"csrfmiddlewaretoken" in page.content
    assert "Content-Encoding" not in page


def test_a_token_is_masked_anew_on_each_page(db):
    pages = [get("/ui/login/", "identity").content for _ in range(2)]
    tokens = [re.search(rb'csrfmiddlewaretoken" value="(\w+)"', page)[1] for page in pages]
    assert tokens[0] != tokens[1]
