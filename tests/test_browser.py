"""The page in a real Chromium: new messages appear on the open page, and nothing else moves.

Two tests wait for the real interval; test_browser_live.py moves the clock on.
"""

import re

import pytest
from playwright.sync_api import expect

from tests.conftest import C, M, make_event
from tests.live_thread import ask

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

COUNT_MUTATIONS = """
    window.mutations = 0;
    // htmx marks the polling element while it asks.
    const isElsewhere = ({ target }) => target.id !== "poller";
    new MutationObserver(seen => window.mutations += seen.filter(isElsewhere).length).observe(
        document, { subtree: true, childList: true, attributes: true, characterData: true }
    );
"""
OTHER = "0e1d2c3b-4a59-4687-9706-f5e4d3c2b1a0"


def message(n, content, **data):
    return make_event(
        "NEW_MESSAGE",
        id=f"00000000-0000-4000-8000-{n:012}",
        content=content,
        at=f"2025-02-21T10:21:{n:02}",
        **data,
    )


def test_the_root_leads_to_the_inbox(page):
    page.goto("/")
    assert page.url.endswith("/ui/")
    expect(page.get_by_text("No conversations yet")).to_be_visible()


def test_a_conversation_that_arrives_appears_in_the_list(page, post, row):
    page.goto("/ui/")
    post(make_event("NEW_CONVERSATION", id=C))
    ask(page)
    expect(row(C)).to_be_visible()


def test_a_message_that_arrives_appears_in_the_list_and_in_the_thread(page, post, row):
    post(make_event("NEW_CONVERSATION", id=C))
    page.goto(f"/ui/{C}/")
    page.evaluate("window.sameDocument = true")
    post(make_event("NEW_MESSAGE", id=M, content="Chegou agora"))
    expect(page.locator(".message", has_text="Chegou agora")).to_be_visible()
    expect(row(C)).to_contain_text("Chegou agora")
    assert page.evaluate("window.sameDocument")


def test_a_close_that_arrives_is_shown(page, post):
    post(make_event("NEW_CONVERSATION", id=C))
    page.goto(f"/ui/{C}/")
    post(make_event("CLOSE_CONVERSATION", id=C))
    ask(page)
    expect(page.locator("#thread-state")).to_contain_text("Closed")
    expect(page.locator("#closed-line")).to_contain_text("Closed")
    expect(page.locator("#closed-banner")).to_be_visible()


def test_what_arrives_elsewhere_moves_its_row_up_and_leaves_the_thread(page, post, row):
    post(make_event("NEW_CONVERSATION", id=C))
    post(make_event("NEW_CONVERSATION", id=OTHER, at="2025-02-21T09:00:00"))
    page.goto(f"/ui/{C}/")
    thread = page.locator("#thread").element_handle()
    post(message(1, "Primeiro", conversation_id=OTHER))
    ask(page)
    expect(page.locator(".row").first).to_contain_text("Primeiro")
    assert thread.evaluate("element => element.isConnected")
    assert row(C).get_attribute("aria-current") == "page"


def test_nothing_in_the_page_changes_while_nothing_happens(page, post):
    post(make_event("NEW_CONVERSATION", id=C))
    post(make_event("NEW_MESSAGE", id=M))
    page.goto(f"/ui/{C}/")
    page.evaluate(COUNT_MUTATIONS)
    with page.expect_response(re.compile("/ui/fragments/poll/")) as poll:
        pass
    assert poll.value.status == 204
    assert page.evaluate("window.mutations") == 0


def test_a_change_is_seen_by_the_same_observation(page, post):
    post(make_event("NEW_CONVERSATION", id=C))
    page.goto(f"/ui/{C}/")
    page.evaluate(COUNT_MUTATIONS)
    post(make_event("NEW_MESSAGE", id=M))
    ask(page)
    expect(page.locator(".message")).to_be_visible()
    assert page.evaluate("window.mutations") > 0


def test_markup_in_a_message_stays_text(page, post):
    post(make_event("NEW_CONVERSATION", id=C))
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    post(make_event("NEW_MESSAGE", id=M, content=hostile))
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.goto(f"/ui/{C}/")
    expect(page.locator(".message-text")).to_have_text(hostile)


def test_the_thread_opens_at_its_newest_message_and_follows_it(page, post):
    post(make_event("NEW_CONVERSATION", id=C))
    for n in range(40):
        post(message(n, f"Mensagem {n}"))
    page.goto(f"/ui/{C}/")
    expect(page.get_by_text("Mensagem 39").last).to_be_in_viewport()
    post(message(50, "A mais nova"))
    ask(page)
    expect(page.locator(".message", has_text="A mais nova")).to_be_in_viewport()


def test_a_reader_of_older_messages_is_not_moved(page, post):
    post(make_event("NEW_CONVERSATION", id=C))
    for n in range(40):
        post(message(n, f"Mensagem {n}"))
    page.goto(f"/ui/{C}/")
    page.locator(".thread-scroll").evaluate("element => element.scrollTo(0, 200)")
    post(message(50, "A mais nova"))
    ask(page)
    expect(page.locator(".message", has_text="A mais nova")).to_be_attached()
    assert page.locator(".thread-scroll").evaluate("element => element.scrollTop") == 200


def test_one_pane_at_a_time_on_a_phone(page, post, row):
    post(make_event("NEW_CONVERSATION", id=C))
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto("/ui/")
    row(C).click()
    expect(page.locator(".list-pane")).to_be_hidden()
    page.get_by_role("link", name="Back to the list").click()
    expect(row(C)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
