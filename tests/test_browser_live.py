"""The list and what keeps the page live, in a real Chromium whose clock the tests move on."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import TimeoutError as NotSeen
from playwright.sync_api import expect

from tests.conftest import C, make_event

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

POLL = re.compile("/ui/fragments/poll/")
START = datetime(2025, 2, 21, 10, 0)

SET_VISIBILITY = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
COUNT_MUTATIONS = """
    window.mutations = 0;
    new MutationObserver(seen => window.mutations += seen.length).observe(document, {
        subtree: true, childList: true, attributes: true, characterData: true,
    });
"""
STUB_NOTIFICATIONS = """
    window.shown = [];
    window.Notification = class {
        static permission = "default";
        static async requestPermission() { return (this.permission = "granted"); }
        constructor(title, options) { window.shown.push([title, options]); }
    };
"""
STORED = "() => JSON.stringify([{...localStorage}, {...sessionStorage}])"


def id_of(n):
    return f"{n:08x}-0000-4000-8000-{n:012x}"


def names(*numbers):
    return [f"{n:08x}" for n in numbers]


def row_of(page, n):
    return page.locator(f"#row-{id_of(n)} .row")


def opened(n, at=None):
    at = at or START + timedelta(seconds=n)
    return make_event("NEW_CONVERSATION", id=id_of(n), at=at.isoformat())


@pytest.fixture
def page(page):
    page.clock.install()
    return page


@pytest.fixture
def start(deliver):
    """Conversations, numbered from 0: the last one was opened last."""

    def start(conversations):
        for n in range(conversations):
            deliver(opened(n))

    return start


@pytest.fixture
def say(deliver):
    """A message in the n-th conversation, each later than the one before."""
    ticks = count(1)

    def say(n, content="Olá", direction="RECEIVED"):
        tick = next(ticks)
        at = (START + timedelta(minutes=30, seconds=tick)).isoformat()
        texts = {"content": content, "direction": direction, "conversation_id": id_of(n)}
        deliver(make_event("NEW_MESSAGE", id=id_of(0xFFFF + tick), at=at, **texts))

    return say


@pytest.fixture
def close(deliver):
    at = (START + timedelta(minutes=50)).isoformat()
    return lambda n: deliver(make_event("CLOSE_CONVERSATION", id=id_of(n), at=at))


@pytest.fixture
def polls(page):
    """The polls that the page has asked for."""
    asked = []
    page.on("request", lambda request: POLL.search(request.url) and asked.append(request))
    return asked


def pass_time(page, seconds=3):
    page.clock.fast_forward(seconds * 1000)


def poll(page, seconds=3):
    """The answer to the next poll."""
    return soon(page, "response", seconds)


def miss(page, seconds):
    """The next poll, which has no answer."""
    return soon(page, "requestfailed", seconds)


def soon(page, event, seconds):
    """What the page does when so much time has passed; again where it was still at the poll before."""
    for _ in range(10):
        with (
            suppress(NotSeen),
            page.expect_event(event, lambda it: POLL.search(it.url), timeout=2_000) as seen,
        ):
            pass_time(page, seconds)
        if seen.is_done():
            return seen.value
    raise AssertionError("the page does not poll")


def shows(page, *numbers):
    expect(page.locator(".row-name")).to_have_text(names(*numbers))


def hide(page, hidden=True):
    page.evaluate(SET_VISIBILITY, hidden)


def freeze(page):
    """As a reader does who has the focus in the list."""
    page.locator(".row").first.focus()


def leave(page):
    page.locator("#search-box").focus()


def fail_polls(page, status=503):
    if status:
        page.route(POLL, lambda route: route.fulfill(status=status, body="<p id=list>broken</p>"))
    else:
        page.route(POLL, lambda route: route.abort())


def hold_first_poll(page, then=lambda route: route.continue_()):
    """The route of a poll that is under way, and has no answer until the test lets it."""
    held = []
    page.route(POLL, lambda route: then(route) if held else held.append(route))
    with page.expect_request(POLL):
        pass_time(page)
    return held


# Filters and sorts


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
    assert poll(page).status == 204
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
    expect(page.locator("#filter-open[aria-current]")).to_be_visible()
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


# Long lists


def test_load_more_appends_without_a_repeat_or_a_gap_and_polls_keep_it(page, start, say):
    start(120)
    page.goto("/ui/")
    page.locator("#more a").click()
    shows(page, *range(119, 19, -1))
    page.locator("#more a").click()
    shows(page, *range(119, -1, -1))
    expect(page.locator("#more")).to_have_count(0)
    leave(page)
    page.mouse.move(900, 300)
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 0)")
    say(3)
    pass_time(page)
    shows(page, 3, *range(119, 3, -1), 2, 1, 0)


def test_load_more_is_a_link_to_the_rest(page, start):
    start(60)
    page.goto("/ui/")
    page.goto(page.locator("#more a").evaluate("link => link.href"))
    shows(page, *range(9, -1, -1))


def test_more_rows_keep_the_selected_one_and_take_the_focus_of_the_link(page, start):
    start(60)
    page.goto(f"/ui/{id_of(5)}/")
    row_of(page, 59).click()
    expect(page.locator(".row[aria-current]")).to_have_count(1)
    page.locator("#more a").press("Enter")
    expect(row_of(page, 9)).to_be_focused()
    expect(page.locator(".row[aria-current] .row-name")).to_have_text(names(59))


def test_more_rows_are_not_lost_to_a_poll_that_was_under_way(page, start, say):
    start(60)
    page.goto("/ui/")
    held = hold_first_poll(page, then=lambda route: route.fulfill(status=204))
    say(59)
    page.locator("#more a").click()
    expect(page.locator(".row")).to_have_count(60)
    with page.expect_response(POLL):
        held[0].continue_()
    leave(page)
    page.mouse.move(900, 300)
    poll(page)
    expect(page.locator(".row")).to_have_count(60)


def test_a_list_of_500_rows_goes_on_on_a_page_of_its_own(page, start):
    start(110)
    page.goto("/ui/")
    page.evaluate(
        """() => { for (let n = 0; n < 450; n++) {
            const row = document.querySelector(".row-item").cloneNode(true);
            row.id = `row-${n}`;
            document.getElementById("rows").append(row);
        } }"""
    )
    page.locator("#more a").click()
    expect(page).to_have_url(re.compile(r"\?cursor="))
    shows(page, *range(59, 9, -1))


# Order


def test_the_selected_row_stays_selected_when_the_list_is_put_in_order(page, start, say):
    start(3)
    page.goto(f"/ui/{id_of(1)}/")
    say(0)
    pass_time(page)
    shows(page, 0, 2, 1)
    say(1)
    pass_time(page)
    shows(page, 1, 0, 2)
    expect(page.locator(".row[aria-current] .row-name")).to_have_text(names(1))


def test_a_focused_list_keeps_its_order_and_shows_what_is_new(page, start, say):
    start(4)
    page.goto("/ui/")
    row_of(page, 1).focus()
    for n in (0, 1, 2):
        say(n, f"Mensagem {n}")
    pass_time(page)
    expect(page.locator("#updated")).to_have_text("3 conversations updated")
    shows(page, 3, 2, 1, 0)
    expect(row_of(page, 0)).to_contain_text("Mensagem 0")
    expect(row_of(page, 1)).to_be_focused()


def test_the_button_puts_the_list_in_order_and_moves_the_focus_to_its_top(page, start, say):
    start(3)
    page.goto("/ui/")
    freeze(page)
    say(0)
    pass_time(page)
    button = page.get_by_role("button", name="1 conversation updated")
    button.press("Enter")
    shows(page, 0, 2, 1)
    expect(row_of(page, 0)).to_be_focused()
    expect(page.locator("#updated")).to_be_hidden()


def test_leaving_the_list_puts_it_in_order(page, deliver, start, say):
    start(3)
    page.goto("/ui/")
    freeze(page)
    say(0)
    deliver(opened(9))
    pass_time(page)
    expect(page.locator("#updated")).to_have_text("2 conversations updated")
    leave(page)
    shows(page, 0, 9, 2, 1)
    expect(page.locator("#updated")).to_be_hidden()


def test_a_hovered_list_keeps_its_order_until_the_pointer_leaves(page, start, say):
    start(3)
    page.goto("/ui/")
    row_of(page, 2).hover()
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_visible()
    shows(page, 2, 1, 0)
    page.mouse.move(900, 300)
    shows(page, 0, 2, 1)


def test_a_scrolled_list_keeps_its_order_until_it_is_scrolled_back(page, start, say):
    start(30)
    page.goto("/ui/")
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 300)")
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_visible()
    assert page.locator("#list-scroll").evaluate("element => element.scrollTop") == 300
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 0)")
    shows(page, 0, *range(29, 0, -1))


def test_a_conversation_that_leaves_a_frozen_list_stays_until_the_reader_has_left(
    page, start, close
):
    start(2)
    page.goto("/ui/?filter=open")
    freeze(page)
    close(0)
    close(1)
    pass_time(page)
    expect(page.locator("#updated")).to_have_text("2 conversations updated")
    shows(page, 1, 0)
    leave(page)
    expect(page.get_by_text("No conversation is listed here")).to_be_visible()


def test_what_waited_for_one_list_is_not_put_into_the_next(page, start, say, close):
    start(30)
    close(2)
    page.goto("/ui/")
    page.locator("#list-scroll").evaluate("element => element.scrollTo(0, 300)")
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_visible()
    page.route(POLL, lambda route: route.fulfill(status=204))
    page.locator("#filter-closed").press("Enter")
    shows(page, 2)
    freeze(page)
    leave(page)
    poll(page)
    shows(page, 2)


def test_rows_that_arrive_show_their_time_in_the_readers_zone(page, start, deliver):
    start(1)
    page.goto("/ui/")
    deliver(opened(5))
    pass_time(page)
    expect(row_of(page, 5).locator("time")).to_have_text("02/21/2025")


# Unread


def test_nothing_is_unread_on_a_first_visit(page, start, say):
    start(2)
    say(1)
    page.goto("/ui/")
    expect(page).to_have_title("Conversations · Realmate")
    expect(page.locator(".unread:visible")).to_have_count(0)


def test_what_arrives_is_unread_until_its_conversation_is_opened(page, start, say):
    start(3)
    page.goto("/ui/")
    say(0)
    say(0)
    say(1)
    pass_time(page)
    expect(page).to_have_title("(2) Conversations · Realmate")
    expect(row_of(page, 0).get_by_role("img", name="2 unread messages")).to_be_visible()
    page.reload()
    expect(page).to_have_title("(2) Conversations · Realmate")
    row_of(page, 0).click()
    expect(page).to_have_title("(1) 00000000 · Conversations · Realmate")
    expect(row_of(page, 0).locator(".unread")).to_be_hidden()


def test_a_conversation_opened_since_is_unread_with_all_its_messages(page, start, deliver, say):
    start(1)
    page.goto("/ui/")
    deliver(opened(5, datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)))
    say(5)
    say(5)
    pass_time(page)
    expect(row_of(page, 5).locator(".unread")).to_have_text("2")


def test_a_browser_whose_clock_is_wrong_knows_what_is_unread(page, start, deliver, say):
    page.clock.set_system_time("2040-01-01")
    start(1)
    page.goto("/ui/")
    deliver(opened(5, datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)))
    say(5)
    pass_time(page)
    expect(row_of(page, 5).locator(".unread")).to_have_text("1")


@pytest.mark.parametrize("is_hidden", [False, True])
@pytest.mark.parametrize("rows", [3, 60])
def test_what_is_delivered_late_is_unread(page, start, deliver, say, rows, is_hidden):
    start(rows)
    page.goto("/ui/")
    if is_hidden:
        hide(page)
    deliver(opened(99, START - timedelta(days=1)))
    say(99)
    assert poll(page, 31).status == 200
    expect(page).to_have_title("(1) Conversations · Realmate")
    hide(page, hidden=False)
    expect(row_of(page, 99).locator(".unread")).to_have_text("1")
    expect(page.locator(".unread:visible")).to_have_count(1)


def test_rows_that_come_from_further_down_are_not_unread(page, start, say, close):
    start(53)
    for n in range(53):
        say(n)
    page.goto("/ui/?filter=open")
    close(52)
    poll(page)
    shows(page, *range(51, 1, -1))
    page.locator("#more a").click()
    shows(page, *range(51, -1, -1))
    expect(page).to_have_title("Conversations · Realmate")


def test_unread_is_numbers_only(page, start, say):
    start(2)
    page.goto("/ui/")
    say(0, "Segredo do cliente")
    pass_time(page)
    expect(page).to_have_title(re.compile(r"^\(1\)"))
    row_of(page, 0).click()
    expect(page.locator(".message")).to_be_visible()
    row_of(page, 1).click()
    expect(row_of(page, 1)).to_have_attribute("aria-current", "page")
    seen = page.evaluate("() => JSON.parse(localStorage['realmate.seen'])")
    assert sorted(seen) == [[id_of(0), 1], [id_of(1), 0]]
    assert "Segredo" not in page.evaluate(STORED)


def test_what_one_tab_has_read_is_read_in_the_other(page, start, say):
    start(2)
    page.goto("/ui/")
    other = page.context.new_page()
    other.goto("/ui/")
    say(0)
    pass_time(page)
    expect(page).to_have_title("(1) Conversations · Realmate")
    other.goto(f"/ui/{id_of(0)}/")
    expect(page).to_have_title("Conversations · Realmate")


def test_a_browser_that_has_seen_thousands_forgets_without_calling_them_unread(page, start, say):
    start(2)
    page.goto("/ui/")
    page.evaluate(
        """() => localStorage.setItem("realmate.seen",
            JSON.stringify(Array.from({ length: 2000 }, (_, n) => [`${n}`, 1])))"""
    )
    page.reload()
    expect(page).to_have_title("Conversations · Realmate")
    assert page.evaluate("() => JSON.parse(localStorage['realmate.seen']).length") < 1500


# Live


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
    expect(page).to_have_title(re.compile(r"^\(1\)"))  # by then the page has taken that answer
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


def expect_failures(errors):
    """Of answers that fail on purpose the browser complains, and htmx of those that do not come."""
    expected = re.compile("Failed to load resource|htmx:(sendError|afterRequest)")
    errors[:] = [error for error in errors if not expected.match(error)]


@pytest.mark.parametrize("status", [503, None])
def test_what_could_not_be_loaded_says_so_and_is_asked_for_again(page, errors, start, say, status):
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
    expect_failures(errors)


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


# Notifications


def test_a_notification_comes_after_opting_in_when_hidden_and_is_a_number(page, start, say):
    page.add_init_script(STUB_NOTIFICATIONS)
    start(3)
    page.goto("/ui/")
    hide(page)
    say(0)
    say(1)
    assert poll(page, 31).status == 200
    expect(page).to_have_title(re.compile(r"^\(2\)"))
    assert page.evaluate("window.shown") == []
    hide(page, hidden=False)
    bell = page.get_by_role("button", name="Notify me on the desktop")
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    say(2)
    pass_time(page)
    expect(row_of(page, 2).locator(".unread")).to_be_visible()
    assert page.evaluate("window.shown") == []


def test_a_notification_says_how_many_conversations_are_unread_and_no_word_of_them(
    page, start, say
):
    page.add_init_script(STUB_NOTIFICATIONS)
    start(2)
    page.goto("/ui/")
    page.get_by_role("button", name="Notify me on the desktop").click()
    hide(page)
    say(1, "Segredo do cliente")
    poll(page, 31)
    page.wait_for_function("window.shown.length > 0")
    poll(page, 31)
    assert page.evaluate("window.shown") == [["Unread conversations: 1", {"tag": "realmate"}]]


# 400 % zoom: WCAG 1.4.10

SIZES = [(320, 200), (320, 256)]
# What can be pressed or written in, and is covered or out of reach however far one scrolls down.
OUT_OF_REACH = """() => [...document.querySelectorAll("a:not(.skip-link), button, summary, #search-box")]
    .filter(each => each.checkVisibility())
    .filter(each => {
        each.scrollIntoView({ block: "nearest" });
        const { x, y, width, height } = each.getBoundingClientRect();
        return !each.contains(document.elementFromPoint(x + width / 2, y + height / 2));
    })
    .map(each => each.outerHTML.slice(0, 90))"""
SCROLLS_SIDEWAYS = """() => [...document.querySelectorAll("*")]
    .filter(each => each.scrollWidth > each.clientWidth
        && ["auto", "scroll"].includes(getComputedStyle(each).overflowX))
    .map(each => each.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_enlarged_everything_is_reached_by_scrolling_down_alone(page, start, say, close, size):
    start(2)
    for n in range(8):
        say(1, f"Mensagem {n}")
    close(0)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for address in ("/ui/", f"/ui/{id_of(1)}/", f"/ui/{id_of(0)}/", "/ui/search/?q=mensagem"):
        page.goto(f"{address}{'&' if '?' in address else '?'}lang=pt-BR")
        assert page.evaluate(OUT_OF_REACH) == []
        assert page.evaluate(SCROLLS_SIDEWAYS) == []
        assert page.evaluate("document.scrollingElement.scrollWidth") == size[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("rows", [2, 20])
def test_enlarged_the_list_scrolls_to_its_last_row(page, start, size, rows):
    start(rows)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto("/ui/")
    page.locator("#list-pane").evaluate("pane => pane.scrollTo(0, pane.scrollHeight)")
    last = page.locator("#rows a").last
    expect(last).to_be_in_viewport(ratio=1)
    last.click(trial=True)


def test_an_enlarged_list_keeps_its_order_while_it_is_scrolled_and_says_what_is_new(
    page, start, say
):
    start(30)
    page.set_viewport_size({"width": 320, "height": 256})
    page.goto("/ui/")
    page.locator("#list-pane").evaluate("pane => pane.scrollTo(0, 900)")
    say(0)
    pass_time(page)
    expect(page.locator("#updated")).to_be_in_viewport(ratio=1)
    assert page.locator("#list-pane").evaluate("pane => pane.scrollTop") == 900
    page.locator("#updated").click()
    shows(page, 0, *range(29, 0, -1))
    expect(row_of(page, 0)).to_be_in_viewport(ratio=1)


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


# Without JavaScript


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


# Theme and language


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


# Search


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


# Beside it


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
