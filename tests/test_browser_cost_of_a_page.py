"""The cost of an older page of a thread in a real Chromium, with 10,000 messages loaded and with 100."""

from statistics import median

import pytest
from playwright.sync_api import expect

from tests.conftest import C
from tests.live_thread import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

PAGE = 50
MEASURED = 15  # pages, of each kind
IS_LOADED = "id => document.querySelector('.message').id !== id"
IS_DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
OWN_WORK = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")


class Reader:
    """Load older pages. Keep the seconds of each page, and the pixels of the text's jump."""

    def __init__(self, page):
        self.page = page
        self.browser = page.context.new_cdp_session(page)
        self.browser.send("Performance.enable")
        self.own_work, self.all_tasks, self.moved = [], [], []

    def durations(self):
        metrics = self.browser.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}

    def load_older(self):
        before = self.durations()
        first, place = scroll(self.page, 0)
        self.page.wait_for_function(IS_LOADED, arg=first)
        self.page.evaluate(IS_DRAWN)
        after = self.durations()
        self.own_work.append(sum(after[name] - before[name] for name in OWN_WORK))
        self.all_tasks.append(after["TaskDuration"] - before["TaskDuration"])
        self.moved.append(abs(place_of(self.page, first) - place))


@pytest.mark.by_hand(
    "loads 10,000 messages, so it takes minutes; a busy machine gives other figures"
)
def test_an_older_page_costs_the_same_after_10000_messages_as_after_100(page, store):
    store(10_000 + (MEASURED + 2) * PAGE)
    few, many = Reader(page), Reader(page)
    for _ in range(MEASURED):
        page.goto(f"/ui/{C}/")
        expect(page.locator(".message")).to_have_count(PAGE)
        few.load_older()
        few.load_older()  # only the second one counts, because 100 messages are loaded before
    for _ in range((10_000 - 3 * PAGE) // PAGE + MEASURED):
        many.load_older()
    pairs = {
        "script, styles and layout": (few.own_work[1::2], many.own_work[-MEASURED:]),
        "all tasks of the page": (few.all_tasks[1::2], many.all_tasks[-MEASURED:]),
    }
    moved = max(few.moved + many.moved)
    print(f"\nthe text in view moved by {moved:.3f} px at most")
    ratios = {name: ratio(name, *figures) for name, figures in pairs.items()}
    assert moved <= 0.5
    assert ratios["script, styles and layout"] < 2
    assert ratios["all tasks of the page"] < 3


def ratio(name, *figures):
    short, long = map(median, figures)
    print(f"{name}: {short:.3f} s after 100, {long:.3f} s after 10,000: {long / short:.2f} times")
    return long / short
