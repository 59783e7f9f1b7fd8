"""The pages in a browser's view: their language, their headers, and fragments equal to their parts."""

import re
from html import unescape

import pytest

from tests.conftest import OTHER_C, C, M, make_event


@pytest.fixture
def get(client):
    return lambda address, **headers: client.get(address, headers=headers).content.decode()


@pytest.mark.parametrize(
    ("asked", "lang"), [("", "pt-BR"), ("pt-BR,pt", "pt-BR"), ("en-US,en", "en"), ("fr", "pt-BR")]
)
@pytest.mark.parametrize("address", ["/ui/", "/ui/nowhere/else"])
def test_a_page_speaks_the_readers_language(db, get, asked, lang, address):
    assert f'<html lang="{lang}" ' in get(address, accept_language=asked)


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


def part(html, start, end):
    begin = html.index(start)
    return html[begin : html.index(end, begin) + len(end)]


def test_the_poll_brings_the_same_parts_as_the_page(deliver, client, get, held):
    deliver(make_event("NEW_CONVERSATION", id=C))
    asked = held(f"/ui/{C}/")
    deliver(make_event("NEW_MESSAGE", id=M, content="Olá *você*"))
    page = get(f"/ui/{C}/")
    fragments = client.get("/ui/fragments/poll/", asked).content.decode()
    fragments = fragments.replace(' hx-swap-oob="true"', "")
    for start, end in [
        (f'<li class="message message--received" id="message-{M}"', "</li>"),
        ('<div class="list" id="list"', "</div>"),
        ('<p class="thread-state"', "</p>"),
        ('<p class="closed-banner"', "</p>"),
        ('<p class="system" id="closed-line"', "</p>"),
        ('<span class="count" id="count-all"', "</span>"),
    ]:
        assert part(fragments, start, end) == part(page, start, end)


def test_a_list_that_has_become_longer_than_its_page_is_told_of_more(deliver, client, held):
    for n in range(50):
        at = f"2025-02-21T10:21:{n:02}"
        deliver(make_event("NEW_CONVERSATION", id=f"00000000-0000-4000-8000-{n:012}", at=at))
    asked = held("/ui/")
    assert client.get("/ui/fragments/poll/", asked).status_code == 204
    deliver(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:20:00"))
    assert 'id="more"' in client.get("/ui/fragments/poll/", asked).content.decode()


def test_a_row_shows_a_text_without_its_marks_and_a_script_as_text(deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M, content="*Oi* <script>"))
    assert '<span dir="auto">Oi &lt;script&gt;</span>' in get("/ui/")


def test_who_wrote_after_closing_is_said_to_where_others_stand_too(deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    assert "row-alert" in get("/ui/")
    shown = get("/ui/?filter=wrote-after-closing")
    assert f'id="row-{C}"' in shown
    assert "row-alert" not in shown


def test_a_conversation_without_messages_says_so(deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=C))
    state = part(get(f"/ui/{C}/"), '<p class="thread-state"', "</p>")
    assert "nenhuma mensagem" in state


LATER = "2025-02-21T11:00:00"


@pytest.mark.parametrize(
    ("address", "event", "status"),
    [
        ("/ui/", make_event("NEW_CONVERSATION", id=OTHER_C, at=LATER), 200),
        ("/ui/", make_event("NEW_MESSAGE", id=M, at=LATER), 200),  # refused, and said so
        ("/ui/", make_event("NEW_CONVERSATION", id=C), 204),
        ("/ui/", make_event("CLOSE_CONVERSATION", id=C), 204),
        ("/ui/?filter=open", make_event("NEW_MESSAGE", id=M, at=LATER), 204),
        (f"/ui/{C}/?filter=open", make_event("NEW_MESSAGE", id=M, at=LATER), 200),
        (f"/ui/{C}/?filter=open", make_event("NEW_CONVERSATION", id=OTHER_C, at=LATER), 200),
        (f"/ui/{C}/?q=x", make_event("NEW_MESSAGE", id=M, at=LATER), 200),
        (f"/ui/{C}/?q=x", make_event("NEW_CONVERSATION", id=OTHER_C, at=LATER), 204),
    ],
)
def test_the_poll_tells_of_what_is_shown_and_of_nothing_else(
    deliver, client, held, address, event, status
):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    asked = held(address)
    assert client.get("/ui/fragments/poll/", asked).status_code == 204
    deliver(event)
    assert client.get("/ui/fragments/poll/", asked).status_code == status


