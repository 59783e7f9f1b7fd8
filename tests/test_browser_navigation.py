"""Moving about the inbox in a real Chromium: by keyboard, and back and forth."""

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


def is_open(page, n):
    expect(row_of(page, n)).to_have_attribute("aria-current", "page")
    expect(page.locator(".thread-title")).to_have_text(names(n))


# Keyboard


def test_alt_j_and_alt_k_walk_the_list_and_escape_leads_back_to_it(page, start):
    start(3)
    page.goto("/ui/")
    for key, n in [("Alt+j", 2), ("Alt+j", 1), ("Alt+k", 2)]:
        page.keyboard.press(key)
        is_open(page, n)
    page.keyboard.press("Escape")
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    expect(row_of(page, 2)).to_be_focused()
    expect(page.locator(".row[aria-current]")).to_have_count(0)


def test_alt_j_at_the_last_row_loads_more_and_goes_on(page, start):
    start(60)
    page.goto(f"/ui/{id_of(10)}/")
    is_open(page, 10)
    page.keyboard.press("Alt+j")
    is_open(page, 9)
    expect(page.locator("#list .row")).to_have_count(60)


def test_alt_j_goes_to_the_row_that_stands_where_the_open_conversation_stood(page, start, say):
    start(4)
    for n in (3, 2, 1, 0):
        say(n)
    page.goto(f"/ui/{id_of(1)}/?filter=needs-reply&sort=newest")
    page.mouse.move(900, 300)
    shows(page, 3, 2, 1, 0)
    say(1, direction="SENT")
    pass_time(page)
    shows(page, 3, 2, 0)
    page.keyboard.press("Alt+j")
    is_open(page, 0)


def test_alt_k_goes_to_the_row_above_where_the_open_conversation_stood(page, start, say):
    start(4)
    for n in range(4):
        say(n)
    page.goto(f"/ui/{id_of(1)}/?filter=needs-reply&sort=newest")
    page.mouse.move(900, 300)
    say(1, direction="SENT")
    pass_time(page)
    shows(page, 3, 2, 0)
    page.keyboard.press("Alt+k")
    is_open(page, 2)


def test_arrows_move_in_the_list(page, start):
    start(60)
    page.goto("/ui/")
    row_of(page, 59).focus()
    for key, focused in [("ArrowDown", 58), ("ArrowDown", 57), ("ArrowUp", 58), ("Home", 59)]:
        page.keyboard.press(key)
        expect(row_of(page, focused)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(row_of(page, 59)).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator("#more a")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(row_of(page, 10)).to_be_focused()


def test_a_message_is_one_stop_of_tab_and_arrows_lead_to_its_menu(page, start, say):
    start(1)
    say(0)
    say(0)
    page.goto(f"/ui/{id_of(0)}/")
    first, second = page.locator("#messages .message").all()
    expect(first.locator(".message-menu-button")).to_be_visible()
    first.locator(".message-link").focus()
    page.keyboard.press("Tab")
    expect(second.locator(".message-link")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(second.locator(".message-menu-button")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(second.locator(".message-copy")).to_be_focused()
    second.locator(".message-menu-button").focus()
    page.keyboard.press("ArrowLeft")
    expect(second.locator(".message-link")).to_be_focused()


def test_the_closing_of_the_open_conversation_is_read_out_once(page, start, say, close):
    start(1)
    say(0)
    page.goto(f"/ui/{id_of(0)}/")
    announcer = page.locator("#announcer")
    close(0)
    pass_time(page)
    expect(announcer).to_contain_text("This conversation is closed.")
    page.goto(f"/ui/{id_of(0)}/")
    expect(page.locator("#closed-banner")).to_be_visible()
    poll(page)
    expect(announcer).to_have_text("")


def test_the_help_lists_the_keys(page, start):
    page.goto("/ui/")
    page.keyboard.press("?")
    keys = page.locator("#help kbd").all_text_contents()
    assert {"J", "K", "↑", "↓", "Home", "End", "←", "→", "Esc", "/", "?"} <= set(keys)


def test_single_keys_work_until_they_are_turned_off_and_that_is_remembered(page, start):
    page.goto("/ui/")
    page.keyboard.press("/")
    expect(page.locator("#search-box")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#search-box")).to_have_value("?")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("/")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#search-box")).not_to_be_focused()


def test_the_page_is_used_by_keyboard_only_and_the_focus_is_always_seen(page, start, say):
    start(2)
    say(0)
    page.goto("/ui/")
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(
            """() => {
                const { outlineStyle } = getComputedStyle(document.activeElement);
                const of = document.activeElement.closest(".search");
                return outlineStyle !== "none" || (of && getComputedStyle(of).outlineStyle !== "none");
            }"""
        )
        if page.evaluate(f"document.activeElement.matches('#row-{id_of(0)} .row')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#thread-scroll")).to_be_focused()
    expect(page.locator(".message")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".message :focus")).to_be_visible()


# History


def test_back_after_two_conversations_shows_the_first_again_as_a_whole_page(page, start, say):
    start(2)
    say(0, "Segredo de zero")
    say(1, "Segredo de um")
    page.goto("/ui/")
    row_of(page, 0).click()
    expect(page.locator(".message")).to_contain_text("Segredo de zero")
    row_of(page, 1).click()
    expect(page.locator(".message")).to_contain_text("Segredo de um")
    page.go_back()
    expect(page.locator(".message")).to_contain_text("Segredo de zero")
    shows(page, 1, 0)
    expect(row_of(page, 0)).to_have_attribute("aria-current", "page")
    assert "Segredo" not in page.evaluate(STORED)


def test_the_last_of_two_quick_clicks_wins(page, start):
    start(2)
    page.goto("/ui/")
    held = []
    page.route(f"**/ui/{id_of(0)}/", lambda route: held.append(route))
    with page.expect_request(f"**/ui/{id_of(0)}/"):
        row_of(page, 0).click()
    row_of(page, 1).click()
    expect(row_of(page, 1)).to_have_attribute("aria-current", "page")
    with page.expect_response(f"**/ui/{id_of(0)}/") as late:
        held[0].continue_()
    late.value.finished()
    expect(page.locator(".thread-title")).to_have_text(names(1))
    assert page.url.endswith(f"/ui/{id_of(1)}/")
