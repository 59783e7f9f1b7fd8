"""The inbox in a real Chromium at 400 % zoom: WCAG 1.4.10."""

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


SIZES = [(320, 200), (320, 256)]
# Finds buttons and fields covered or out of reach, at every scroll position.
OUT_OF_REACH = """() => [...document.querySelectorAll("a:not(.skip-link), button, summary, #search-box")]
    .filter(each => each.checkVisibility())
    .filter(each => {
        each.scrollIntoView({ block: "nearest" });
        const { x, y, width, height } = each.getBoundingClientRect();
        return !each.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    })
    .map(each => each.outerHTML.slice(0, 90))"""
SCROLLS_SIDEWAYS = """() => [...document.querySelectorAll("*")]
    .filter(each => each.scrollWidth > each.clientWidth
        && ["auto", "scroll"].includes(getComputedStyle(each).overflowX))
    .map(each => each.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_enlarged_everything_is_reached_by_scrolling_down_alone(page, start, say, close, size):
    start(2)
    for n in range(8):
        say(1, f"Mensagem {n}")
    close(0)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for address in (
        "/ui/",
        f"/ui/{id_of(1)}/",
        f"/ui/{id_of(0)}/",
        "/ui/search/?q=mensagem&exact=on",
    ):
        page.goto(f"{address}{'&' if '?' in address else '?'}lang=pt-BR")
        assert page.evaluate(OUT_OF_REACH) == []
        assert page.evaluate(SCROLLS_SIDEWAYS) == []
        assert page.evaluate("document.scrollingElement.scrollWidth") == size[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("rows", [2, 20])
def test_enlarged_the_list_scrolls_to_its_last_row(page, start, size, rows):
    start(rows)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto("/ui/")
    page.locator("#list-pane").evaluate("pane => pane.scrollTo(0, pane.scrollHeight)")
    last = page.locator("#rows a").last
    expect(last).to_be_in_viewport(ratio=1)
    last.click(trial=True)


def test_an_enlarged_list_keeps_its_order_while_it_is_scrolled_and_says_what_is_new(
    page, start, say
):
    start(30)
    page.set_viewport_size({"width": 320, "height": 256})
    page.goto("/ui/")
    page.locator("#list-pane").evaluate("pane => pane.scrollTo(0, 900)")
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_in_viewport(ratio=1)
    assert page.locator("#list-pane").evaluate("pane => pane.scrollTop") == 900
    page.locator("#updated").click()
    shows(page, 0, *range(29, 0, -1))
    expect(row_of(page, 0)).to_be_in_viewport(ratio=1)