def test_times_are_marked_up_in_utc_and_shown_in_the_display_zone(deliver, get):
    deliver(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T01:20:41"))
    page = get(f"/ui/{C}/")
    assert (
        '<time datetime="2025-02-21T01:20:41Z" data-format="full">20/02/2025, 22:20</time>' in page
    )
    assert "fuso de Brasília" in part(page, "<noscript>", "</noscript>")


@pytest.mark.parametrize(
    ("language", "forms"),
    [
        ("en", ["02/20/2025, 10:20 PM", "Thursday, February 20, 2025", "10:21 PM"]),
        ("pt-BR", ["20/02/2025, 22:20", "Quinta-feira, 20 de fevereiro de 2025", "22:21"]),
    ],
)
def test_times_have_the_form_that_the_script_gives_them(deliver, get, language, forms):
    deliver(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T01:20:41"))
    deliver(make_event("NEW_MESSAGE", id=M, at="2025-02-21T01:21:00"))
    thread = part(get(f"/ui/{C}/", accept_language=language), 'id="messages"', "</ol>")
    assert re.findall(r"<time[^>]*>(.*?)</time>", thread) == forms


@pytest.mark.parametrize("short", [C[-8:], C[-8:].upper(), f" {C[-8:]} ", C[:8]])
def test_the_letters_that_a_conversation_is_shown_by_lead_to_it(deliver, client, short):
    deliver(make_event("NEW_CONVERSATION", id=C))
    assert client.get("/ui/search/", {"q": short})["Location"] == f"/ui/{C}/"


def test_letters_that_two_conversations_are_shown_by_lead_to_neither(deliver, client):
    for id in (C, f"{C[:8]}{M[8:]}"):
        deliver(make_event("NEW_CONVERSATION", id=id))
    assert client.get("/ui/search/", {"q": C[:8]}).status_code == 200


def test_a_bad_range_of_a_static_file_is_said_to_be_one(client):
    answer = client.get("/static/chat/inbox.css", headers={"range": "bytes=9999999-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")


# Links from a thread keep the list beside the thread


@pytest.fixture
def many(deliver):
    """Conversations for two pages of the list. C, the oldest, has messages for three pages."""
    deliver(make_event("NEW_CONVERSATION", id=C, at="2025-02-21T10:00:00"))
    for n in range(120):
        id = f"00000000-0000-4000-8000-{n:012}"
        at = f"2025-02-21T10:0{n // 60}:{n % 60:02}"
        deliver(make_event("NEW_MESSAGE", id=id, content=f"boleto {n}", at=at))
    for n in range(60):
        id = f"{n:08x}-0000-4000-8000-000000000000"
        deliver(make_event("NEW_CONVERSATION", id=id, at=f"2025-02-21T09:00:{n:02}"))


def found(html, pattern):
    return unescape(re.search(pattern, html)[1])


def second_page(get):
    """Return the queries of the second page of the list, and of the second page of hits."""
    rows, hits = get("/ui/"), get("/ui/search/?q=bol")
    return [
        found(rows, r'class="more-link"[^>]* href="\?(cursor=[^"]*)"'),
        found(hits, r'class="more-link"[^>]* href="[^"]*\?(q=bol[^"]*)"'),
    ]


def test_messages_and_older_and_newer_ones_keep_what_stands_beside(many, get):
    middle = "00000000-0000-4000-8000-000000000060"
    for beside in ["filter=open&sort=oldest", *second_page(get)]:
        html = get(f"/ui/{C}/?message={middle}&{beside}")
        assert found(html, rf'class="message-link" href="(/ui/{C}/[^"]*)"').endswith(f"&{beside}")
        for way in ("before", "after"):
            assert found(html, rf'class="more-link"[^>]* href="(\?{way}=[^"]*)"').endswith(
                f"&{beside}"
            )


def test_by_default_an_address_says_nothing_of_what_stands_beside(many, get):
    html = get(f"/ui/{C}/?filter=all")
    last = "00000000-0000-4000-8000-000000000119"
    assert f'class="message-link" href="/ui/{C}/?message={last}"' in html
    assert found(html, r'id="back" href="([^"]*)"') == "/ui/"


def test_a_row_and_the_way_back_keep_the_page_of_the_list(many, get):
    for beside in second_page(get):
        place = "/ui/search/" if "q=" in beside else "/ui/"
        row = found(get(f"{place}?{beside}"), r'class="row" href="([^"]*)"')
        assert row.endswith(beside)
        assert found(get(row), r'id="back" href="([^"]*)"') == f"{place}?{beside}"


def test_rows_that_are_loaded_keep_the_page_that_they_are_loaded_to(many, get):
    html = get("/ui/?sort=oldest")
    more = get(found(html, r'hx-get="(/ui/fragments/list/[^"]*)"'))
    assert re.findall(r'class="row" href="[^"?]*(.*?)"', more) == ["?sort=oldest"] * 11
    beside = second_page(get)[0]
    begun = get(f"/ui/fragments/list/?{beside}&begins={beside.removeprefix('cursor=')}")
    assert found(begun, r'class="row" href="[^"?]*\?([^"]*)"') == beside


def test_an_error_page_leads_to_all_pages(db, get):
    nav = part(get("/ui/no/such/page"), '<nav class="rail"', "</nav>")
    assert re.findall(r'href="([^"]*)"', nav) == ["/ui/", "/ui/deliveries/", "/ui/stats/"]


@pytest.mark.parametrize("address", ["/ui/deliveries/", "/ui/stats/"])
def test_what_is_not_for_agents_is_linked_at_the_foot(db, get, client, address):
    foot = part(get(address), '<p class="page-foot">', "</p>")
    links = re.findall(r'href="([^"]*)"', foot)
    assert links == ["/docs/", "/admin/"]
    assert [client.get(link).status_code for link in links] == [200, 302]


def test_the_reply_button_leads_to_where_agents_answer(deliver, get, settings):
    deliver(make_event("NEW_CONVERSATION", id=C))
    assert 'class="reply"' not in get(f"/ui/{C}/")
    settings.REPLY_URL = "https://desk.example/?a=1&conversation={id}"
    link = get(f"/ui/{C}/").partition('class="reply"')[2].partition(">")[0]
    assert f'href="https://desk.example/?a=1&amp;conversation={C}"' in link
    assert 'target="_blank" rel="noopener noreferrer"' in link
