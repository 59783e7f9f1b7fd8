"""The live updates of the page, in a real Chromium with a clock moved by the tests."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import expect

from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

COUNT_MUTATIONS = """
    window.mutations = 0;
    // htmx marks the polling element while it asks.
    const isElsewhere = ({ target }) => target.id !== "poller";
    new MutationObserver(seen => window.mutations += seen.filter(isElsewhere).length).observe(
        document, { subtree: true, childList: true, attributes: true, characterData: true }
    );
"""


def test_an_idle_page_asks_once_an_interval_and_changes_nothing(page, start, say, polls):
    start(2)
    say(0)
    page.goto(f"/ui/{id_of(0)}/")
    poll(page)
    page.evaluate(COUNT_MUTATIONS)
    asked = len(polls)
    for _ in range(3):
        assert poll(page).status == 204
    assert len(polls) == asked + 3
    assert page.evaluate("window.mutations") == 0


def test_an_idle_list_changes_nothing_either(page, start):
    start(2)
    page.goto("/ui/")
    poll(page)
    page.evaluate(COUNT_MUTATIONS)
    for _ in range(3):
        assert poll(page).status == 204
    assert page.evaluate("window.mutations") == 0


def test_what_has_not_changed_is_left_alone_by_an_answer(page, start, say):
    start(2)
    page.goto(f"/ui/{id_of(0)}/")
    kept = ["thread-state", "closed-banner", "closed-line", "count-all", "list"]
    parts = [page.locator(f"#{part}").element_handle() for part in kept]
    say(1, "Noutra conversa")
    pass_time(page)
    expect(row_of(page, 1)).to_contain_text("Noutra conversa")
    assert all(part.evaluate("element => element.isConnected") for part in parts)


def test_an_unusual_silence_is_told_while_it_lasts(page, start):
    start(1)
    page.goto("/ui/")
    notice = page.locator("#notice-silent")
    expect(notice).to_be_hidden()
    cache.set("silence", timezone.now() - timedelta(minutes=40, seconds=5), 600)
    poll(page)
    expect(notice).to_contain_text("Nothing has come from the sender for longer than usual: 40 min")
    page.evaluate(COUNT_MUTATIONS)
    assert poll(page).status == 204
    assert page.evaluate("window.mutations") == 0
    cache.set("silence", None, 600)
    poll(page)
    expect(notice).to_be_hidden()


def test_after_the_pointer_was_at_the_list_an_idle_page_is_idle_again(page, start, say):
    start(2)
    page.goto("/ui/")
    freeze(page)
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_visible()
    leave(page)
    shows(page, 0, 1)
    page.evaluate(COUNT_MUTATIONS)
    assert poll(page).status == 204
    assert page.evaluate("window.mutations") == 0


def test_a_hidden_tab_asks_every_30_seconds_for_its_title_only(page, start, say, polls):
    start(2)
    page.goto(f"/ui/{id_of(1)}/")
    hide(page)
    before = page.locator("#main").inner_html()
    say(0)
    asked = len(polls)
    pass_time(page, 10)
    pass_time(page, 10)
    assert len(polls) == asked
    assert poll(page, 11).status == 200
    expect(page).to_have_title(re.compile(r"^\(1\)"))
    assert page.locator("#main").inner_html() == before


def test_a_tab_that_is_shown_again_asks_at_once_and_shows_all(page, start, say):
    start(2)
    page.goto(f"/ui/{id_of(1)}/")
    hide(page)
    say(1, "Enquanto escondida")
    assert poll(page, 31).status == 200
    expect(page).to_have_title(re.compile(r"^\(1\)"))  # the page has processed the answer by then
    with page.expect_request(POLL, timeout=2_500):  # the interval is 3 s
        hide(page, hidden=False)
    expect(page.locator(".message", has_text="Enquanto escondida")).to_have_count(1)


def test_there_are_never_two_polls_in_flight(page, start, polls):
    start(1)
    page.goto("/ui/")
    held = []
    page.route(POLL, lambda route: held.append(route))
    with page.expect_request(POLL):
        pass_time(page)
    for _ in range(3):
        pass_time(page)
        hide(page)
        hide(page, hidden=False)
    page.locator("#pause").click(click_count=2)
    assert len(held) == 1
    held[0].continue_()


def test_a_tab_that_is_shown_again_during_a_poll_asks_again_after_it(page, start, say):
    start(1)
    page.goto("/ui/")
    held = hold_first_poll(page)
    hide(page)
    hide(page, hidden=False)
    answer = held[0].fetch()
    say(0, "Depois da pergunta")
    stop_time(page)  # the interval of three seconds cannot end
    with page.expect_request(POLL):
        held[0].fulfill(response=answer)
    expect(row_of(page, 0)).to_contain_text("Depois da pergunta")


def test_htmx_sends_the_polls(page, start, polls):
    start(1)
    page.goto("/ui/")
    poll(page)
    assert polls[0].headers["hx-request"] == "true"


def test_a_server_that_is_gone_is_said_to_be_after_two_polls_and_the_panes_stay(
    page, failures, start, say
):
    start(2)
    page.goto(f"/ui/{id_of(1)}/")
    fail_polls(page, status=None)
    before = page.locator("#main").inner_html()
    miss(page, 3)
    expect(page.locator("#notice-gone")).to_be_hidden()
    miss(page, 6)
    expect(page.get_by_text("No connection to the server")).to_be_visible()
    assert page.locator("#main").inner_html() == before


def test_a_server_that_is_gone_is_asked_at_once_when_the_reader_says_so(page, failures, start, say):
    start(1)
    page.goto("/ui/")
    fail_polls(page, status=None)
    miss(page, 3)
    miss(page, 6)
    say(0, "De volta")
    page.unroute(POLL)
    page.get_by_role("button", name="Try now").click()
    expect(row_of(page, 0)).to_contain_text("De volta")
    expect(page.locator("#notice-gone")).to_be_hidden()


def test_a_server_that_is_gone_is_asked_less_and_less_often(page, failures, start, polls):
    start(1)
    page.goto("/ui/")
    fail_polls(page, status=None)
    for wait in (3, 6, 12):
        miss(page, wait)
    for wait in (24, 30, 30):
        asked = len(polls)
        pass_time(page, 12)
        page.evaluate("0")
        assert len(polls) == asked
        miss(page, wait - 12)
    expect(page.locator("#notice-gone")).to_be_visible()


def test_a_server_that_is_back_is_asked_for_all_that_was_missed_once(page, failures, start, say):
    start(2)
    page.goto(f"/ui/{id_of(1)}/")
    fail_polls(page, status=None)
    for wait in (3, 6, 12):
        miss(page, wait)
        say(1, f"Perdida {wait}")
    expect(page.locator("#notice-gone")).to_be_visible()
    page.unroute(POLL)
    poll(page, 30)
    expect(page.locator("#notice-gone")).to_be_hidden()
    expect(page.locator(".message-text")).to_have_text([f"Perdida {wait}" for wait in (3, 6, 12)])


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_page_is_never_shown_inside_this_one(page, failures, start, status):
    start(1)
    page.goto("/ui/")
    fail_polls(page, status)
    for wait in (3, 6):
        poll(page, wait)
    expect(page.locator("#notice-gone")).to_be_visible()
    shows(page, 0)
    assert "broken" not in page.content()


def answer_polls(page, **answer):
    page.route(POLL, lambda route: route.fulfill(**answer))


def test_a_page_of_a_proxy_is_a_failure_and_never_an_answer(page, failures, start):
    start(1)
    page.goto("/ui/")
    answer_polls(page, status=200, body="<title>Proxy</title><p id=list hx-swap-oob=true>broken")
    assert poll(page, 3).status == 200
    expect(page.locator("#notice-gone")).to_be_hidden()
    poll(page, 6)
    expect(page.locator("#notice-gone")).to_be_visible()
    shows(page, 0)
    expect(page).to_have_title("Conversations · Realmate")


def test_an_answer_from_another_address_is_a_failure_too(page, failures, start):
    start(1)
    page.goto("/ui/?filter=closed")
    answer_polls(page, status=302, headers={"Location": "/ui/"})  # a page with a stamp of its own
    for wait in (3, 6):
        with page.expect_response("**/ui/"):
            pass_time(page, wait)
    expect(page.locator("#notice-gone")).to_be_visible()
    expect(page.locator("#notice-session")).to_be_hidden()
    expect(page.get_by_text("No conversation is listed here")).to_be_visible()


def test_an_answer_does_not_name_the_page(page, start):
    start(1)
    page.goto("/ui/")
    body = (
        '<title>Other</title><input id="stamp" name="stamp" value="x" hx-swap-oob="true" data-poll>'
    )
    answer_polls(page, status=200, body=body)
    pass_time(page)
    expect(page.locator("#stamp")).to_have_value("x")
    expect(page).to_have_title("Conversations · Realmate")


def test_an_answer_about_a_thread_that_was_closed_meanwhile_is_dropped(page, start, say):
    start(2)
    page.goto(f"/ui/{id_of(0)}/")
    held = hold_first_poll(page)
    say(1)
    page.locator("body").press("Escape")
    expect(page.get_by_text("Choose a conversation")).to_be_visible()
    with page.expect_response(POLL) as answer:
        held[0].continue_()
    assert answer.value.status == 200
    poll(page)
    shows(page, 1, 0)


@pytest.mark.parametrize("status", [302, 401, 403])
def test_when_the_session_is_over_the_page_says_so_and_links_to_the_login(
    page, failures, start, polls, status
):
    start(1)
    page.goto("/ui/")
    login = {"Location": "/ui/login/"}
    page.route(POLL, lambda route: route.fulfill(status=status, headers=login))
    pass_time(page)
    expect(page.get_by_role("alert")).to_have_text("Your session is over. Log in")
    assert page.get_by_role("link", name="Log in").evaluate("link => link.href") == page.url
    asked = len(polls)
    pass_time(page, 60)
    assert len(polls) == asked


def test_a_conversation_that_cannot_be_opened_leaves_the_panes_as_they_are(page, failures, start):
    start(2)
    page.goto(f"/ui/{id_of(1)}/")
    page.route(f"**/ui/{id_of(0)}/", lambda route: route.fulfill(status=503, body="broken"))
    row_of(page, 0).click()
    expect(page.locator("#notice-gone")).to_be_visible()
    expect(row_of(page, 1)).to_have_attribute("aria-current", "page")
    assert page.url.endswith(f"/ui/{id_of(1)}/")


@pytest.mark.parametrize("status", [503, None])
def test_what_could_not_be_loaded_says_so_and_is_asked_for_again(
    page, failures, start, say, status
):
    start(60)
    for n in range(60):
        say(59, f"Mensagem {n}")
    page.goto(f"/ui/{id_of(59)}/")
    page.route(
        "**/fragments/*/**",
        lambda route: route.fulfill(status=status) if status else route.abort(),
    )
    page.locator("#more a").click()
    page.locator("#thread-scroll").evaluate("thread => thread.scrollTo(0, 0)")
    expect(page.get_by_role("link", name="Not loaded. Try again")).to_have_count(2)
    page.unroute_all()
    page.locator("#more a").click()
    expect(page.locator("#list .row")).to_have_count(60)
    page.locator("#thread-scroll").evaluate("thread => thread.scrollTo(0, 900)")
    expect(page.locator("#edge-older")).not_to_be_in_viewport()
    page.locator("#thread-scroll").evaluate("thread => thread.scrollTo(0, 0)")
    expect(page.locator(".message")).to_have_count(60)


def test_a_login_in_place_of_a_pane_becomes_the_page(page, failures, start):
    start(2)
    page.goto("/ui/")
    page.route(
        f"**/ui/{id_of(0)}/",
        lambda route: route.fulfill(status=302, headers={"Location": "/ui/search/"}),
    )
    row_of(page, 0).click()
    expect(page).to_have_url(re.compile("/ui/search/"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")


def test_pause_stops_the_polls_until_it_is_pressed_again(page, start, say, polls):
    start(1)
    page.goto("/ui/")
    pause = page.get_by_role("button", name="Pause live updates")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Live updates are paused")).to_be_visible()
    asked = len(polls)
    pass_time(page, 60)
    say(0, "Chegou na pausa")
    pass_time(page, 60)
    assert len(polls) == asked
    pause.click()
    expect(row_of(page, 0)).to_contain_text("Chegou na pausa")
    expect(pause).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#notice-paused")).to_be_hidden()


def test_pause_survives_a_reload_in_its_tab(page, start, say, polls):
    start(1)
    page.goto("/ui/")
    page.locator("#pause").click()
    page.reload()
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("Live updates are paused")).to_be_visible()
    say(0, "Chegou na pausa")
    pass_time(page, 60)
    assert polls == []
    other = page.context.new_page()
    other.goto("/ui/")
    expect(other.locator("#pause")).to_have_attribute("aria-pressed", "false")
    page.locator("#pause").click()
    expect(row_of(page, 0)).to_contain_text("Chegou na pausa")
    page.reload()
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "false")


def test_an_answer_that_comes_after_pause_was_pressed_changes_nothing(page, start, say):
    start(1)
    page.goto("/ui/")
    held = hold_first_poll(page)
    say(0, "Chegou na pausa")
    page.locator("#pause").click()
    with page.expect_response(POLL) as answer:
        held[0].continue_()
    answer.value.finished()
    expect(row_of(page, 0)).not_to_contain_text("Chegou na pausa")
    page.locator("#pause").click()
    expect(row_of(page, 0)).to_contain_text("Chegou na pausa")


def test_no_page_asks_any_other_host(page, failures, start, say, live_server):
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    start(1)
    say(0, "https://exemplo.com.br")
    for address in ("/ui/", f"/ui/{id_of(0)}/", "/ui/search/?q=exemplo", "/ui/nothing/"):
        page.goto(address)
        pass_time(page)
        page.wait_for_load_state("networkidle")
    assert hosts == {urlsplit(live_server.url).netloc}
