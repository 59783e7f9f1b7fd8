"""The list in a real Chromium: its growth, and the changes of its order."""

import re

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


# Long lists


def test_load_more_appends_without_a_repeat_or_a_gap_and_polls_keep_it(page, start, say):
    start(120)
    page.goto("/ui/")
    page.locator("#more a").click()
    shows(page, *range(119, 19, -1))
    page.locator("#more a").click()
    shows(page, *range(119, -1, -1))
    expect(page.locator("#more")).to_have_count(0)
    leave(page)
    page.mouse.move(900, 300)
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 0)")
    say(3)
    pass_time(page)
    shows(page, 3, *range(119, 3, -1), 2, 1, 0)


def test_load_more_is_a_link_to_the_rest(page, start):
    start(60)
    page.goto("/ui/")
    page.goto(page.locator("#more a").evaluate("link => link.href"))
    shows(page, *range(9, -1, -1))


def test_more_rows_keep_the_selected_one_and_take_the_focus_of_the_link(page, start):
    start(60)
    page.goto(f"/ui/{id_of(5)}/")
    row_of(page, 59).click()
    expect(page.locator(".row[aria-current]")).to_have_count(1)
    expect(page.locator(".thread-title")).to_have_text(names(59))  # the row is marked earlier
    page.locator("#more a").press("Enter")
    expect(row_of(page, 9)).to_be_focused()
    expect(page.locator(".row[aria-current] .row-name")).to_have_text(names(59))


def test_more_rows_are_not_lost_to_a_poll_that_was_under_way(page, start, say):
    start(60)
    page.goto("/ui/")
    held = hold_first_poll(page, then=lambda route: route.fulfill(status=204))
    say(59)
    page.locator("#more a").click()
    expect(page.locator(".row")).to_have_count(60)
    with page.expect_response(POLL):
        held[0].continue_()
    leave(page)
    page.mouse.move(900, 300)
    poll(page)
    expect(page.locator(".row")).to_have_count(60)


def test_a_list_of_500_rows_goes_on_on_a_page_of_its_own(page, start):
    start(110)
    page.goto("/ui/")
    page.evaluate(
        """() => { for (let n = 0; n < 450; n++) {
            const row = document.querySelector(".row-item").cloneNode(true);
            row.id = `row-${n}`;
            document.getElementById("rows").append(row);
        } }"""
    )
    page.locator("#more a").click()
    expect(page).to_have_url(re.compile(r"\?cursor="))
    shows(page, *range(59, 9, -1))


# Order


def test_the_selected_row_stays_selected_when_the_list_is_put_in_order(page, start, say):
    start(3)
    page.goto(f"/ui/{id_of(1)}/")
    say(0)
    pass_time(page)
    shows(page, 0, 2, 1)
    say(1)
    pass_time(page)
    shows(page, 1, 0, 2)
    expect(page.locator(".row[aria-current] .row-name")).to_have_text(names(1))


def test_a_focused_list_keeps_its_order_and_shows_what_is_new(page, start, say):
    start(4)
    page.goto("/ui/")
    row_of(page, 1).focus()
    for n in (0, 1, 2):
        say(n, f"Mensagem {n}")
    pass_time(page)
    expect(page.locator("#updated")).to_have_text("3 conversations updated")
    shows(page, 3, 2, 1, 0)
    expect(row_of(page, 0)).to_contain_text("Mensagem 0")
    expect(row_of(page, 1)).to_be_focused()


def test_the_button_puts_the_list_in_order_and_moves_the_focus_to_its_top(page, start, say):
    start(3)
    page.goto("/ui/")
    freeze(page)
    say(0)
    pass_time(page)
    button = page.get_by_role("button", name="1 conversation updated")
    button.press("Enter")
    shows(page, 0, 2, 1)
    expect(row_of(page, 0)).to_be_focused()
    expect(page.locator("#updated")).to_be_hidden()


def test_leaving_the_list_puts_it_in_order(page, deliver, start, say):
    start(3)
    page.goto("/ui/")
    freeze(page)
    say(0)
    deliver(opened(9))
    pass_time(page)
    expect(page.locator("#updated")).to_have_text("2 conversations updated")
    leave(page)
    shows(page, 0, 9, 2, 1)
    expect(page.locator("#updated")).to_be_hidden()


def test_a_hovered_list_keeps_its_order_until_the_pointer_leaves(page, start, say):
    start(3)
    page.goto("/ui/")
    row_of(page, 2).hover()
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_visible()
    shows(page, 2, 1, 0)
    page.mouse.move(900, 300)
    shows(page, 0, 2, 1)


def test_a_scrolled_list_keeps_its_order_until_it_is_scrolled_back(page, start, say):
    start(30)
    page.goto("/ui/")
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 300)")
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_visible()
    assert page.locator("#list-scroll").evaluate("element => element.scrollTop") == 300
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 0)")
    shows(page, 0, *range(29, 0, -1))


def test_a_conversation_that_leaves_a_frozen_list_stays_until_the_reader_has_left(
    page, start, close
):
    start(2)
    page.goto("/ui/?filter=open")
    freeze(page)
    close(0)
    close(1)
    pass_time(page)
    expect(page.locator("#updated")).to_have_text("2 conversations updated")
    shows(page, 1, 0)
    leave(page)
    expect(page.get_by_text("No conversation is listed here")).to_be_visible()


def test_what_waited_for_one_list_is_not_put_into_the_next(page, start, say, close):
    start(30)
    close(2)
    page.goto("/ui/")
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 300)")
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_visible()
    page.route(POLL, lambda route: route.fulfill(status=204))
    page.locator("#filter-closed").press("Enter")
    shows(page, 2)
    freeze(page)
    leave(page)
    poll(page)
    shows(page, 2)


def test_rows_that_arrive_show_their_time_in_the_readers_zone(page, start, deliver):
    start(1)
    page.goto("/ui/")
    deliver(opened(5))
    pass_time(page)
    expect(row_of(page, 5).locator("time")).to_have_text("02/21/2025")
