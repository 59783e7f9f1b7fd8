"""Limits of reads a minute, for a token, and for an address without a token."""

from datetime import timedelta

import pytest
from django.test import Client
from rest_framework.throttling import SimpleRateThrottle

from chat.models import Token
from tests.conftest import NOW, C, make_event
from tests.servers import assert_problem

pytestmark = pytest.mark.both_engines("the tokens are looked up")

PATHS = ["/conversations", "/deliveries", "/stats", "/metrics", "/schema", "/changes"]


@pytest.fixture(autouse=True)
def closed(settings, db):
    settings.LOGIN_REQUIRED = True


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that stands still until a test moves the seconds."""
    seconds = [1_000.0]
    monkeypatch.setattr(SimpleRateThrottle, "timer", lambda throttle: seconds[0])
    return seconds


@pytest.fixture
def tokens():
    return [Token.objects.issue(name=name, at=NOW) for name in ("one", "other")]


def read(path="/conversations", token=None, address="203.0.113.5"):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(headers=headers).get(path, REMOTE_ADDR=address)


def statuses(count, **asked):
    return [read(**asked).status_code for _ in range(count)]


def test_nothing_is_limited_unless_it_is_set(tokens):
    assert set(statuses(100, token=tokens[0])) == {200}
    assert set(statuses(100)) == {401}


def test_a_token_reads_so_often_a_minute(settings, tokens, clock):
    settings.READS_PER_MINUTE_BY_TOKEN = 3
    assert statuses(3, token=tokens[0]) == [200] * 3
    clock[0] += 20.5
    refused = read(token=tokens[0])
    assert_problem(refused, 429, "rate_limited")
    assert refused["Retry-After"] == "40"
    assert read(token=tokens[1]).status_code == 200
    clock[0] += 39.6
    assert read(token=tokens[0]).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_all_reads_of_a_token_are_counted_together(settings, tokens, path):
    settings.READS_PER_MINUTE_BY_TOKEN = 1
    assert read("/conversations", tokens[0]).status_code == 200
    assert_problem(read(path, tokens[0]), 429, "rate_limited")


def test_a_read_that_the_scope_refuses_counts(settings, tokens):
    settings.READS_PER_MINUTE_BY_TOKEN = 1
    Token.objects.update(scopes="metrics")
    assert statuses(2, token=tokens[0]) == [403, 429]


@pytest.mark.parametrize("token", [None, "unknown"])
def test_an_address_fails_so_often_a_minute(settings, token):
    settings.READS_PER_MINUTE_BY_ADDRESS = 2
    assert statuses(2, token=token) == [401, 401]
    refused = read(token=token)
    assert_problem(refused, 429, "rate_limited")
    assert refused["Retry-After"] == "60"
    assert read(token=token, address="203.0.113.6").status_code == 401


def test_an_expired_token_counts_for_its_address(settings):
    settings.READS_PER_MINUTE_BY_ADDRESS = 1
    over = Token.objects.issue(name="over", at=NOW, expires_at=NOW + timedelta(days=1))
    assert statuses(2, token=over) == [401, 429]


def test_addresses_of_one_ipv6_network_are_counted_together(settings):
    settings.READS_PER_MINUTE_BY_ADDRESS = 1
    assert read(address="2001:db8::1").status_code == 401
    assert read(address="2001:db8::2").status_code == 429
    assert read(address="2001:db8:0:1::1").status_code == 401


def test_whoever_may_read_is_not_limited_by_the_address(settings, tokens, admin_client):
    settings.READS_PER_MINUTE_BY_ADDRESS = 1
    assert statuses(3) == [401, 429, 429]
    assert statuses(3, token=tokens[0]) == [200] * 3
    assert [
        admin_client.get("/stats", REMOTE_ADDR="203.0.113.5").status_code for _ in range(3)
    ] == [200] * 3


def test_the_webhook_and_the_probes_are_not_limited(settings, post):
    settings.READS_PER_MINUTE_BY_TOKEN = settings.READS_PER_MINUTE_BY_ADDRESS = 1
    for _ in range(3):
        assert post(make_event("NEW_CONVERSATION", id=C)).status_code in {200, 201}
        assert read("/healthz").status_code == 200
