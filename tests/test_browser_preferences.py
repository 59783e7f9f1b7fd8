"""A reader's choice of theme and language in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

REFUSE_STORAGE = """
    const refuse = { get() { throw new DOMException("refused", "SecurityError"); } };
    for (const kind of ["localStorage", "sessionStorage"]) Object.defineProperty(window, kind, refuse);
"""


def open_menu(page):
    page.locator(".rail-menu summary").click()


def test_the_theme_is_the_systems_until_it_is_switched_and_the_switch_is_remembered(page):
    page.emulate_media(color_scheme="dark")
    page.goto("/ui/")
    switch = page.get_by_role("button", name="Dark")
    open_menu(page)
    expect(switch).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    switch.click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.reload()
    open_menu(page)
    expect(switch).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_the_theme_that_was_chosen_is_there_before_anything_is_painted(page):
    page.goto("/ui/")
    open_menu(page)
    page.get_by_role("button", name="Dark").click()
    page.add_init_script(
        """new MutationObserver(() => {
            if (document.body) window.atBody ??= document.documentElement.dataset.theme ?? "none";
        }).observe(document, { subtree: true, childList: true });"""
    )
    page.reload()
    assert page.evaluate("window.atBody") == "dark"


def test_the_language_is_switched_where_the_reader_is_and_remembered(page, start, close):
    start(2)
    close(0)
    page.goto(f"/ui/{id_of(0)}/")
    page.locator("#filter-closed").click()
    shows(page, 0)
    row_of(page, 0).click()
    open_menu(page)
    page.get_by_role("link", name="Português").click()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    expect(page).to_have_url(re.compile(rf"{id_of(0)}/\?filter=closed&lang=pt-BR"))
    page.goto("/ui/")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    open_menu(page)
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_browser_that_refuses_storage_does_without_it(page, start, say):
    page.add_init_script(REFUSE_STORAGE)
    start(60)
    page.goto("/ui/")
    say(0, "Ao vivo")
    pass_time(page)
    expect(row_of(page, 0)).to_contain_text("Ao vivo")
    page.locator("#more a").click()
    expect(page.locator("#list .row")).to_have_count(60)
    row_of(page, 0).click()
    expect(page.locator(".message")).to_contain_text("Ao vivo")
    open_menu(page)
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("?")
    page.get_by_label("Single keys work").uncheck()
    page.keyboard.press("Escape")
    open_menu(page)
    page.locator("#notify").click()
    page.locator("#pause").click()
    expect(page.get_by_text("Live updates are paused")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
