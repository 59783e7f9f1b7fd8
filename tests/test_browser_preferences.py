"""Theme and language, as a reader chooses them in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


def test_the_theme_is_the_systems_until_it_is_switched_and_the_switch_is_remembered(page):
    page.emulate_media(color_scheme="dark")
    page.goto("/ui/")
    switch = page.get_by_role("button", name="Dark")
    expect(switch).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    switch.click()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.reload()
    expect(switch).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_the_theme_that_was_chosen_is_there_before_anything_is_painted(page):
    page.goto("/ui/")
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
    page.get_by_role("link", name="Português").click()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    expect(page).to_have_url(re.compile(rf"{id_of(0)}/\?filter=closed&lang=pt-BR"))
    page.goto("/ui/")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
