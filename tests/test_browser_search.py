"""The search beside the list, in a real Chromium."""

import re

import pytest
from playwright.sync_api import expect

from tests.conftest import C, make_event
from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


def search(page, words):
    page.locator("#search-box").fill(words)
    page.keyboard.press("Enter")


def test_a_hit_is_marked_opens_at_its_message_and_leaves_the_results(page, start, say):
    start(2)
    say(0, "O pagamento caiu")
    for n in range(80):
        say(0, f"Mensagem {n}")
    page.goto("/ui/")
    search(page, "PAG")
    expect(page.locator("mark")).to_have_text(["pag"])
    page.locator("#list .row").click()
    expect(page.locator(".message--highlighted")).to_be_in_viewport()
    expect(page.locator("mark")).to_have_text(["pag"])
    page.reload()
    expect(page.locator(".message--highlighted")).to_be_in_viewport()
    expect(page.locator("mark")).to_have_text(["pag"])
    page.go_back()
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    expect(page.locator("mark")).to_have_text(["pag"])


def test_the_way_back_from_a_hit_leads_to_the_results(page, start, say):
    start(1)
    say(0, "O pagamento caiu")
    page.goto("/ui/search/?q=pag")
    page.locator("#list .row").click()
    expect(page.locator("#thread")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    page.reload()
    expect(page.locator("mark")).to_have_text(["pag"])


def test_the_second_page_of_results_stays_when_a_hit_is_opened(page, start, say):
    start(1)
    for n in range(31):
        say(0, f"Pagamento {n}")
    page.goto("/ui/search/?q=pag")
    page.get_by_role("link", name="Older hits").click()
    page.locator("#list .row").click()
    expect(page.locator(".message--highlighted")).to_contain_text("Pagamento 0")
    page.reload()
    expect(page.locator("#list .row")).to_have_count(1)


def test_a_message_that_arrives_is_shown_beside_the_results(page, start, say):
    start(1)
    say(0, "O pagamento caiu")
    page.goto("/ui/search/?q=pag")
    page.locator("#list .row").click()
    expect(page.locator(".message")).to_be_visible()
    say(0, "Chegou agora")
    pass_time(page)
    expect(page.locator(".message", has_text="Chegou agora")).to_have_count(1)
    expect(page.locator("mark")).to_have_text(["pag"])


def test_a_pasted_id_goes_straight_there(page, start, say):
    start(1)
    say(0)
    page.goto("/ui/")
    search(page, f" {id_of(0).upper()} ")
    expect(page).to_have_url(re.compile(f"/ui/{id_of(0)}/$"))
    search(page, id_of(0xFFFF + 1))
    expect(page.locator(".message--highlighted")).to_be_visible()


@pytest.mark.parametrize("words", ["\"'", "*", "NEAR(a b)", "a" * 1000, "<b>&amp;</b>", "%00 %"])
def test_hostile_words_find_nothing_and_fail_nothing(page, start, say, words):
    start(1)
    say(0)
    page.goto("/ui/")
    search(page, words)
    expect(page.locator("#list .hint")).to_be_visible()
    expect(page.locator("#search-box")).to_have_value(words)


@pytest.mark.parametrize(
    "address", ["/ui/search/?q=a&hits_cursor=x", f"/ui/{id_of(0)}/?q=a&hits_cursor=x"]
)
def test_a_page_of_results_that_does_not_exist_is_said_to_be_none(page, failures, start, address):
    start(1)
    assert page.goto(address).status == 400
    expect(page.get_by_text("This page of the results does not exist")).to_be_visible()


def test_the_hit_that_is_open_is_marked_and_the_keys_go_on_from_it(page, post):
    post(make_event("NEW_CONVERSATION", id=C))
    for n in range(3):
        post(make_event("NEW_MESSAGE", id=f"00000000-0000-4000-8000-{n:012}", content="boleto"))
    page.goto("/ui/search/?q=boleto")
    page.locator("#list .row").nth(1).click()
    marked = page.locator('#list .row[aria-current="page"]')
    expect(marked).to_have_attribute(
        "href", re.compile("message=00000000-0000-4000-8000-000000000001")
    )
    page.keyboard.press("Alt+j")
    expect(marked).to_have_attribute(
        "href", re.compile("message=00000000-0000-4000-8000-000000000000")
    )
    expect(marked).to_have_count(1)


def test_after_a_search_the_first_hit_has_the_focus_and_the_number_is_read_out(page, start, say):
    start(1)
    say(0, "O pagamento caiu")
    say(0, "O pagamento voltou")
    page.goto("/ui/")
    search(page, "pag")
    expect(page.locator("#list .row").first).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("2 hits")


def test_after_a_search_without_hits_that_is_read_out(page, start):
    page.goto("/ui/")
    search(page, "pag")
    expect(page.locator("#announcer")).to_contain_text("No message has these words.")
