"""A long thread in a real Chromium drops the messages far from its reader, and loads them again on the way back."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.conftest import NOW, C, id_of, make_event
from tests.live_thread import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

LIMIT = 100  # the limit is 500 without this script
MOST = LIMIT + 50
SHOWN = """([first, last]) => {
    const list = document.getElementById("messages");
    const numbers = [...list?.querySelectorAll(".message") ?? []].map(li => Number(li.id.slice(-12)));
    return numbers.length === last - first + 1 && numbers.every((n, index) => n === first + index);
}"""
# Counts text nodes outside of elements. Left behind, they would pile up, and make each page slower.
LOOSE = "() => [...document.getElementById('messages').childNodes].filter(node => node.nodeType === 3).length"
KINDS = "() => [...document.querySelectorAll('#messages > li')].map(li => li.classList[0])"
OBSERVERS = """
    window.observers = new Set();
    window.IntersectionObserver = class extends IntersectionObserver {
        constructor(...given) { super(...given); observers.add(this); }
        disconnect() { observers.delete(this); super.disconnect(); }
    };
"""
SELECT = "element => getSelection().selectAllChildren(element)"


@pytest.fixture
def page(page):
    show_at_most(page, LIMIT)
    page.set_viewport_size({"width": 1000, "height": 700})
    return page


@pytest.fixture
def say(deliver):
    """Deliver message number `n`. The stored messages are numbered from 0."""

    def say(n):
        at = (NOW + timedelta(minutes=n)).isoformat()
        ids = {"id": id_of(n), "conversation_id": C}
        assert not deliver(make_event("NEW_MESSAGE", at=at, **ids)).refusal

    return say


def is_shown(page, first, last):
    """Wait for these messages, without a gap or a repeat."""
    page.wait_for_function(SHOWN, arg=[first, last])


def go_up(page, *firsts, last):
    """Load a page of older messages for each of these first ones. No page may move the text in view."""
    for first in firsts:
        seen, place = scroll(page, 0)
        is_shown(page, first, min(last, first + MOST - 1))
        assert abs(place_of(page, seen) - place) <= 0.5


def go_down(page, *lasts):
    for last in lasts:
        seen, place = scroll(page, -1)
        is_shown(page, max(0, last - MOST + 1), last)
        assert abs(place_of(page, seen) - place) <= 0.5


def test_the_newest_are_dropped_on_the_way_up_and_the_oldest_on_the_way_down(page, store, say):
    store(300)
    page.goto(f"/ui/{C}/")
    go_up(page, 200, 150, 100, 50, 0, last=299)
    assert page.evaluate(KINDS) == ["system", "day", *["message"] * MOST, "edge"]
    go_down(page, 199, 249, 299)
    assert page.evaluate(KINDS) == ["edge", "day", *["message"] * MOST]
    scroll(page, -1)
    say(300)
    ask(page)
    expect(bubble(page, 300)).to_be_in_viewport()
    expect(page.locator("#pill")).to_be_hidden()
    go_up(page, 100, last=249)
    assert page.evaluate(LOOSE) < 2 * MOST
    assert page.evaluate(KINDS) == ["edge", "day", *["message"] * MOST, "edge"]


def test_what_the_reader_has_missed_stays_counted_and_the_pill_leads_to_it(page, store, say):
    store(200)
    page.goto(f"/ui/{C}/")
    go_up(page, 100, last=199)
    say(200)
    ask(page)
    expect(page.locator("#pill")).to_have_text("1 new message")
    go_up(page, 50, 0, last=200)
    expect(page.locator("#pill")).to_have_text("1 new message")
    say(201)
    ask(page)
    expect(page.locator("#pill")).to_have_text("2 new messages")
    is_shown(page, 0, MOST - 1)
    page.locator("#pill").click()
    expect(bubble(page, 201)).to_be_in_viewport()
    is_shown(page, 152, 201)


def test_an_answer_from_before_the_end_was_dropped_changes_nothing(page, store, say):
    store(200)
    page.goto(f"/ui/{C}/")
    go_up(page, 100, 50, last=199)
    say(200)
    held = []
    page.route("**/fragments/poll/*", lambda route: held.append((route, route.fetch())))
    ask(page)
    while not held:
        page.wait_for_timeout(50)
    go_up(page, 0, last=199)
    page.unroute("**/fragments/poll/*")
    route, answer = held[0]
    route.fulfill(response=answer)
    expect(page.locator("#pill")).to_have_text("1 new message")
    is_shown(page, 0, MOST - 1)
    expect(page.locator("#arrival")).to_be_disabled()


@pytest.mark.parametrize("by", ["pill", "key"])
def test_where_the_end_is_dropped_a_button_and_a_key_lead_to_it(page, store, by):
    store(200)
    page.goto(f"/ui/{C}/?filter=open")
    go_up(page, 100, 50, last=199)
    expect(page.locator("#pill")).to_be_hidden()
    go_up(page, 0, last=199)
    expect(page.locator("#pill")).to_have_text("Go to the end")
    if by == "pill":
        page.locator("#pill").click()
    else:
        page.locator("#thread-scroll").press("End")
    is_shown(page, 150, 199)
    expect(bubble(page, 199)).to_be_in_viewport()
    expect(page.locator("#pill")).to_be_hidden()
    assert page.url.endswith("?filter=open")


def test_on_the_way_back_the_button_goes_where_the_end_is_loaded(page, store):
    store(240)
    page.goto(f"/ui/{C}/?message={id_of(20)}")
    expect(page.locator("#pill")).to_have_text("Go to the end")
    for last in (94, 144, 194, 239):
        scroll(page, -1)
        expect(bubble(page, last)).to_be_attached()
    expect(page.locator("#pill")).to_be_hidden()


def test_selected_text_is_not_dropped(page, store):
    store(320)
    page.goto(f"/ui/{C}/")
    bubble(page, 310).evaluate(SELECT)
    for first in (220, 170, 120):
        scroll(page, 0)
        is_shown(page, first, 319)
    assert "Mensagem 310" in page.evaluate("String(getSelection())")
    page.evaluate("getSelection().removeAllRanges()")
    go_up(page, 70, last=319)


def test_the_focus_moves_from_a_dropped_message_to_the_thread(page, store):
    store(320)
    page.goto(f"/ui/{C}/")
    bubble(page, 319).locator(".message-link").focus()
    go_up(page, 220, 170, last=319)
    expect(bubble(page, 319).locator(".message-link")).to_be_focused()
    go_up(page, 120, last=319)
    expect(page.locator("#thread-scroll")).to_be_focused()


def test_back_leads_to_a_message_beyond_the_limit(page, store):
    store(400)
    page.goto(f"/ui/{C}/")
    go_up(page, 300, 250, 200, 150, 100, last=399)
    seen, place = scroll(page, 1500)
    page.get_by_role("link", name="Deliveries", exact=True).click()
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
    page.go_back()
    expect(page.locator(f"#{seen}")).to_be_in_viewport()
    assert abs(place_of(page, seen) - place) <= 1
    # The page holds all messages from the end on. The next page drops the newest ones.
    is_shown(page, 100, 399)
    go_up(page, 50, last=399)


def test_paper_and_the_closing_line_tell_that_the_end_was_dropped(page, store, deliver):
    store(200)
    deliver(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-22T12:00:00"))
    page.goto(f"/ui/{C}/")
    expect(page.locator("#closed-line")).to_be_visible()
    go_up(page, 100, 50, 0, last=199)
    expect(page.locator(".edge--older")).to_have_count(0)
    expect(page.locator("#closed-line")).to_be_hidden()
    expect(page.locator("#pill")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".print-note")).to_be_visible()
    expect(page.locator("#pill")).to_be_hidden()


def test_a_page_keeps_no_observers_of_links_that_are_gone(page, store):
    store(300)
    page.add_init_script(OBSERVERS)
    page.goto(f"/ui/{C}/")
    go_up(page, 200, last=299)
    before = page.evaluate("observers.size")
    go_up(page, 150, 100, 50, last=299)
    assert 0 < page.evaluate("observers.size") <= before


def test_a_link_that_waits_for_its_answer_is_not_dropped(page, store):
    store(300)
    held = []
    page.route("**/fragments/thread/**after=*", lambda route: held.append(route))
    page.goto(f"/ui/{C}/?message={id_of(175)}")
    scroll(page, -1)
    expect(page.locator("#edge-newer .htmx-request")).to_be_attached()
    for first in (100, 50, 0):
        scroll(page, 0)
        is_shown(page, first, 199)
    held[0].continue_()
    is_shown(page, 0, 249)
