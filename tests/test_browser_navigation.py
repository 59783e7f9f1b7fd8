"""How a reader gets about the inbox in a real Chromium: by keyboard, and back and forth."""

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


# Keyboard


def test_alt_j_and_alt_k_walk_the_list_and_escape_leads_back_to_it(page, start):
    start(3)
    page.goto("/ui/")
    page.keyboard.press("Alt+j")
    expect(row_of(page, 2)).to_have_attribute("aria-current", "page")
    page.keyboard.press("Alt+j")
    expect(row_of(page, 1)).to_have_attribute("aria-current", "page")
    page.keyboard.press("Alt+k")
    expect(row_of(page, 2)).to_have_attribute("aria-current", "page")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    expect(row_of(page, 2)).to_be_focused()
    expect(page.locator(".row[aria-current]")).to_have_count(0)


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
