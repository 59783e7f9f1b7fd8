"""Filters and sorts of the list, in a real Chromium with a clock moved by the tests."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]


def test_a_filter_is_in_the_address_and_leaves_the_thread_open(page, start, say, close):
    start(3)
    close(0)
    page.goto(f"/ui/{id_of(2)}/")
    thread = page.locator("#thread").element_handle()
    page.get_by_role("link", name="Closed 1").click()
    shows(page, 0)
    assert page.url.endswith(f"/ui/{id_of(2)}/?filter=closed")
    assert thread.evaluate("element => element.isConnected")


def test_reload_and_a_pasted_link_and_back_give_the_same_view(page, start, close):
    start(3)
    close(0)
    page.goto(f"/ui/{id_of(2)}/")
    page.locator("#filter-closed").click()
    shows(page, 0)
    page.reload()
    shows(page, 0)
    page.goto(page.url)
    shows(page, 0)
    page.locator("#filter-open").click()
    shows(page, 2, 1)
    page.go_back()
    shows(page, 0)
    expect(page.locator("#thread")).to_be_visible()


def test_a_sort_is_in_the_address_and_survives_a_reload_and_opening(page, start):
    start(3)
    page.goto("/ui/")
    page.locator("#sorts").click()
    page.get_by_role("link", name="Oldest").click()
    shows(page, 0, 1, 2)
    row_of(page, 1).click()
    expect(page.locator("#thread")).to_be_visible()
    page.reload()
    shows(page, 0, 1, 2)
    assert page.url.endswith(f"/ui/{id_of(1)}/?sort=oldest")


def test_arrivals_obey_the_filter(page, start, say, close):
    start(3)
    say(0)
    page.goto("/ui/?filter=needs-reply")
    shows(page, 0)
    say(1)
    pass_time(page)
    shows(page, 1, 0)
    say(0, direction="SENT")
    pass_time(page)
    shows(page, 1)


def test_the_last_to_leave_a_filter_leaves_a_way_on_and_the_next_one_appears(page, start, say):
    start(2)
    say(0)
    page.goto("/ui/?filter=needs-reply")
    say(0, direction="SENT")
    pass_time(page)
    expect(page.get_by_text("No conversation is listed here")).to_be_visible()
    say(1)
    pass_time(page)
    shows(page, 1)
    say(1, direction="SENT")
    pass_time(page)
    page.get_by_role("link", name="Show all conversations").click()
    shows(page, 1, 0)


def test_arrivals_obey_the_sort(page, deliver, start, say):
    start(3)
    page.goto("/ui/?sort=oldest")
    say(2)
    deliver(opened(7, START - timedelta(days=1)))
    pass_time(page)
    shows(page, 7, 0, 1, 2)


def test_counts_change_with_their_conversations(page, start, say, close):
    start(3)
    page.goto("/ui/?filter=closed")
    close(1)
    pass_time(page)
    expect(page.locator("#filter-closed")).to_have_text("Closed 1")
    expect(page.locator("#filter-open")).to_have_text("Open 2")


def test_the_count_of_another_filter_is_asked_for_every_30_seconds(page, start, say, polls):
    start(3)
    page.goto("/ui/?filter=closed")
    say(1)
    assert poll(page).status == 200  # the poll brings the message, but no counts yet
    expect(page.locator("#filter-needs-reply")).to_have_text("Needs reply 0")
    poll(page, 30)
    expect(page.locator("#filter-needs-reply")).to_have_text("Needs reply 1")
    poll(page)
    poll(page)
    assert ["counts=" in request.url for request in polls].count(True) == 1


def test_a_bad_filter_is_an_error_that_keeps_the_thread_and_shows_a_way_on(page, failures, start):
    start(2)
    assert page.goto(f"/ui/{id_of(0)}/?filter=nothing").status == 400
    expect(page.locator(".opened-line")).to_be_visible()
    page.get_by_role("link", name="Show all conversations").click()
    shows(page, 1, 0)


def test_a_filter_keeps_the_focus_and_a_sort_too(page, start):
    start(2)
    page.goto("/ui/")
    page.locator("#filter-open").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("filter=open"))
    expect(page.locator("#filter-open[aria-current]")).to_be_focused()
    page.locator("#sorts").press("Enter")
    page.get_by_role("link", name="Oldest").press("Enter")
    shows(page, 0, 1)
    expect(page.locator("#sorts")).to_be_focused()


def test_what_arrived_just_before_a_filter_was_chosen_is_still_shown(page, start, say):
    start(2)
    page.goto(f"/ui/{id_of(0)}/")
    say(0, "Chegou antes")
    page.locator("#filter-open").click()
    expect(page.locator("#filter-open[aria-current]")).to_be_visible()
    pass_time(page)
    expect(page.locator(".message", has_text="Chegou antes")).to_have_count(1)


def test_a_link_to_a_message_keeps_the_filter_that_was_chosen_since(page, start, say):
    start(1)
    say(0)
    page.goto(f"/ui/{id_of(0)}/")
    page.locator("#filter-open").click()
    expect(page).to_have_url(re.compile("filter=open"))
    page.locator(".message-link").click()
    expect(page.locator(".message--highlighted")).to_be_visible()
    assert page.url.endswith(f"/ui/{id_of(0)}/?filter=open&message={id_of(0xFFFF + 1)}")


def test_the_way_back_leads_to_the_list_as_it_is_now(page, start, close):
    start(2)
    close(0)
    page.goto(f"/ui/{id_of(1)}/")
    page.locator("#filter-closed").click()
    shows(page, 0)
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/ui/\?filter=closed$"))
