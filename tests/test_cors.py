"""Web pages of other origins: which ones may read JSON in a browser."""

import pytest
from django.test import Client

from chat.api.probes import Metrics
from chat.api.reads import Read
from chat.api.schema import addresses
from chat.models import Token
from tests.conftest import NOW, C, make_event
from tests.servers import assert_problem

ORIGIN = "https://app.example"
READS = {
    path.format(id=C): issubclass(view, Read) and view is not Metrics for path, view in addresses()
}
JSON = [
    *("/conversations", f"/conversations/{C}", f"/conversations/{C}/messages", "/changes"),
    *(
        f"/conversations/{C}/transcript.txt",
        "/deliveries",
        "/stats",
        "/messages",
        "/export/messages.jsonl",
        "/schema",
        "/conversations/",
    ),
]
NOT_FOR_OTHERS = [
    *("/webhook", "/webhook/", "/ui/", "/ui/login/", "/ui/fragments/poll/", "/admin/", "/"),
    *("/healthz", "/readyz", "/metrics", "/docs", "/conversationsx", "/nothing"),
]


@pytest.fixture(autouse=True)
def closed(settings, deliver):
    settings.LOGIN_REQUIRED = True
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    deliver(make_event("NEW_CONVERSATION", id=C))


@pytest.fixture
def token(db):
    return Token.objects.issue(name="page", at=NOW)


def ask(path, method="GET", origin=ORIGIN, **headers):
    return Client(headers={"Origin": origin, **headers}).generic(method, path)


def preflight(path, origin=ORIGIN):
    asked = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    return ask(path, "OPTIONS", origin, **asked)


def cors_of(answer):
    return {name for name in answer.headers if name.lower().startswith("access-control")}


@pytest.mark.parametrize("path", JSON)
def test_a_page_of_an_allowed_origin_reads_json(path, token):
    assert preflight(path)["Access-Control-Allow-Origin"] == ORIGIN
    answer = ask(path, Authorization=f"Bearer {token}")
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    exposed = answer["Access-Control-Expose-Headers"]
    assert exposed == "ETag, Link, Retry-After, X-Request-Id"
    assert "origin" in answer["Vary"].lower()
    assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize(("path", "is_read"), READS.items())
def test_of_the_addresses_for_programs_all_reads_are_for_other_origins(path, is_read):
    assert bool(cors_of(preflight(path))) == is_read


def test_a_preflight_allows_reads_with_a_token():
    answer = preflight("/conversations")
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert answer["Access-Control-Allow-Headers"] == "authorization, if-none-match, x-request-id"


@pytest.mark.parametrize(
    "origin",
    [
        *("https://other.example", "http://app.example", "https://app.example:444", "null", ""),
        *(
            "https://app.example.evil",
            "https://x.app.example",
            "https://[",
            "https://app.example@x",
        ),
    ],
)
def test_a_page_of_another_origin_reads_nothing(token, origin):
    assert not cors_of(preflight("/conversations", origin))
    assert not cors_of(ask("/conversations", origin=origin, Authorization=f"Bearer {token}"))


@pytest.mark.parametrize("path", NOT_FOR_OTHERS)
def test_nothing_but_json_is_for_pages_of_other_origins(path, token):
    assert not cors_of(preflight(path))
    assert not cors_of(ask(path, Authorization=f"Bearer {token}"))


def test_a_page_of_another_origin_can_read_why_it_is_refused():
    answer = ask("/conversations")
    assert_problem(answer, 401, "not_authenticated")
    assert answer["Access-Control-Allow-Origin"] == ORIGIN


def test_what_has_not_changed_is_told_across_origins_too(token):
    asked = {"Authorization": f"Bearer {token}"}
    etag = ask(f"/conversations/{C}", **asked)["ETag"]
    answer = ask(f"/conversations/{C}", **asked, **{"If-None-Match": etag})
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (304, ORIGIN)


def test_by_default_there_is_no_other_origin(settings, token):
    settings.CORS_ALLOWED_ORIGINS = []
    assert_problem(preflight("/conversations"), 405, "method_not_allowed")
    answer = ask("/conversations", Authorization=f"Bearer {token}")
    assert not cors_of(answer)
    assert "origin" not in answer.get("Vary", "").lower()
