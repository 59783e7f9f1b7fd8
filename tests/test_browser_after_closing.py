"""Messages after closing, live in a real Chromium: shown, counted, and marked as dealt with."""

import re

import pytest
from playwright.sync_api import expect

from chat.models import Conversation
from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

WROTE = "/ui/?filter=wrote-after-closing"
UNMARKED = "Nothing was marked, because something has changed."


@pytest.fixture
def long_thread(start, say, close):
    """Conversation 0, closed, longer than a screen."""
    start(1)
    for n in range(30):
        say(0, f"Mensagem {n}")
    close(0)


@pytest.fixture
def written(start, say, close):
    """Conversations 0 to 2, closed. Their customers wrote again."""
    start(3)
    for n in range(3):
        close(n)
        say(n, f"Ainda aqui {n}")


def refused(page):
    return page.locator("#refused-texts .message").last


def button(page, name):
    return page.locator("#thread").get_by_role("button", name=name)


def is_marked(n):
    return Conversation.objects.get(pk=id_of(n)).dealt_with_at is not None


def reload_marked(page):
    """Leave a note on this document. A page load would forget the note."""
    page.evaluate("window.isTheSame = true")
    return lambda: page.evaluate("window.isTheSame === undefined")


def test_a_text_after_closing_is_followed_at_the_end(page, long_thread, say):
    page.goto(f"/ui/{id_of(0)}/")
    say(0, "Ainda aqui")
    poll(page)
    expect(refused(page)).to_be_in_viewport(ratio=1)
    expect(button(page, "Dealt with")).to_be_in_viewport(ratio=1)
    expect(page.locator("#pill")).to_be_hidden()
    expect(page.locator("#announcer")).to_contain_text("Ainda aqui")


def test_further_up_a_text_after_closing_moves_nothing_and_is_counted(page, long_thread, say):
    page.goto(f"/ui/{id_of(0)}/")
    page.locator("#thread-scroll").evaluate("element => element.scrollTo(0, 100)")
    say(0, "Ainda aqui")
    poll(page)
    expect(page.locator("#pill")).to_have_text("1 new message")
    assert page.locator("#thread-scroll").evaluate("element => element.scrollTop") == 100
    page.locator("#pill").click()
    expect(refused(page)).to_be_in_viewport(ratio=1)
    expect(page.locator("#pill")).to_be_hidden()


def test_refused_texts_that_have_not_changed_are_left_alone(page, written, say):
    page.goto(f"/ui/{id_of(0)}/")
    text = refused(page).element_handle()
    say(1, "E aqui")
    poll(page)
    expect(row_of(page, 1)).to_be_visible()
    assert text.evaluate("element => element.isConnected")


def test_a_long_text_that_was_opened_stays_open_when_another_one_comes(page, written, say):
    say(0, f"{'palavra ' * 800}fim do texto")
    page.goto(f"/ui/{id_of(0)}/")
    expect(page.get_by_text("fim do texto")).to_be_hidden()
    page.get_by_text("Read more").click()
    expect(page.get_by_text("fim do texto")).to_be_visible()
    say(0, "Mais um")
    poll(page)
    expect(refused(page)).to_contain_text("Mais um")
    expect(page.get_by_text("fim do texto")).to_be_visible()


def test_dealt_with_and_undo_need_no_page_load(page, written):
    page.goto(f"/ui/{id_of(0)}/")
    was_loaded = reload_marked(page)
    button(page, "Dealt with").click()
    expect(button(page, "Undo")).to_be_focused()
    assert is_marked(0)
    button(page, "Undo").click()
    expect(button(page, "Dealt with")).to_be_focused()
    assert not is_marked(0)
    assert not was_loaded()


def test_dealt_with_in_the_list_takes_the_row_off_and_goes_on_to_the_next(page, written):
    page.goto(WROTE)
    was_loaded = reload_marked(page)
    shows(page, 2, 1, 0)
    page.locator(f"#row-{id_of(1)} .row-dealing button").click()
    shows(page, 2, 0)
    expect(row_of(page, 0)).to_be_focused()
    assert is_marked(1)
    assert not was_loaded()


def test_the_last_row_that_is_dealt_with_leaves_an_empty_list(page, start, close, say):
    start(1)
    close(0)
    say(0)
    page.goto(WROTE)
    page.locator(".row-dealing button").click()
    expect(page.locator(".row-item")).to_have_count(0)
    expect(page.locator("#count-wrote-after-closing")).to_have_text("0")


def test_what_the_reader_has_not_seen_is_not_marked(page, failures, written, say):
    page.goto(f"/ui/{id_of(0)}/")
    say(0, "Mais uma")
    button(page, "Dealt with").click()
    expect(page.get_by_text(UNMARKED)).to_be_visible()
    expect(refused(page)).to_contain_text("Mais uma")
    assert not is_marked(0)
    button(page, "Dealt with").click()
    expect(button(page, "Undo")).to_be_visible()
    expect(page.get_by_text(UNMARKED)).to_be_hidden()


def test_the_form_of_a_row_knows_what_its_row_shows(page, written, say):
    page.goto(WROTE)
    freeze(page)
    say(0, "Mais uma")
    poll(page)
    expect(page.locator("#updated")).to_be_visible()
    page.locator(f"#row-{id_of(0)} .row-dealing button").click()
    shows(page, 2, 1)
    assert is_marked(0)


def test_while_paused_dealt_with_loads_the_page(page, written):
    page.goto(f"/ui/{id_of(0)}/")
    page.get_by_role("button", name="Pause live updates").click()
    button(page, "Dealt with").click()
    expect(button(page, "Undo")).to_be_visible()
    assert is_marked(0)


def test_without_a_session_nothing_is_marked_and_the_page_says_why(
    page, failures, written, settings
):
    page.goto(f"/ui/{id_of(0)}/")
    settings.LOGIN_REQUIRED = True
    button(page, "Dealt with").click()
    expect(page.get_by_text("Your session is over.")).to_be_visible()
    expect(page).to_have_title(re.compile("Conversations"))
    assert not is_marked(0)
