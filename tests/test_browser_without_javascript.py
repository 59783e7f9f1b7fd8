"""The inbox in a real Chromium without JavaScript."""

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def plain(chromium, live_server):
    context = chromium.new_context(
        base_url=live_server.url, locale="en-US", java_script_enabled=False
    )
    yield context.new_page()
    context.close()


def test_without_javascript_filters_and_sorts_are_links(plain, start, close):
    start(3)
    close(1)
    plain.goto("/ui/")
    plain.locator("#filter-open").click()
    shows(plain, 2, 0)
    plain.locator("#sorts").click()
    plain.get_by_role("link", name="Oldest").click()
    shows(plain, 0, 2)


def test_without_javascript_load_more_leads_to_the_rest(plain, start):
    start(60)
    plain.goto("/ui/")
    plain.get_by_role("link", name="Load more").click()
    shows(plain, *range(9, -1, -1))


def test_without_javascript_a_thread_opens_with_links_to_its_older_messages(plain, start, say):
    start(1)
    for n in range(60):
        say(0, f"Mensagem {n}")
    plain.goto("/ui/")
    row_of(plain, 0).click()
    expect(plain.locator(".message")).to_have_count(50)
    plain.get_by_role("link", name="Older messages").click()
    expect(plain.locator(".message-text")).to_have_text([f"Mensagem {n}" for n in range(10)])


def test_without_javascript_the_search_is_a_form(plain, start, say):
    start(1)
    say(0, "Não recebi o boleto")
    plain.goto("/ui/")
    plain.locator("#search-box").fill("nao bol")
    plain.keyboard.press("Enter")
    expect(plain.locator("mark")).to_have_text(["Não", "bol"])
    plain.locator(".row").click()
    expect(plain.locator(".message--highlighted")).to_contain_text("boleto")


def test_without_javascript_a_delivery_is_found_by_a_pasted_id_on_a_small_screen(plain, start):
    start(2)
    plain.set_viewport_size({"width": 320, "height": 700})
    plain.goto("/ui/deliveries/")
    plain.get_by_label("Request, webhook, message or conversation id").fill(f' "{id_of(0)}", ')
    plain.keyboard.press("Enter")
    expect(plain.locator(".cards tbody tr")).to_have_count(1)
    plain.locator(".cards tbody a[href*='?id=']").click()
    expect(plain.locator(".cards tbody tr")).to_have_count(1)
    assert plain.evaluate("document.scrollingElement.scrollWidth") == 320
