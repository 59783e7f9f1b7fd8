"""The thread in a real Chromium: its opening, its scrolling, and its looks."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.conftest import C, id_of, make_event
from tests.live_inbox import stop_time
from tests.live_thread import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

OTHER = "0e1d2c3b-4a59-4687-9706-f5e4d3c2b1a0"
START = datetime(2025, 2, 21, 10, 0, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"

PLACES = "() => [...document.querySelectorAll('.messages > li')].map(li => li.className + li.id)"


@pytest.fixture
def browse(chromium, live_server):
    """Yield pages in contexts of their own. Any error in their console fails the test."""
    contexts, errors = [], []

    def browse(**options):
        context = chromium.new_context(base_url=live_server.url, **{"locale": "en-US"} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append("a script ran"))
        return page

    yield browse
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(browse):
    return browse(viewport={"width": 1000, "height": 700})


@pytest.fixture
def say(deliver):
    """Delivers message number `n`, of its own minute unless told otherwise; opens its conversation."""

    opened = set()

    def say(n, content="", *, at=None, conversation=C, direction="RECEIVED"):
        if conversation not in opened:
            deliver(make_event("NEW_CONVERSATION", id=conversation, at=START.isoformat()))
            opened.add(conversation)
        data = {"direction": direction, "content": content or f"Mensagem {n}"}
        at = (at or START + timedelta(minutes=n)).isoformat()
        ids = {"id": id_of(n), "conversation_id": conversation}
        assert not deliver(make_event("NEW_MESSAGE", at=at, **ids, **data)).refusal

    return say


def distance_from_the_end(page):
    return page.locator("#thread-scroll").evaluate(
        "element => element.scrollHeight - element.scrollTop - element.clientHeight"
    )


def is_wider_than_the_screen(page):
    return page.evaluate(
        """() => [document.documentElement, document.getElementById("thread-scroll")]
                .some(element => element.scrollWidth > element.clientWidth)"""
    )


# Opening a thread


def test_a_thread_opens_at_its_newest_message(page, say):
    for n in range(1, 31):
        say(n)
    page.goto(f"/ui/{C}/")
    expect(bubble(page, 30)).to_be_in_viewport()
    assert distance_from_the_end(page) <= 1


def test_who_wrote_is_told_by_side_and_tail_and_words(page, say):
    say(1, direction="RECEIVED")
    say(2, direction="SENT")
    page.goto(f"/ui/{C}/")
    thread = page.locator("#thread").bounding_box()
    received, sent = (bubble(page, n).bounding_box() for n in (1, 2))
    assert received["x"] - thread["x"] < 80
    assert thread["x"] + thread["width"] - sent["x"] - sent["width"] < 80
    tails = [
        bubble(page, n).evaluate("li => getComputedStyle(li, '::before').left") for n in (1, 2)
    ]
    assert tails[0] == "-8px" != tails[1]
    expect(page.locator(".message")).to_contain_text(["Received:", "Sent:"])


def test_a_closed_thread_says_when_it_was_opened_and_closed(page, say, deliver):
    say(1)
    deliver(make_event("CLOSE_CONVERSATION", id=C, at="2025-02-21T11:00:00"))
    page.goto(f"/ui/{C}/")
    expect(page.locator("#closed-banner")).to_be_visible()
    expect(page.locator(".system:visible")).to_contain_text(
        ["Opened 02/21/2025", "Closed 02/21/2025"]
    )


def test_a_full_time_has_the_hour_in_the_form_of_its_messages(browse, deliver):
    at = "2025-02-21T03:05:00"
    deliver(make_event("NEW_CONVERSATION", id=C, at=at))
    deliver(make_event("NEW_MESSAGE", id=id_of(1), at=at))
    page = browse(locale="pt-BR", timezone_id="UTC")
    page.goto(f"/ui/{C}/")
    expect(page.locator(".message-time")).to_have_text("03:05")
    expect(page.locator(".opened-line")).to_have_text("Aberta em 21/02/2025, 03:05")


# Older messages


def test_older_messages_load_to_the_first_without_moving_the_text(page, say):
    for n in range(1, 401):
        say(n)
    page.goto(f"/ui/{C}/")
    for loaded in range(100, 401, 50):
        first, top = scroll(page, 0)
        expect(page.locator(".message")).to_have_count(loaded)
        assert abs(place_of(page, first) - top) <= 1
    assert page.evaluate(NUMBERS) == list(range(1, 401))
    expect(page.locator(".opened-line")).to_be_attached()
    expect(page.locator(".edge")).to_have_count(0)


def test_without_javascript_links_lead_to_the_first_message_and_back(browse, say):
    for n in range(1, 121):
        say(n)
    page = browse(java_script_enabled=False)
    page.goto(f"/ui/{C}/")
    expect(page.locator(".message").last).to_be_in_viewport(ratio=1)
    shown = numbers_without_javascript(page)
    while page.get_by_role("link", name="Older messages").count():
        follow(page, "Older messages")
        shown = numbers_without_javascript(page) + shown
    assert shown == list(range(1, 121))
    follow(page, "Newer messages")
    assert numbers_without_javascript(page) == list(range(21, 71))


def follow(page, name):
    """Click the link and wait for its page: a click alone returns before the page is parsed."""
    with page.expect_navigation():
        page.get_by_role("link", name=name).click()


def numbers_without_javascript(page):
    return [int(li.get_attribute("id")[-12:]) for li in page.locator(".message").all()]


def test_the_keyboard_stays_in_the_thread_when_older_messages_load(page, say):
    for n in range(1, 61):
        say(n)
    page.goto(f"/ui/{C}/")
    page.get_by_role("link", name="Older messages").focus()
    expect(page.locator(".message")).to_have_count(60)
    expect(page.locator("#thread-scroll")).to_be_focused()


# Arriving messages


def test_a_new_message_is_followed_within_100_px_of_the_end(page, say):
    for n in range(1, 31):
        say(n)
    page.goto(f"/ui/{C}/")
    page.locator("#thread-scroll").evaluate("element => element.scrollBy(0, -90)")
    say(31)
    ask(page)
    expect(bubble(page, 31)).to_be_in_viewport()
    expect(page.locator("#pill")).to_be_hidden()


def test_further_up_nothing_moves_and_a_pill_leads_to_the_end(page, say):
    for n in range(1, 31):
        say(n)
    page.goto(f"/ui/{C}/")
    first, top = scroll(page, 300)
    say(31)
    say(32)
    ask(page)
    expect(page.locator("#pill")).to_have_text("2 new messages")
    assert abs(place_of(page, first) - top) <= 1
    page.locator("#pill").click()
    expect(bubble(page, 32)).to_be_in_viewport()
    expect(page.locator("#pill")).to_be_hidden()


def test_the_pill_goes_when_the_reader_scrolls_to_the_end(page, say):
    for n in range(1, 31):
        say(n)
    page.goto(f"/ui/{C}/")
    scroll(page, 0)
    say(31)
    ask(page)
    expect(page.locator("#pill")).to_have_text("1 new message")
    page.locator("#thread-scroll").evaluate("element => element.scrollTo(0, 99999)")
    expect(page.locator("#pill")).to_be_hidden()


def test_what_arrives_elsewhere_does_not_move_the_thread(page, say):
    for n in range(1, 31):
        say(n)
    page.goto(f"/ui/{C}/")
    first, top = scroll(page, 300)
    say(40, "Noutra conversa", conversation=OTHER)
    ask(page)
    expect(page.get_by_text("Noutra conversa")).to_be_visible()
    assert place_of(page, first) == top
    expect(page.locator("#pill")).to_be_hidden()


def test_a_close_leaves_the_newest_message_in_view(page, say, deliver):
    for n in range(1, 31):
        say(n)
    page.goto(f"/ui/{C}/")
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    ask(page)
    expect(page.locator("#closed-line")).to_be_in_viewport(ratio=1)
    assert distance_from_the_end(page) <= 1


def test_a_burst_between_two_polls_appears_whole_and_once(page, say):
    say(1)
    page.goto(f"/ui/{C}/")
    for n in range(2, 252):
        say(n)
    ask(page)
    # In two parts or more, because the page's own polls may take some messages in between on a slow machine.
    expect(page.locator(".message")).to_have_count(251)
    assert page.evaluate(NUMBERS) == list(range(1, 252))
    expect(bubble(page, 251)).to_be_in_viewport()


# Late messages


def test_a_late_message_lands_at_its_own_time_and_says_both(page, say):
    say(1)
    say(3)
    page.goto(f"/ui/{C}/")
    say(2)
    ask(page)
    expect(bubble(page, 2)).to_be_visible()
    assert page.evaluate(NUMBERS) == [1, 2, 3]
    times = bubble(page, 2).locator("time")
    assert [time.get_attribute("datetime") for time in times.all()] == [
        "2025-02-21T12:00:00Z",
        "2025-02-21T10:02:00Z",
    ]
    expect(bubble(page, 2)).to_contain_text("Late, arrived")


@pytest.mark.parametrize("at", [400, -1])
def test_a_late_message_above_moves_nothing_in_view(page, say, at):
    for n in range(1, 31):
        say(n)
    page.goto(f"/ui/{C}/")
    first, top = scroll(page, at)
    say(50, at=START + timedelta(minutes=1, seconds=30))
    ask(page)
    expect(bubble(page, 50)).to_be_attached()
    assert abs(place_of(page, first) - top) <= 1


def test_a_late_message_above_what_is_loaded_comes_with_the_older_ones_once(page, say):
    for n in range(1, 61):
        say(n)
    page.goto(f"/ui/{C}/")
    say(99, at=START + timedelta(minutes=5, seconds=30))
    say(61)
    ask(page)
    expect(bubble(page, 61)).to_be_visible()
    expect(bubble(page, 99)).to_have_count(0)
    scroll(page, 0)
    expect(page.locator(".message")).to_have_count(62)
    assert page.evaluate(NUMBERS)[4:7] == [5, 99, 6]


def test_a_late_message_that_arrives_while_older_ones_load_is_not_lost(page, say):
    for n in range(1, 61):
        say(n)
    page.goto(f"/ui/{C}/")
    held = []
    page.route("**/fragments/thread/**", lambda route: held.append((route, route.fetch())))
    scroll(page, 0)
    while not held:  # the server has answered, but the page has not seen the answer yet
        page.wait_for_timeout(50)
    say(99, at=START + timedelta(minutes=5, seconds=30))
    say(61)
    ask(page)
    expect(bubble(page, 61)).to_be_attached()
    held[0][0].fulfill(response=held[0][1])
    expect(page.locator(".message")).to_have_count(62)
    assert page.evaluate(NUMBERS)[4:7] == [5, 99, 6]


# A link to one message


def test_a_link_to_a_message_opens_around_it_and_shows_which_it_is(page, say):
    for n in range(1, 121):
        say(n)
    page.goto(f"/ui/{C}/?message={id_of(40)}")
    expect(bubble(page, 40)).to_be_in_viewport(ratio=1)
    expect(bubble(page, 40)).to_have_class(re.compile("message--highlighted"))
    assert page.evaluate(NUMBERS)[:50] == list(range(15, 65))  # newer ones may be there already
    expect(page.locator("#closed-line")).to_be_hidden()


def test_from_a_linked_message_newer_ones_load_to_the_end_and_are_followed(page, say):
    for n in range(1, 121):
        say(n)
    page.goto(f"/ui/{C}/?message={id_of(40)}")
    say(121)
    for start, loaded in ((700, 100), (-1, 107)):  # the first newer page comes without a scroll
        first, top = scroll(page, start)
        expect(page.locator(".message")).to_have_count(loaded)
        assert abs(place_of(page, first) - top) <= 1
    scroll(page, -1)
    say(122)
    ask(page)
    expect(bubble(page, 122)).to_be_in_viewport()
    assert page.evaluate(NUMBERS) == list(range(15, 123))
    expect(page.locator("#pill")).to_be_hidden()


def test_a_linked_message_far_from_the_end_tells_what_has_come(page, say):
    for n in range(1, 121):
        say(n)
    page.goto(f"/ui/{C}/?message={id_of(40)}&filter=open")
    say(121)
    say(122)
    ask(page)
    expect(page.locator("#pill")).to_have_text("2 new messages")
    assert page.evaluate(NUMBERS)[:50] == list(range(15, 65))  # newer ones may be there already
    page.locator("#pill").click()
    expect(bubble(page, 122)).to_be_in_viewport()
    assert page.url.endswith(f"/ui/{C}/?filter=open")


def test_a_late_message_amid_a_linked_page_is_there_when_the_end_is_reached(page, say):
    for n in range(1, 81):
        say(n)
    page.goto(f"/ui/{C}/?message={id_of(40)}")
    say(99, at=START + timedelta(minutes=40, seconds=30))
    ask(page)
    expect(page.locator("#pill")).to_have_text("1 new message")
    scroll(page, -1)
    expect(bubble(page, 80)).to_be_attached()
    ask(page)
    expect(bubble(page, 99)).to_be_attached()


# Days, times and groups


@pytest.mark.parametrize(
    ("zone", "days", "times"),
    [
        ("UTC", ["Friday, February 21, 2025"], ["2:30 AM", "11:30 PM"]),
        (
            "America/Sao_Paulo",
            ["Thursday, February 20, 2025", "Friday, February 21, 2025"],
            ["11:30 PM", "8:30 PM"],
        ),
        (
            "Asia/Tokyo",
            ["Friday, February 21, 2025", "Saturday, February 22, 2025"],
            ["11:30 AM", "8:30 AM"],
        ),
    ],
)
def test_days_and_times_are_those_of_the_readers_zone(browse, say, zone, days, times):
    say(1, at=datetime(2025, 2, 21, 2, 30, tzinfo=UTC))
    say(2, at=datetime(2025, 2, 21, 23, 30, tzinfo=UTC))
    page = browse(timezone_id=zone)
    page.goto(f"/ui/{C}/")
    expect(page.locator(".day")).to_have_text(days)
    assert [plain(text) for text in page.locator(".message-time").all_text_contents()] == times


def plain(text):
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("locale", "days"), [("en-US", ["Yesterday", "Today"]), ("pt-BR", ["Ontem", "Hoje"])]
)
def test_the_last_two_days_are_named(browse, say, locale, days):
    page = browse(locale=locale, timezone_id="UTC")
    page.clock.set_fixed_time("2025-02-22T01:00:00Z")
    say(1, at=datetime(2025, 2, 21, 23, 59, tzinfo=UTC))
    say(2, at=datetime(2025, 2, 22, 0, 1, tzinfo=UTC))
    page.goto(f"/ui/{C}/")
    expect(page.locator(".day")).to_have_text(days)


def test_without_javascript_times_are_of_a_zone_that_is_named(browse, say):
    say(1, at=datetime(2025, 2, 21, 2, 30, tzinfo=UTC))
    page = browse(java_script_enabled=False, locale="pt-BR", timezone_id="Asia/Tokyo")
    page.goto(f"/ui/{C}/")
    expect(page.locator("noscript p")).to_contain_text("fuso de Brasília")
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator(".message-time")).to_have_text("23:30")
    expect(page.locator(".day")).to_have_text("Quinta-feira, 20 de fevereiro de 2025")


def test_messages_of_one_side_within_a_minute_stand_together(browse, say):
    midnight = datetime(2025, 2, 22, tzinfo=UTC)
    for n, seconds in enumerate([-200, -140, -79, -20, 10], 1):
        say(n, at=midnight + timedelta(seconds=seconds))
    say(6, at=midnight + timedelta(seconds=20), direction="SENT")
    page = browse(timezone_id="UTC")
    page.goto(f"/ui/{C}/")
    assert joined(page) == [2, 4]
    say(7, at=midnight + timedelta(seconds=-150), direction="SENT")
    ask(page)
    expect(bubble(page, 7)).to_be_visible()
    assert joined(page) == [4]


def joined(page):
    return [n for n in page.evaluate(NUMBERS) if is_joined(page, n)]


def is_joined(page, n):
    return "message--joined" in bubble(page, n).get_attribute("class")


def test_days_and_groups_go_on_across_the_edge_of_a_page(page, say):
    for n in range(1, 61):
        say(n, at=START + timedelta(seconds=n))
    page.goto(f"/ui/{C}/")
    expect(page.locator(".day")).to_have_count(1)
    assert not is_joined(page, 11)
    scroll(page, 0)
    expect(page.locator(".message")).to_have_count(60)
    expect(page.locator(".day")).to_have_count(1)
    assert joined(page) == list(range(2, 61))


@pytest.mark.parametrize(
    "address", [f"/ui/{C}/", f"/ui/{C}/print/", f"/ui/{C}/?message={id_of(9)}"]
)
def test_server_and_browser_lay_out_alike(browse, say, address):
    midnight = datetime(2025, 2, 21, 3, tzinfo=UTC)
    for n in range(1, 56):
        say(n, at=midnight + (n - 30) * timedelta(seconds=37.0003 + n))
    bare, dressed = browse(java_script_enabled=False), browse(timezone_id="America/Sao_Paulo")
    bare.goto(address)
    dressed.goto(address)
    expect(dressed.locator(".day").first).to_have_text(re.compile("day, "))
    laid_out = [li.get_attribute("class") for li in bare.locator(".messages > li").all()]
    places = dressed.evaluate(PLACES)
    assert [re.split("message-00|edge-(?:older|newer)$", place)[0] for place in places] == laid_out
    assert laid_out.count("day") == 2
    assert laid_out.count("message message--received message--joined") > 10


# Text


def test_a_message_shows_what_was_written(page, say):
    say(1, "Um\n  dois *três* _quatro_ ~cinco~ ```seis```")
    page.goto(f"/ui/{C}/")
    text = bubble(page, 1).locator(".message-text")
    assert text.inner_text() == "Um\n  dois três quatro cinco seis"
    for tag, word in [("strong", "três"), ("em", "quatro"), ("s", "cinco"), ("code", "seis")]:
        expect(text.locator(tag)).to_have_text(word)


def test_a_link_in_a_message_is_safe_and_ends_before_the_full_stop(page, say):
    say(1, "Veja (https://example.com/a?b=1&c=2), ou https://example.com/x.")
    page.goto(f"/ui/{C}/")
    links = bubble(page, 1).locator(".message-text a")
    expect(links).to_have_text(["https://example.com/a?b=1&c=2", "https://example.com/x"])
    for link in links.all():
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("href") == link.text_content()


def test_a_message_runs_in_the_direction_of_its_script(page, say):
    say(1, "مرحبا، كيف حالك؟")
    say(2, "Olá")
    page.goto(f"/ui/{C}/")
    for n, direction in [(1, "rtl"), (2, "ltr")]:
        text = bubble(page, n).locator(".message-text")
        assert text.evaluate("element => getComputedStyle(element).direction") == direction


@pytest.mark.parametrize("address", [f"/ui/{C}/", f"/ui/{C}/print/", "/ui/search/?q=img"])
def test_markup_in_a_message_stays_text(page, say, address):
    say(1, HOSTILE)
    page.goto(address)
    text = page.locator(".message-text, .row-snippet").last
    expect(text).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("img, #main script").count() == 0
    if address == f"/ui/{C}/":
        expect(page.locator(".row-preview")).to_contain_text(HOSTILE)
    expect(page).to_have_title(re.compile("^[^<]*$"))


def test_markup_that_arrives_stays_text(page, say):
    say(1)
    page.goto(f"/ui/{C}/")
    say(2, HOSTILE)
    ask(page)
    expect(bubble(page, 2).locator(".message-text")).to_have_text(HOSTILE)
    expect(page.locator(".row-preview")).to_contain_text(HOSTILE)
    expect(page.locator("#announcer")).to_have_text(f"Received: {HOSTILE}")
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("size", [(320, 640), (320, 256)], ids=["phone", "400 % zoom"])
def test_nothing_widens_a_narrow_screen(browse, say, deliver, size):
    say(1, "x" * 10_000)
    say(2, "https://example.com/" + "y" * 3000, direction="SENT")
    say(3, "```" + "z" * 3000 + "```\n" + "W" * 80)
    say(4, at=START + timedelta(seconds=30))
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(5)))
    page = browse(viewport={"width": size[0], "height": size[1]})
    page.goto(f"/ui/{C}/")
    expect(bubble(page, 4)).to_contain_text("Late")
    assert not is_wider_than_the_screen(page)
    page.locator(".history summary").click()
    box = page.locator(".history .menu-items").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320
    assert page.locator("#thread-scroll").bounding_box()["height"] > 60


@pytest.mark.parametrize("width", [320, 360, 480, 768, 960])
def test_the_id_of_a_thread_is_whole_beside_all_that_its_header_may_have(
    browse, say, deliver, settings, width
):
    settings.REPLY_URL = "https://desk.example/{id}"
    say(1)
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(2)))
    page = browse(viewport={"width": width, "height": 640})
    page.goto(f"/ui/{C}/?lang=pt-BR")
    title = page.locator(".thread-title")
    assert title.evaluate("title => title.scrollWidth <= title.clientWidth")
    expect(title).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("link", name="Responder")).to_be_in_viewport(ratio=1)
    expect(page.locator(".history summary")).to_have_accessible_name("1 mensagem recusada")
    assert not is_wider_than_the_screen(page)


# The log


@pytest.fixture
def said(page):
    """Return the announcements of the log since the page was opened, each once."""
    page.add_init_script(
        """window.said = [];
        addEventListener("DOMContentLoaded", () => {
            const log = document.querySelector("[role=log]");
            const note = () => window.said.push(log.textContent);
            new MutationObserver(note).observe(log, {childList: true, characterData: true, subtree: true});
        });"""
    )
    return lambda: page.evaluate("window.said")


def test_the_log_says_once_what_arrives_and_never_what_is_older(page, say, said):
    for n in range(1, 61):
        say(n)
    page.goto(f"/ui/{C}/")
    scroll(page, 0)
    expect(page.locator(".message")).to_have_count(60)
    say(61, "Chegou *agora*", direction="SENT")
    ask(page)
    expect(bubble(page, 61)).to_be_attached()
    assert said() == ["Sent: Chegou agora"]


def test_the_log_says_how_many_came_at_once(page, say, said):
    say(1)
    page.goto(f"/ui/{C}/")
    for n in range(2, 12):
        say(n)
    ask(page)
    expect(bubble(page, 11)).to_be_attached()
    assert said() == ["10 new messages"]


# Copy, print, history


def copy(page, n, what="Copy this message"):
    bubble(page, n).hover()
    bubble(page, n).locator("summary").click()
    stop_time(page)  # "Copied" is shown for a moment only
    bubble(page, n).get_by_role("button", name=what).click()


@pytest.fixture
def clipboard(page):
    page.clock.install()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return lambda: page.evaluate("navigator.clipboard.readText()")


def test_a_message_is_copied_as_it_was_written(page, say, clipboard):
    say(1, "Um\n*dois* < três")
    page.goto(f"/ui/{C}/")
    copy(page, 1)
    expect(page.locator(".message-copy.is-done")).to_be_visible()
    expect(page.get_by_role("log")).to_have_text("Copied")
    assert clipboard() == "Um\n*dois* < três"


def test_the_id_of_a_conversation_is_copied(page, say, clipboard):
    say(1)
    page.goto(f"/ui/{C}/")
    page.locator("summary[aria-label=More]").click()
    stop_time(page)
    page.get_by_role("button", name="Copy the id").click()
    expect(page.locator("[data-copy].is-done")).to_be_visible()
    assert clipboard() == C


def test_print_has_all_messages_and_nothing_else(page, say):
    for n in range(1, 61):
        say(n)
    page.emulate_media(media="print")
    page.goto(f"/ui/{C}/print/")
    expect(page.get_by_role("button", name="Print", include_hidden=True)).to_be_hidden()
    assert page.evaluate(NUMBERS) == list(range(1, 61))
    seen = page.locator("a, button, input, nav, header, footer").filter(visible=True)
    assert {each.get_attribute("class") for each in seen.all()} == {"message-link"}
    expect(page.locator("h1")).to_have_text(C)
    expect(page.locator(".day")).to_have_text(["Friday, February 21, 2025"])
    page.emulate_media(media="screen")
    expect(page.get_by_role("button", name="Print")).to_be_visible()


def test_paper_says_when_it_has_not_all_messages(page, say):
    for n in range(1, 61):
        say(n)
    page.goto(f"/ui/{C}/")
    note = page.get_by_text("Only what was loaded is printed.")
    expect(note).to_be_hidden()
    page.emulate_media(media="print")
    expect(note).to_be_visible()
    page.emulate_media(media="screen")
    scroll(page, 0)
    expect(page.locator(".message")).to_have_count(60)
    page.emulate_media(media="print")
    expect(note).to_be_hidden()


def test_what_was_refused_is_in_the_history(page, say, deliver):
    say(1)
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(2)), after=timedelta(hours=3))
    page.goto(f"/ui/{C}/")
    page.get_by_text("1 refused").click()
    item = page.locator(".history-items li")
    expect(item).to_be_visible()
    expect(item).to_contain_text("The conversation was closed.")
    expect(item.locator("time")).to_have_attribute("datetime", "2025-02-21T15:00:00Z")


# For everyone


def test_with_reduced_motion_nothing_is_animated(browse, say):
    say(1)
    for motion, animations in [("no-preference", ["arrive"]), ("reduce", ["none"])]:
        page = browse(reduced_motion=motion)
        page.goto(f"/ui/{C}/")
        n = 2 if motion == "reduce" else 3
        say(n)
        ask(page)
        expect(bubble(page, n)).to_be_visible()
        name = bubble(page, n).evaluate("element => getComputedStyle(element).animationName")
        assert [name] == animations


@pytest.fixture
def everything(say, deliver):
    """A thread with every kind of button and link."""
    for n in range(1, 121):
        say(n, at=START + timedelta(seconds=n))
    say(121, "https://example.com/", at=START + timedelta(seconds=59))
    deliver(make_event("CLOSE_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=id_of(122)))
    return f"/ui/{C}/?message={id_of(60)}"


def test_the_focus_is_seen_wherever_it_is(browse, everything):
    page = browse(viewport={"width": 700, "height": 700})
    page.route("**/fragments/thread/**", lambda route: None)  # the link stays while they load
    page.goto(everything)
    page.locator("#thread-pane").focus()
    kinds = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        kind, outline, opacity = page.evaluate(
            """() => {
                const style = getComputedStyle(document.activeElement);
                const {id, classList, tagName} = document.activeElement;
                return [id || classList[0] || tagName, style.outlineStyle, style.opacity];
            }"""
        )
        kinds.add(kind)
        assert (outline, opacity) == ("solid", "1"), kind
    assert {"back", "thread-scroll", "message-link", "more-link"} <= kinds
    bubble(page, 60).locator(".message-link").focus()
    page.keyboard.press("ArrowRight")
    menu = bubble(page, 60).locator(".message-menu-button")
    expect(menu).to_be_focused()
    expect(menu).to_have_css("outline-style", "solid")
    expect(menu).to_have_css("opacity", "1")


@pytest.mark.parametrize("width", [1000, 320])
def test_what_can_be_pressed_is_large_enough(browse, everything, width):
    page = browse(viewport={"width": width, "height": 700})
    page.goto(everything)
    for summary in page.locator("#thread-pane summary").all():
        summary.evaluate("element => element.parentElement.open = true")
    page.locator("#pill").evaluate("element => element.hidden = false")
    small = page.locator("#thread-pane").evaluate(
        """main => [...main.querySelectorAll("a, button, summary")]
            .filter(each => each.checkVisibility() && !each.closest(".message-text"))
            .map(each => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
            .filter(([, {width, height}]) => width < 24 || height < 24)"""
    )
    assert small == []


# Long and hostile texts

LONG = "*Início* " + "palavra " * 1000 + "fim"


def test_a_long_text_is_opened_in_place(page, say):
    say(1, LONG)
    say(2, "depois")
    page.goto(f"/ui/{C}/")
    text = bubble(page, 1).locator(".message-text")
    assert "fim" not in text.inner_text()
    scroll(page, 10)
    bubble(page, 1).get_by_role("link", name="Read more").focus()
    place = place_of(page, f"message-{id_of(1)}")
    page.keyboard.press("Enter")
    expect(text).to_have_text(LONG.replace("*", ""))
    assert place_of(page, f"message-{id_of(1)}") == place
    expect(text.locator(".message-piece")).to_be_focused()
    expect(text.locator("strong")).to_have_text("Início")
    expect(page).to_have_url(re.compile("/$"))


def test_a_long_text_is_opened_without_javascript(browse, say):
    say(1, LONG)
    page = browse(java_script_enabled=False)
    page.goto(f"/ui/{C}/")
    page.get_by_role("link", name="Read more").click()
    expect(bubble(page, 1).locator(".message-text")).to_have_text(LONG.replace("*", ""))
    expect(page.get_by_role("link", name="Read more")).to_have_count(0)


def test_a_print_cuts_no_text(page, say):
    say(1, LONG)
    page.goto(f"/ui/{C}/print/")
    expect(bubble(page, 1).locator(".message-text")).to_have_text(LONG.replace("*", ""))


def test_a_page_that_cuts_a_text_says_so_on_paper(page, say):
    say(1, LONG)
    page.goto(f"/ui/{C}/")
    page.emulate_media(media="print")
    expect(page.get_by_text("Only what was loaded is printed.")).to_be_visible()


@pytest.mark.parametrize(
    "text",
    [LONG, "> a\n- *b*\n1. `c`\n```d\ne```\n\u202ef\n\n  g ", "www.a.br\ne\u0301 \ufeff"],
    ids=["long", "marks", "signs"],
)
def test_a_copy_is_the_source(page, say, clipboard, text):
    say(1, text)
    page.goto(f"/ui/{C}/")
    copy(page, 1)
    expect(page.locator(".message-copy.is-done")).to_be_visible()
    assert clipboard() == text


def test_a_copy_that_failed_says_so(page, say, clipboard):
    say(1)
    page.goto(f"/ui/{C}/")
    page.route("**/source/", lambda route: route.fulfill(status=200, body="", headers={}))
    page.evaluate("() => { navigator.clipboard.write = () => Promise.reject(new Error()); }")
    copy(page, 1)
    expect(page.locator("#notice-gone")).to_be_visible()
    expect(page.locator(".message-copy.is-done")).to_have_count(0)


def test_stacked_accents_stay_in_their_bubble(page, say):
    say(1, "Olá")
    say(2, ("Z" + "\u0301" * 40) * 30)
    page.goto(f"/ui/{C}/")
    box = bubble(page, 1).bounding_box()
    shown = page.screenshot(clip=box)
    page.locator(f"#message-{id_of(2)} .message-text").evaluate(
        "text => text.style.visibility = 'hidden'"
    )
    assert page.screenshot(clip=box) == shown


def test_an_override_turns_no_address_round(page, say):
    say(1, "\u202ehttps://evil.example/gpj.otof\u202d depois")
    page.goto(f"/ui/{C}/")
    text = bubble(page, 1).locator(".message-text")
    assert text.inner_text() == "https://evil.example/gpj.otof depois"
    style = "element => getComputedStyle(element).unicodeBidi"
    assert text.locator("a").evaluate(style) == "isolate"


@pytest.mark.parametrize(
    "bomb", ["\u200e\u200f" * 120_000, "a" + "\u0301" * 60_000], ids=["directions", "accents"]
)
def test_a_bomb_is_cut(page, say, bomb):
    say(1, bomb)
    page.goto(f"/ui/{C}/")
    text = bubble(page, 1).locator(".message-text")
    assert len(text.text_content()) < 3000 + 50  # with the link, and the spaces around the link
    text.get_by_role("link", name="Read more").click()
    piece = text.locator(".message-piece")
    assert len(piece.text_content()) <= 6000
    expect(text.get_by_role("link", name="Read more")).to_have_count(1)
