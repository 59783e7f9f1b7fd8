"""Fixtures and steps for tests of the inbox in a real Chromium. The tests move its clock on."""

import re
from datetime import datetime, timedelta
from itertools import count

import pytest
from playwright.sync_api import TimeoutError as NotSeen
from playwright.sync_api import expect

from tests.conftest import id_of, make_event

POLL = re.compile("/ui/fragments/poll/")
START = datetime(2025, 2, 21, 10, 0)

SET_VISIBILITY = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
STORED = "() => JSON.stringify([{...localStorage}, {...sessionStorage}])"


def names(*numbers):
    return [id_of(n)[:8] for n in numbers]


def row_of(page, n):
    return page.locator(f"#row-{id_of(n)} .row")


def opened(n, at=None):
    at = at or START + timedelta(seconds=n)
    return make_event("NEW_CONVERSATION", id=id_of(n), at=at.isoformat())


@pytest.fixture
def page(page):
    page.clock.install()
    return page


@pytest.fixture
def start(deliver):
    """Open so many conversations, numbered from 0 in the order of their opening."""

    def start(conversations):
        for n in range(conversations):
            deliver(opened(n))

    return start


@pytest.fixture
def say(deliver):
    """Add a message to the n-th conversation. Each message is later than the one before."""
    ticks = count(1)

    def say(n, content="Olá", direction="RECEIVED"):
        tick = next(ticks)
        at = (START + timedelta(minutes=30, seconds=tick)).isoformat()
        texts = {"content": content, "direction": direction, "conversation_id": id_of(n)}
        deliver(make_event("NEW_MESSAGE", id=id_of(0xFFFF + tick), at=at, **texts))

    return say


@pytest.fixture
def close(deliver):
    at = (START + timedelta(minutes=50)).isoformat()
    return lambda n: deliver(make_event("CLOSE_CONVERSATION", id=id_of(n), at=at))


@pytest.fixture
def polls(page):
    """Return the requests of the page's polls so far."""
    asked = []
    page.on("request", lambda request: POLL.search(request.url) and asked.append(request))
    return asked


def pass_time(page, seconds=3):
    page.clock.fast_forward(seconds * 1000)


def stop_time(page):
    """Stop the page's timers, but end timers of the next two seconds at once."""
    page.clock.pause_at(page.evaluate("Date.now() / 1000") + 2)


def poll(page, seconds=3):
    """Let the page poll. Return the answer once htmx has processed the answer."""
    answer = soon(page, "response", seconds)
    page.wait_for_function("() => !document.querySelector('#poller.htmx-request')")
    return answer


def miss(page, seconds):
    """Let the page poll without an answer. Return the failed request."""
    return soon(page, "requestfailed", seconds)


def soon(page, event, seconds):
    """Move the clock on, and return the event of the next poll. Retry if the last poll was still open."""
    for _ in range(10):
        try:
            with page.expect_event(event, lambda it: POLL.search(it.url), timeout=5_000) as seen:
                pass_time(page, seconds)
        except NotSeen:
            continue
        return seen.value
    raise AssertionError("the page does not poll")


def shows(page, *numbers):
    expect(page.locator(".row-name")).to_have_text(names(*numbers))


def hide(page, hidden=True):
    page.evaluate(SET_VISIBILITY, hidden)


def freeze(page):
    """Put the focus into the list, so the list keeps its order."""
    page.locator(".row").first.focus()


def leave(page):
    page.locator("#search-box").focus()


def fail_polls(page, status=503):
    if status:
        page.route(POLL, lambda route: route.fulfill(status=status, body="<p id=list>broken</p>"))
    else:
        page.route(POLL, lambda route: route.abort())


def hold_first_poll(page, then=lambda route: route.continue_()):
    """Let the page poll, and hold the answer back. The test ends the wait with the returned route."""
    held = []
    page.route(POLL, lambda route: then(route) if held else held.append(route))
    with page.expect_request(POLL):
        pass_time(page)
    return held
