"""The pages as a browser gets them: their language, their headers, and fragments equal to their parts."""

import re

import pytest

from tests.conftest import C, M, make_event


@pytest.fixture
def get(client):
    return lambda address, **headers: client.get(address, headers=headers).content.decode()


@pytest.mark.parametrize(
    ("asked", "lang"), [("", "pt-BR"), ("pt-BR,pt", "pt-BR"), ("en-US,en", "en"), ("fr", "pt-BR")]
)
@pytest.mark.parametrize("address", ["/ui/", "/ui/nowhere/else"])
def test_a_page_speaks_the_readers_language(db, get, asked, lang, address):
    assert f'<html lang="{lang}">' in get(address, accept_language=asked)


def test_an_unknown_conversation_is_a_404_that_shows_the_list(deliver, client):
    deliver(make_event("NEW_CONVERSATION", id=C))
    answer = client.get(f"/ui/{M}/")
    assert answer.status_code == 404
    assert f"/ui/{C}/" in answer.content.decode()


def test_pages_load_nothing_from_elsewhere_and_run_nothing_of_their_own(db, client):
    policy = client.get("/ui/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert not re.search("unsafe|https?:|data:|nonce|[*]", policy)


@pytest.mark.parametrize("address", ["/ui/", f"/ui/{C}/", "/ui/no/such/page"])
def test_pages_have_no_script_or_style_inside(deliver, get, address):
    deliver(make_event("NEW_CONVERSATION", id=C))
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", get(address))


def test_pages_are_not_kept_by_anyone(db, client):
    assert "no-store" in client.get("/ui/")["Cache-Control"]


def test_the_poll_brings_the_same_list_and_thread_as_the_page(deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M, content="Olá *você*"))
    page = get(f"/ui/{C}/")
    parts = get(f"/ui/fragments/poll/?conversation={C}&inbox=&revision=")
    fragments = parts.replace(' hx-swap-oob="true"', "")
    for start, end in [('<ol class="thread"', "</ol>"), ('<div id="list"', "</div>")]:
        fragment = fragments[fragments.index(start) : fragments.index(end) + len(end)]
        assert fragment in page


def test_times_are_marked_up_in_utc_and_shown_in_the_display_zone(deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T01:20:41"))
    page = get(f"/ui/{C}/")
    assert '<time datetime="2025-02-21T01:20:41Z">20/02/2025 22:20</time>' in page


def test_a_bad_range_of_a_static_file_is_said_to_be_one(client):
    answer = client.get("/static/chat/inbox.css", headers={"range": "bytes=9999999-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
