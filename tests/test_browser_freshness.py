"""The line about the freshness of the inbox, in a real Chromium with a clock moved by the tests."""

import re

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *
from tests.test_browser_live import COUNT_MUTATIONS

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

SECONDS_AGO = re.compile(r"^Live, (now|\ds? ?(sec\.)? ago)$")


def says(page, words):
    expect(page.locator("#poller")).to_have_attribute("data-freshness", words)


def box(page, selector):
    return page.locator(selector).bounding_box()


def test_a_line_says_how_long_ago_the_last_answer_came(page, failures, start):
    start(1)
    page.goto("/ui/")
    poll(page)
    says(page, SECONDS_AGO)
    fail_polls(page, status=None)
    miss(page, 3)
    pass_time(page, 2)
    says(page, re.compile(r"^Live, [5-9]\D"))
    page.unroute(POLL)
    poll(page, 6)
    says(page, "Live, now")


def test_the_line_is_in_view_and_speaks_with_its_own_words(page, start):
    start(1)
    page.goto("/ui/?lang=pt-BR")
    poll(page)
    expect(page.locator("#poller")).to_be_in_viewport(ratio=1)
    says(page, re.compile(r"^Ao vivo, (agora|há \d)"))
    assert "Ao vivo" in page.evaluate("getComputedStyle(poller, '::before').content")


@pytest.mark.parametrize("width", [320, 1440])
@pytest.mark.parametrize("n", [None, 0])
def test_the_line_covers_nothing_and_needs_no_scrolling(page, start, width, n):
    start(30)
    page.set_viewport_size({"width": width, "height": 640})
    page.goto("/ui/" if n is None else f"/ui/{id_of(n)}/")
    says(page, re.compile("^Live"))
    line, panes = box(page, "#poller"), box(page, "#main")
    assert panes["y"] + panes["height"] <= line["y"] + 0.5
    assert line["y"] + line["height"] <= 640.5
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_line_counts_and_nothing_else_changes(page, start):
    start(2)
    page.goto(f"/ui/{id_of(0)}/")
    poll(page)
    page.evaluate(COUNT_MUTATIONS)
    before = box(page, "#poller"), box(page, "#main")
    for _ in range(3):
        page.clock.run_for(1_000)
    says(page, re.compile(r"^Live"))
    assert poll(page).status == 204
    assert page.evaluate("window.mutations") == 0
    assert (box(page, "#poller"), box(page, "#main")) == before


def test_the_line_says_since_when_the_page_is_paused(page, start):
    start(1)
    page.clock.set_system_time("2025-02-21T12:02:00Z")
    page.goto("/ui/")
    page.locator("#pause").click()
    says(page, re.compile("^Paused, as of "))
    kept = page.locator("#poller").get_attribute("data-freshness")
    pass_time(page, 600)
    says(page, kept)
    page.locator("#pause").click()
    says(page, re.compile("^Live"))


def test_the_line_says_since_when_the_server_is_gone(page, failures, start):
    start(1)
    page.goto("/ui/")
    poll(page)
    fail_polls(page, status=None)
    miss(page, 3)
    miss(page, 6)
    says(page, re.compile(r"^Not updated since \d"))
    page.unroute(POLL)
    poll(page, 12)
    says(page, "Live, now")


def test_the_line_says_since_when_the_session_is_over(page, failures, start):
    start(1)
    page.goto("/ui/")
    fail_polls(page, status=401)
    poll(page)
    says(page, re.compile(r"^Not updated since \d"))


def test_a_proxys_page_does_not_make_the_page_fresh(page, failures, start):
    start(1)
    page.goto("/ui/")
    page.route(POLL, lambda route: route.fulfill(status=200, body="<p>Proxy</p>"))
    for wait in (3, 6):
        poll(page, wait)
    says(page, re.compile(r"^Not updated since \d"))


def test_screen_readers_and_paper_skip_the_line(page, start):
    start(1)
    page.goto("/ui/")
    says(page, re.compile("^Live"))
    expect(page.locator("#poller")).to_have_attribute("aria-hidden", "true")
    assert page.locator("#poller :is([role], [aria-live], a, button)").count() == 0
    page.emulate_media(media="print")
    expect(page.locator("#poller")).to_be_hidden()


def test_without_javascript_there_is_no_line(chromium, live_server, start):
    start(1)
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/ui/")
    assert page.locator("#poller").get_attribute("data-freshness") is None
    context.close()
