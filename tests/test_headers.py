"""Protection of browsers outside development: cookies, redirects, headers, and trusted proxies."""

import json
import re

import pytest
from django.test import Client

from tests.conftest import C, M, make_event
from tests.servers import serving
from tests.test_settings import COMPLETE, manage, run

NAMES = "SECURE_|SESSION_COOKIE_|CSRF_COOKIE_|LANGUAGE_COOKIE_|LOGIN_REQUIRED"
SHOW = f"""
import json, re, realmate.settings as s
found = {{name: getattr(s, name) for name in dir(s) if re.match("{NAMES}", name)}}
print(json.dumps(found))
"""
PAGES = ["/ui", "/ui/", f"/ui/{C}/", "/ui/deliveries/", "/admin/", "/ui/no/such/page"]
READS = ["/conversations", f"/conversations/{C}", "/deliveries", "/stats", "/schema"]
MACHINES = [*READS, "/healthz", "/readyz", "/metrics", "/no/such/path"]


def environment(**environ):
    """Return the settings for browsers, as realmate.settings makes them from the environment."""
    return json.loads(run("-c", SHOW, **COMPLETE | environ).stdout)


@pytest.fixture(scope="module")
def by_https():
    return environment()


@pytest.fixture(scope="module")
def by_http():
    return environment(SECURE_SSL_REDIRECT="false")


@pytest.fixture
def browser(settings, by_https, db):
    """A client with the settings of production."""
    for name, value in by_https.items():
        setattr(settings, name, value)
    return Client()


# Cookies


def test_cookies_are_this_host_s_alone_over_https(by_https):
    for kind in ("SESSION", "CSRF", "LANGUAGE"):
        assert by_https[f"{kind}_COOKIE_NAME"].startswith("__Host-")
        assert by_https[f"{kind}_COOKIE_SECURE"] is True


def test_over_plain_http_they_have_plain_names_or_browsers_would_not_take_them(by_http):
    for kind in ("SESSION", "CSRF", "LANGUAGE"):
        assert "__" not in by_http[f"{kind}_COOKIE_NAME"]
        assert by_http[f"{kind}_COOKIE_SECURE"] is False


def test_the_session_s_cookie_is_as_strict_as_a_pasted_link_allows(browser, django_user_model):
    django_user_model.objects.create_user("ana", password="correct horse")
    form = {"username": "ana", "password": "correct horse"}
    cookie = browser.post("/ui/login/", form, secure=True).cookies["__Host-sessionid"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "", 12 * 3600)


def test_the_language_s_cookie_is_this_host_s_alone_too(browser):
    cookie = browser.get("/ui/login/?lang=en", secure=True).cookies["__Host-language"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"]) == ("/", "")


# https


@pytest.mark.parametrize("path", PAGES)
def test_pages_lead_to_https(browser, path):
    answer = browser.get(path)
    assert (answer.status_code, answer["Location"]) == (301, f"https://testserver{path}")


@pytest.mark.parametrize("path", MACHINES)
def test_machines_are_never_redirected(browser, path):
    assert browser.get(path).status_code in {200, 401, 404}


def test_no_sender_is_redirected(browser):
    event = make_event("NEW_CONVERSATION", id=C)
    answer = browser.post("/webhook", event, content_type="application/json")
    assert answer.status_code == 201


def test_browsers_remember_https_for_a_year_and_for_this_host_alone(browser):
    assert browser.get("/ui/", secure=True)["Strict-Transport-Security"] == "max-age=31536000"


def test_plain_http_is_left_alone_when_asked_to(by_http):
    assert (by_http["SECURE_SSL_REDIRECT"], by_http["SECURE_HSTS_SECONDS"]) == (False, 0)


# Every answer


@pytest.mark.parametrize("path", ["/ui/login/", *PAGES, *MACHINES, "/static/chat/inbox.css"])
def test_every_answer_keeps_a_browser_safe(browser, path):
    for answer in (browser.get(path), browser.get(path, secure=True)):
        assert_safe(answer)


def assert_safe(answer):
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize("path", [*PAGES, *READS, f"/ui/{C}/print/", "/ui/fragments/poll/"])
def test_nobody_but_its_reader_keeps_what_is_personal(admin_client, deliver, path):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    kept = admin_client.get(path).get("Cache-Control", "")
    if path not in {"/schema", "/docs", "/ui/no/such/page"}:
        assert re.search("no-store|private, no-cache|no-cache, private", kept)


# The configuration


def test_a_deployment_passes_django_s_own_checks():
    checked = manage("check", "--deploy", "--fail-level", "WARNING", **COMPLETE)
    assert (checked.returncode, checked.stderr) == (0, "")


# Behind a proxy

BEHIND = {name: value for name, value in COMPLETE.items() if name != "DATABASE_URL"} | {
    "ALLOWED_HOSTS": "inbox.example,127.0.0.1",
    "DJANGO_SETTINGS_MODULE": "realmate.settings",
}


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """A production server that trusts a proxy on this machine."""
    folder = tmp_path_factory.mktemp("behind")
    with serving("granian", folder, **BEHIND, TRUSTED_PROXIES="127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A production server that trusts only a proxy on another machine."""
    folder = tmp_path_factory.mktemp("alone")
    with serving("granian", folder, **BEHIND, TRUSTED_PROXIES="10.0.0.0/8") as server:
        yield server


def asked(server, path="/ui/", **forwarded):
    named = {name.replace("_", "-"): value for name, value in forwarded.items()}
    return server.ask("GET", path, Host="inbox.example", **named)


def test_a_trusted_proxy_s_word_is_https(behind):
    answer = asked(behind, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https")
    assert answer["Location"] == "/ui/login/?next=/ui/"
    assert answer["Strict-Transport-Security"]


def test_anybody_else_s_word_is_nothing(alone):
    answer = asked(alone, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https")
    assert answer["Location"] == "https://inbox.example/ui/"


@pytest.mark.parametrize("header", ["X_Forwarded_Host", "X_Forwarded_Port", "Forwarded"])
def test_no_proxy_names_the_host_but_by_host(behind, header):
    answer = asked(behind, **{header: "evil.example"})
    assert answer["Location"] == "https://inbox.example/ui/"
