"""Limits of a form: at most 64 KiB, and no file. The server reads no more from any client."""

import tempfile
from io import BytesIO
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chat.models import User
from tests.servers import assert_page, through_wsgi

FORMS = ["/ui/login/", "/ui/logout", "/ui/account/", "/ui/deliveries/1/apply/", "/admin/login/"]
FORMS += ["/admin/chat/user/add/", "/admin", "/ui/"]
KIB_64 = 64 * 1024
FORM = "application/x-www-form-urlencoded"
every_form = pytest.mark.parametrize("path", FORMS)


class Unread(BytesIO):
    def read(self, *args):
        raise AssertionError("it was read")

    readline = read


@every_form
@pytest.mark.parametrize("type", [FORM, "multipart/form-data; boundary=x", "text/plain", ""])
def test_a_larger_form_is_refused_unread(db, path, type):
    length = {"CONTENT_LENGTH": str(KIB_64 + 1), "CONTENT_TYPE": type, "wsgi.input": Unread()}
    answer = through_wsgi("POST", path, HTTP_ACCEPT_LANGUAGE="en", **length)
    assert_page(answer, 413)
    assert b"The form is too large." in answer.content


@every_form
def test_a_larger_chunked_form_is_refused_by_count(db, path):
    body = BytesIO(b"x" * 10 * KIB_64)
    assert_page(chunked(path, body), 413)
    # The WSGI entry reads the rest, so that the connection stays usable.


@every_form
def test_a_chunked_form_whose_end_nobody_tells_is_refused(db, path):
    assert_page(chunked(path, Unread(), **{"wsgi.input_terminated": None}), 411)


def test_a_length_that_is_no_number_is_refused(db):
    assert_page(through_wsgi("POST", "/ui/login/", CONTENT_LENGTH="many"), 400)


def chunked(path, body, **environ):
    environ = {"wsgi.input": body, "wsgi.input_terminated": True} | environ
    return through_wsgi(
        "POST",
        path,
        CONTENT_LENGTH=None,
        CONTENT_TYPE=FORM,
        HTTP_TRANSFER_ENCODING="chunked",
        **environ,
    )


@pytest.fixture
def login(db):
    """A correct login form, with its token, and the cookie of the token."""
    User.objects.create_user("ana", password="correct horse battery")
    browser = Client(enforce_csrf_checks=True)
    browser.get("/ui/login/")
    token = browser.cookies["csrftoken"].value
    form = {"username": "ana", "password": "correct horse battery", "csrfmiddlewaretoken": token}
    return urlencode(form).encode(), {"HTTP_COOKIE": f"csrftoken={token}", "CONTENT_TYPE": FORM}


def padded(form, to):
    return form + b"&x=" + b"x" * (to - len(form) - 3)


def test_a_form_of_64_kib_is_read(login):
    form, environ = login
    assert through_wsgi("POST", "/ui/login/", padded(form, KIB_64), **environ).status_code == 302
    answer = through_wsgi("POST", "/ui/login/", padded(form, KIB_64 + 1), **environ)
    assert answer.status_code == 413


def test_a_chunked_form_is_read(login):
    form, environ = login
    environ.pop("CONTENT_TYPE")
    assert chunked("/ui/login/", BytesIO(padded(form, KIB_64)), **environ).status_code == 302
    assert chunked("/ui/login/", BytesIO(padded(form, KIB_64 + 1)), **environ).status_code == 413


@every_form
@pytest.mark.parametrize("debug", [False, True], ids=["debug off", "debug on"])
def test_a_file_is_refused_and_never_stored(admin_client, settings, monkeypatch, path, debug):
    settings.DEBUG = debug
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", None)
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = admin_client.cookies
    browser.cookies["csrftoken"] = "x" * 32  # without the cookie the form is refused unread
    answer = browser.post(path, {"username": "ana", "file": SimpleUploadedFile("a.txt", b"x" * 99)})
    assert answer.status_code == (405 if path == "/ui/" else 400)
    assert_page(answer, answer.status_code)


def test_an_empty_field_of_a_file_is_no_file(client, db):
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename=""\r\n\r\n\r\n--x--\r\n'
    answer = client.post("/ui/login/", body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 200


def test_the_webhook_takes_what_no_form_may_hold(post):
    assert post(b" " * (KIB_64 + 1)).status_code == 400
