"""A proxy's headers about a request: the believed peers, the accepted spellings, and the warning to others."""

import logging

import pytest

from realmate.forwarded import behind_proxies
from tests.servers import serving
from tests.test_headers import BEHIND

PROXY, CLIENT = "127.0.0.1", "203.0.113.9"
FORWARDED = {"HTTP_X_FORWARDED_FOR": CLIENT, "HTTP_X_FORWARDED_PROTO": "https"}


def seen(*, peer=PROXY, trusted=(PROXY, "10.0.0.0/8"), **headers):
    """Return the address and the scheme in the application's view."""
    found = {}
    application = behind_proxies(lambda environ, _: found.update(environ), list(trusted))
    application({"REMOTE_ADDR": peer, "wsgi.url_scheme": "http"} | headers, None)
    return found["REMOTE_ADDR"], found["wsgi.url_scheme"]


def address_of(forwarded, **given):
    return seen(HTTP_X_FORWARDED_FOR=forwarded, **given)[0]


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", CLIENT),
        ("203.0.113.9:5678", CLIENT),
        (" 203.0.113.9 ", CLIENT),
        ('"203.0.113.9:5678"', CLIENT),
        ("::ffff:203.0.113.9", CLIENT),
        ("[::ffff:203.0.113.9]:5678", CLIENT),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8:0::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25x]:1", "fe80::1"),
        ("198.51.100.1, 203.0.113.9:5678", CLIENT),
        ("203.0.113.9:5678, 10.1.2.3:80,10.1.2.4", CLIENT),
        ("203.0.113.9, ::ffff:10.1.2.3", CLIENT),
    ],
)
def test_an_address_is_understood_in_each_spelling_of_proxies(forwarded, address):
    assert address_of(forwarded) == address


@pytest.mark.parametrize(
    "forwarded",
    [
        "unknown",
        "_hidden",
        "",
        ",",
        "203.0.113.9, unknown",
        "203.0.113.9,",
        "203.0.113.9, unknown, 10.1.2.3",
        "localhost",
        "for=203.0.113.9",
        "203.0.113.9:port",
        "203.0.113.9:80:80",
        "203.0.113.256",
        "[2001:db8::1",
        "[]:80",
        "[203.0.113.9",
        "\xb2.\xb2.\xb2.\xb2",
        "1" * 60_000,
        "[" * 60_000,
    ],
)
def test_anything_else_is_nobody_s_address_and_never_the_client_s_claim(forwarded):
    assert seen(HTTP_X_FORWARDED_FOR=forwarded, HTTP_X_FORWARDED_PROTO="https") == ("", "https")


@pytest.mark.parametrize("peer", [PROXY, "::ffff:127.0.0.1", "10.255.255.255"])
def test_a_trusted_proxy_is_known_in_each_spelling(peer):
    assert address_of(CLIENT, peer=peer) == CLIENT


@pytest.mark.parametrize("peer", ["192.168.0.7", "2001:db8::7", "11.0.0.1"])
def test_anybody_else_s_word_is_nothing(peer):
    assert seen(peer=peer, **FORWARDED) == (peer, "http")


# On a Unix socket, granian gives a peer without an address.
@pytest.mark.parametrize("peer", ["", "unix:", "unix", "/run/realmate/realmate.sock"])
def test_on_a_unix_socket_the_proxy_is_believed_only_by_the_word_unix(peer):
    assert seen(peer=peer, **FORWARDED) == ("", "http")
    assert seen(peer=peer, trusted=["unix"], **FORWARDED) == (CLIENT, "https")
    assert seen(peer=peer, trusted=["10.0.0.0/8", "unix"], **FORWARDED) == (CLIENT, "https")


def test_the_word_unix_trusts_no_address():
    assert seen(peer=PROXY, trusted=["unix"], **FORWARDED) == (PROXY, "http")


@pytest.mark.parametrize("claim", ["unix", "198.51.100.1, unix", "198.51.100.1, unix:"])
def test_a_client_of_the_socket_s_proxy_cannot_call_itself_unix(claim):
    assert seen(peer="", trusted=["unix"], HTTP_X_FORWARDED_FOR=claim)[0] == ""


def test_without_a_word_of_the_proxy_a_peer_on_the_socket_has_no_address():
    assert seen(peer="", trusted=["unix"]) == ("", "http")


@pytest.mark.parametrize(
    ("said", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        (" https ", "https"),
        ("http, https", "https"),
        ("https,http", "http"),
        ("https,", "http"),
        ("ftp", "http"),
        ("", "http"),
    ],
)
def test_the_nearest_proxy_names_the_scheme(said, scheme):
    found = seen(HTTP_X_FORWARDED_FOR=CLIENT, HTTP_X_FORWARDED_PROTO=said)
    assert found == (CLIENT, scheme)


# The warning


def warned(caplog, *, peer, trusted=(), requests=1, **headers):
    caplog.set_level(logging.WARNING, "realmate.forwarded")
    application = behind_proxies(lambda *_: None, list(trusted))
    for _ in range(requests):
        application({"REMOTE_ADDR": peer} | headers, None)
    return caplog.messages


@pytest.mark.parametrize("header", FORWARDED)
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3", "172.17.0.1", "fd00::1", "unix"])
def test_a_proxy_that_is_not_trusted_is_named_once(caplog, peer, header):
    (message,) = warned(caplog, peer=peer, requests=3, **{header: "https"})
    assert f"TRUSTED_PROXIES={peer}." in message


def test_the_advice_keeps_the_proxies_that_are_trusted(caplog):
    (message,) = warned(caplog, peer="172.17.0.1", trusted=["10.0.0.0/8"], **FORWARDED)
    assert "TRUSTED_PROXIES=10.0.0.0/8,172.17.0.1." in message


@pytest.mark.parametrize(
    ("peer", "trusted", "headers"),
    [
        ("127.0.0.1", ["127.0.0.1"], FORWARDED),
        ("127.0.0.1", [], {}),
        ("8.8.8.8", [], FORWARDED),
        ("", ["unix"], FORWARDED),
        ("", [], {}),
    ],
    ids=["trusted", "no headers", "from the internet", "trusted socket", "no headers on a socket"],
)
def test_otherwise_nothing_is_said(caplog, peer, trusted, headers):
    assert warned(caplog, peer=peer, trusted=trusted, **headers) == []


def test_the_production_server_says_so_in_its_log(tmp_path):
    with serving("granian", tmp_path, **BEHIND, GRANIAN_WORKERS="1") as server:
        for _ in range(3):
            server.ask("GET", "/ui/", X_Forwarded_For=CLIENT, X_Forwarded_Proto="https")
    assert (tmp_path / "granian.log").read_text().count("TRUSTED_PROXIES=127.0.0.1.") == 1
