"""Back and Forward in a real Chromium. The clock is real too, because a faked one ignores reloads."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.conftest import id_of, make_event

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

START = datetime(2025, 2, 21, 10, 0)


def open_what_is_in_view(page):
    """Click without scrolling, because a click by a locator may scroll the list."""
    page.locator("#list-scroll").click(position={"x": 150, "y": 200})


@pytest.fixture
def start(deliver):
    """Store conversations, numbered from 0. The last one is opened last, and the first one has a message."""

    def start(conversations, *, words=0):
        for n in range(conversations):
            at = (START + timedelta(seconds=n)).isoformat()
            deliver(make_event("NEW_CONVERSATION", id=id_of(n), at=at))
            if n < words:
                ids = {"id": id_of(n), "conversation_id": id_of(n)}
                deliver(make_event("NEW_MESSAGE", at=at, content="boleto", **ids))

    return start


def is_at(page, rows, top):
    expect(page.locator("#list .row")).to_have_count(rows)
    page.wait_for_function(
        "top => Math.abs(document.getElementById('list-scroll')?.scrollTop - top) <= 2", arg=top
    )


def go_down(page, pages, top):
    """Load so many more pages of the list, and then scroll to an offset."""
    for _ in range(pages):
        rows = page.locator("#list .row").count()
        page.locator("#more a").click()
        page.wait_for_function("n => document.querySelectorAll('#list .row').length > n", arg=rows)
    page.locator("#list-scroll").evaluate("(list, top) => list.scrollTo(0, top)", top)


def test_back_leads_to_the_same_place_in_a_list_also_after_a_reload(page, start):
    start(170)
    page.goto("/ui/")
    go_down(page, 2, 7000)
    open_what_is_in_view(page)
    expect(page.locator("#thread")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    is_at(page, 150, 7000)
    page.go_forward()
    expect(page.locator("#thread")).to_be_visible()
    is_at(page, 150, 7000)
    page.reload()
    is_at(page, 150, 7000)
    expect(page.locator("body")).to_be_focused()
    page.go_back()
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    is_at(page, 150, 7000)
    assert re.fullmatch(r"[-\d.,\[\]]+", page.evaluate("sessionStorage['realmate.places']"))


def test_back_from_another_page_leads_to_the_same_place_and_a_link_to_the_top(page, start):
    start(70)
    page.goto("/ui/")
    go_down(page, 1, 3000)
    page.get_by_role("link", name="Deliveries").click()
    page.go_back()
    is_at(page, 70, 3000)
    page.get_by_role("link", name="Chats").first.click()
    is_at(page, 50, 0)


def test_back_from_another_filter_or_from_a_hit_leads_to_the_same_place(page, start):
    start(60, words=40)
    page.goto("/ui/")
    go_down(page, 0, 1500)
    page.locator("#filter-needs-reply").click()
    is_at(page, 40, 0)
    page.go_back()
    is_at(page, 50, 1500)
    page.goto("/ui/search/?q=boleto")
    go_down(page, 0, 900)
    open_what_is_in_view(page)
    expect(page.locator(".message--highlighted")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    is_at(page, 30, 900)


def test_back_on_a_phone_leads_to_the_same_place(page, start):
    page.set_viewport_size({"width": 320, "height": 640})
    start(70)
    page.goto("/ui/")
    go_down(page, 1, 3000)
    open_what_is_in_view(page)
    expect(page.locator("#thread")).to_be_visible()
    page.reload()
    page.go_back()
    expect(page.locator("#thread")).to_be_hidden()
    is_at(page, 70, 3000)


# Threads


FIRST_IN_VIEW = """() => {
    const scroller = document.getElementById("thread-scroll");
    if (!scroller) return [null, 0];
    const edge = scroller.getBoundingClientRect().top;
    const isInView = li => li.getBoundingClientRect().bottom > edge;
    const first = [...scroller.querySelectorAll(".message")].find(isInView);
    if (!first) return [null, 0];
    return [first.id, Math.round(first.getBoundingClientRect().top - edge)];
}"""


@pytest.fixture
def talk(start, deliver):
    start(2)
    for n in range(130):
        at = (START + timedelta(minutes=n)).isoformat()
        deliver(make_event("NEW_MESSAGE", id=id_of(100 + n), at=at, conversation_id=id_of(0)))


def is_in_thread(page, place):
    page.wait_for_function(
        f"([id, top]) => {{ const [now, at] = ({FIRST_IN_VIEW})(); return now === id && Math.abs(at - top) <= 2; }}",
        arg=place,
    )


def test_back_to_a_thread_leads_to_the_same_message(page, talk):
    page.goto(f"/ui/{id_of(0)}/")
    scroller = page.locator("#thread-scroll")
    scroller.evaluate("element => element.scrollTo(0, 0)")
    expect(page.locator(".message")).to_have_count(100)
    scroller.evaluate("element => element.scrollTo(0, 900)")
    place = page.evaluate(FIRST_IN_VIEW)
    page.locator(f"#row-{id_of(1)} .row").click()
    expect(page.locator(".no-messages")).to_be_visible()
    page.go_back()
    is_in_thread(page, place)
    page.reload()
    is_in_thread(page, place)
    page.get_by_role("link", name="Deliveries").first.click()
    page.go_back()
    is_in_thread(page, place)
    assert re.fullmatch(r"[-\d.,\[\]]+", page.evaluate("sessionStorage['realmate.thread-places']"))


def test_back_to_a_thread_that_was_left_at_its_end_leads_to_its_end(page, talk):
    page.goto(f"/ui/{id_of(0)}/")
    page.locator(f"#row-{id_of(1)} .row").click()
    expect(page.locator(".no-messages")).to_be_visible()
    page.go_back()
    expect(page.locator(f"#message-{id_of(229)}")).to_be_in_viewport()
    expect(page.locator(".message")).to_have_count(50)
