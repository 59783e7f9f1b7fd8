"""The body of every error answer agrees with its headers, through every door."""

import gzip

import pytest
from django.http import HttpResponse
from django.test import Client

from chat.middleware.edge import OF_THE_BODY, in_our_shape
from tests.conftest import C
from tests.servers import TYPE_OF_PROBLEMS, through_wsgi

CODINGS = ["", "gzip", "gzip, deflate, br, zstd", "*", "identity"]
LONG = "x" * 5_000
REQUESTS = {
    "a form without a token": ("POST", "/ui/login/", {}),
    "another method": ("DELETE", "/ui/", {}),
    "no such page": ("GET", "/ui/no/such/page", {}),
    "no such conversation": ("GET", f"/ui/{C}/", {}),
    "a bad filter": ("GET", "/ui/?filter=nothing", {}),
    "no such fragment": ("GET", "/ui/fragments/no", {}),
    "a bad host": ("GET", "/ui/", {"HTTP_HOST": "elsewhere.example"}),
    "no such path": ("GET", f"/{LONG}", {}),
    "no such conversation as JSON": ("GET", f"/conversations/{C}", {}),
    "bad parameters": ("GET", "/conversations?limit=x", {}),
    "another media type": ("POST", "/webhook/", {"CONTENT_TYPE": "text/plain"}),
    "no JSON": ("POST", "/webhook/", {}),
    "no such file": ("GET", "/static/no/such/file.css", {}),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
def test_an_error_is_encoded_as_it_says(db, settings, request_, coding):
    settings.ALLOWED_HOSTS = ["localhost"]
    method, path, environ = request_
    answer = through_wsgi(method, path, b"", HTTP_ACCEPT_ENCODING=coding, **environ)
    assert 400 <= answer.status_code < 500
    assert_readable(answer)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", ["/ui/", "/admin/", "/conversations", "/changes", "/deliveries"])
def test_a_bug_is_encoded_as_it_says(db, monkeypatch, path, coding):
    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr("django.db.models.query.QuerySet._fetch_all", fail)
    client = Client(raise_request_exception=False)
    answer = client.get(path, headers={"accept-encoding": coding})
    if path != "/admin/":
        assert answer.status_code == 503
    assert_readable(answer)


def assert_readable(answer):
    content = answer.content
    if answer.headers.get("Content-Encoding") == "gzip":
        content = gzip.decompress(content)
    else:
        assert "Content-Encoding" not in answer.headers
    is_problem = answer.headers["Content-Type"] == TYPE_OF_PROBLEMS
    if answer.status_code >= 400:
        assert content.startswith(b"{" if is_problem else b"<!doctype html>")
    if "Content-Length" in answer.headers:
        assert int(answer.headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("path", ["/ui/", "/conversations"])
def test_no_header_of_the_old_body_stays(rf, path):
    request = rf.get(path)
    request.META["realmate.request_id"] = "0"
    about = dict.fromkeys(OF_THE_BODY - {"Content-Type", "Content-Length"}, "old")
    old = HttpResponse(b"old", status=403, headers={**about, "Allow": "GET", "Content-Length": "3"})
    answer = in_our_shape(request, old)
    assert "old" not in answer.headers.values()
    assert answer.headers["Allow"] == "GET"
    assert answer.headers.get("Content-Length", str(len(answer.content))) == str(
        len(answer.content)
    )
