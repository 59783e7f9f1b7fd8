"""Long threads in a real Chromium: the cost of an older page, and the moment of its request."""

import pytest
from playwright.sync_api import expect

from tests.conftest import C
from tests.live_thread import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

# Counts the work of the page's own script for one more page: texts formatted as times, places
# measured, and elements returned by searches.
COUNT = """() => {
    const count = window.work = { formats: 0, places: 0, found: 0 };
    const wrap = (owner, name, tell) => {
        const native = owner[name];
        owner[name] = function (...given) {
            const answer = native.apply(this, given);
            tell(answer);
            return answer;
        };
    };
    const parse = Date.parse;
    Date.parse = (text) => { count.formats += 1; return parse(text); };
    wrap(Element.prototype, "getBoundingClientRect", () => { count.places += 1; });
    for (const owner of [Element.prototype, Document.prototype]) {
        wrap(owner, "querySelectorAll", (found) => { count.found += found.length; });
    }
}"""
SHOW_MORE = """number => {
    const list = document.getElementById("messages");
    const pattern = list.querySelector(".message");
    const end = list.lastElementChild;
    for (let n = 0; n < number; n++) {
        const message = pattern.cloneNode(true);
        message.id = `clone-${n}`;
        end.before(message);
    }
}"""


def older_page(page, top=0):
    """Scroll to the top, and wait for the messages before."""
    before = page.locator(".message").count()
    page.locator("#thread-scroll").evaluate("(scroller, top) => scroller.scrollTo(0, top)", top)
    page.wait_for_function("n => document.getElementsByClassName('message').length > n", arg=before)


def work_of_an_older_page(page, shown):
    page.goto(f"/ui/{C}/")
    page.evaluate(SHOW_MORE, shown)
    page.evaluate(COUNT)
    older_page(page)
    expect(page.locator("#messages .message")).to_have_count(100 + shown)
    return page.evaluate("window.work")


def test_an_older_page_is_as_much_work_among_many_messages_as_among_few(page, store):
    store(200)
    show_at_most(page, 10_000)
    few, many = (work_of_an_older_page(page, shown) for shown in (50, 3000))
    assert few["places"] > 0
    for kind, amount in many.items():
        assert amount < 2 * few[kind] + 100, kind


def test_an_older_page_is_asked_for_before_its_edge_is_in_view(page, store):
    store(200)
    page.set_viewport_size({"width": 1000, "height": 700})
    page.goto(f"/ui/{C}/")
    expect(page.locator(".message")).to_have_count(50)
    edge = page.locator(".edge--older")
    expect(edge).not_to_be_in_viewport()
    older_page(page, top=400)
    expect(page.locator(".message")).to_have_count(100)


def test_a_date_in_the_menu_leads_to_the_first_message_of_that_day(page, store):
    store(2000)
    page.goto(f"/ui/{C}/?filter=open")
    page.locator(".thread-header summary").last.click()
    page.get_by_label("Jump to a date").fill("2025-02-22")
    page.get_by_role("button", name="Go", exact=True).click()
    highlighted = page.locator(".message--highlighted")
    expect(highlighted).to_be_in_viewport()
    expect(highlighted).to_contain_text("Mensagem 900")
    assert "filter=open" in page.url
