"""The looks of the inbox in a real Chromium, as far as they can be measured."""

import re
from itertools import product

import pytest
from playwright.sync_api import expect

from chat.models import Message, User
from tests.conftest import id_of, make_event
from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

WIDTHS = [1440, 1024, 390, 320]
CONTRAST = """element => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const luminance = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
            .map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
            .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
    };
    const ground = (each) => {
        const { backgroundColor } = getComputedStyle(each);
        return backgroundColor === "rgba(0, 0, 0, 0)" ? ground(each.parentElement) : backgroundColor;
    };
    const [low, high] = [getComputedStyle(element).color, ground(element)].map(luminance).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
}"""


def style(locator, name):
    return locator.evaluate("(element, name) => getComputedStyle(element)[name]", name)


def box(locator):
    return locator.bounding_box()


# The list


def test_the_customers_words_lead_and_the_id_is_small(page, start, say):
    start(1)
    say(0, "Onde está meu pedido?")
    page.goto("/ui/")
    preview, name = row_of(page, 0).locator(".row-preview"), row_of(page, 0).locator(".row-name")
    assert box(preview)["y"] < box(name)["y"]
    assert style(preview, "color") == style(page.locator("body"), "color")
    assert float(style(name, "fontSize")[:-2]) < float(style(preview, "fontSize")[:-2])
    assert "monospace" in style(name, "fontFamily")


def test_unread_words_are_bold(page, start, say):
    start(1)
    page.goto("/ui/")
    preview = row_of(page, 0).locator(".row-preview")
    assert style(preview, "fontWeight") == "400"
    say(0)
    poll(page)
    expect(row_of(page, 0).locator(".unread")).to_be_visible()
    assert style(preview, "fontWeight") == "700"


@pytest.fixture
def page_in(chromium, live_server):
    """Yield pages in a time zone, in contexts of their own."""
    pages = []

    def page_in(zone):
        options = {"base_url": live_server.url, "locale": "en-US", "timezone_id": zone}
        pages.append(chromium.new_page(**options))
        return pages[-1]

    yield page_in
    for page in pages:
        page.close()


def test_a_row_tells_the_hour_for_half_a_day_and_waits_in_growing_weight(page_in, start, say):
    start(1)
    say(0)  # on the 21st at 10:30
    page = page_in("UTC")
    age, time = page.locator(".row .tag--waiting time"), page.locator(".row-time")
    weights = []
    for day, hour, when, waited in [
        ("21", "10:30:30", "10:30 AM", "now"),
        ("21", "10:31:30", "10:30 AM", "1 min"),
        ("21", "22:30:00", "10:30 AM", "11 hr"),
        ("22", "00:20:00", "yesterday", "13 hr"),
        ("23", "11:00:00", "Fri", "2 days"),
    ]:
        page.clock.set_fixed_time(f"2025-02-{day}T{hour}Z")
        page.goto("/ui/")
        expect(time).to_have_text(when)
        expect(age).to_have_text(waited)
        weights.append(int(style(age, "fontWeight")))
    assert weights == sorted(weights)
    assert len(set(weights)) == 3


def test_a_row_of_the_evening_before_tells_its_hour_after_midnight(page_in, start, say):
    start(1)
    say(0)
    page = page_in("Asia/Tokyo")  # 7:30 PM there
    page.clock.set_fixed_time("2025-02-21T16:00:00Z")  # 1 AM of the next day
    page.goto("/ui/")
    expect(page.locator(".row-time")).to_have_text("7:30 PM")


@pytest.mark.parametrize("width", WIDTHS)
def test_choosing_a_filter_moves_nothing(page, start, say, width):
    start(3)
    say(0)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/ui/")
    place = box(page.locator("#list-scroll"))
    sizes = [box(each) for each in page.locator(".filter").all()]
    for name in ("needs-reply", "wrote-after-closing", "closed", "open", "all"):
        page.locator(f"#filter-{name}").click()
        expect(page).to_have_url(re.compile(rf"filter={name}|/ui/\??$"))
        expect(page.locator("#list [name=filter]")).to_have_value(name)
        assert box(page.locator("#list-scroll")) == place
        now = [box(each) for each in page.locator(".filter").all()]
        assert [each["width"] for each in now] == [each["width"] for each in sizes]
    assert len({each["y"] for each in sizes}) == 1


def test_the_filter_for_what_needs_a_reply_is_the_first(page, start):
    page.goto("/ui/")
    expect(page.locator(".filter").first).to_have_id("filter-needs-reply")


def test_the_chosen_filter_is_in_view_however_narrow_the_list_is(page, start):
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto("/ui/?filter=wrote-after-closing")
    expect(page.locator("#filter-wrote-after-closing")).to_be_in_viewport(ratio=0.95)


def test_the_sorts_stand_under_their_button_and_the_chosen_one_has_a_mark(page, start):
    page.goto("/ui/?sort=oldest")
    page.locator("#sorts").click()
    button, items = box(page.locator("#sorts")), box(page.locator(".sorts .menu-items"))
    assert 0 <= items["y"] - button["y"] - button["height"] < 8
    assert abs(items["x"] + items["width"] - button["x"] - button["width"]) < 2
    assert [style(each, "visibility") for each in page.locator(".sorts .menu-check").all()] == [
        *("hidden", "hidden", "hidden", "visible")
    ]


def test_a_menu_closes_when_the_focus_leaves_it(page, start):
    page.goto("/ui/")
    page.locator("#sorts").press("Enter")
    expect(page.locator(".sorts")).to_have_attribute("open", "")
    for _ in range(6):
        page.keyboard.press("Tab")
    expect(page.locator("#search-box")).to_be_focused()
    expect(page.locator(".sorts")).not_to_have_attribute("open", "")


def test_a_click_is_answered_before_the_server_answers(page, start):
    start(3)
    page.goto("/ui/")
    row_of(page, 1).click()
    expect(page.locator(".thread-title")).to_have_text(names(1))
    page.route(f"**/ui/{id_of(0)}/**", lambda route: None)
    row_of(page, 0).click()
    expect(row_of(page, 0)).to_have_attribute("aria-current", "page")
    expect(row_of(page, 1)).not_to_have_attribute("aria-current", "page")
    bar = "getComputedStyle(document.querySelector('.list-pane'), '::after')"
    assert page.evaluate(f"{bar}.animationDelay") == "0.3s"
    expect(page.locator(".thread-title")).to_have_text(names(1))


def test_a_click_that_fails_is_taken_back(page, start, failures):
    start(3)
    page.goto("/ui/")
    row_of(page, 1).click()
    expect(page.locator(".thread-title")).to_have_text(names(1))
    page.route(f"**/ui/{id_of(0)}/**", lambda route: route.abort())
    row_of(page, 0).click()
    expect(row_of(page, 1)).to_have_attribute("aria-current", "page")
    expect(row_of(page, 0)).not_to_have_attribute("aria-current", "page")


def test_what_waits_and_for_how_long_stands_where_no_conversation_is_open(page, start, say):
    start(3)
    page.goto("/ui/")
    expect(page.locator("#waiting")).to_be_hidden()
    say(1)
    say(0)
    poll(page)
    expect(page.locator("#waiting")).to_contain_text("2 conversations wait for a reply")
    page.locator("#waiting a").click()
    expect(page.locator(".thread-title")).to_have_text(names(1))
    expect(page.locator("#filter-needs-reply")).to_have_attribute("aria-current", "true")


# The thread


@pytest.mark.parametrize("direction", ["RECEIVED", "SENT"])
def test_the_time_stands_in_the_last_line_of_a_text(page, start, say, direction):
    start(1)
    say(0, "Tudo bem?", direction)
    page.goto(f"/ui/{id_of(0)}/")
    text, time = page.locator(".message-text"), page.locator(".message-link")
    assert box(time)["y"] < box(text)["y"] + box(text)["height"]
    assert box(time)["x"] >= box(text)["x"] + box(text)["width"]
    assert box(page.locator(".message"))["height"] < 2.2 * box(text)["height"]


def test_the_time_of_a_full_line_stands_below_it(page, start, say):
    start(1)
    say(0, "x" * 400)
    page.goto(f"/ui/{id_of(0)}/")
    lines = page.locator(".message-text").evaluate(
        "text => [...text.getClientRects()].map(({ right, bottom }) => [right, bottom])"
    )
    time = box(page.locator(".message-link"))
    right, bottom = lines[-1]
    assert time["x"] >= right or time["y"] >= bottom - 1


def test_a_thread_is_at_most_900_pixels_wide(page, start, say):
    start(1)
    page.set_viewport_size({"width": 2400, "height": 900})
    page.goto(f"/ui/{id_of(0)}/")
    assert box(page.locator("#thread"))["width"] == 900


def test_a_link_to_a_message_is_copied(page, start, say):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    start(1)
    say(0)
    page.goto(f"/ui/{id_of(0)}/?filter=open")
    message = page.locator(".message")
    message.hover()
    message.locator("summary").click()
    message.get_by_role("button", name="Copy link to this message").click()
    expect(page.get_by_role("log")).to_have_text("Copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.search(rf"^http://.*/ui/{id_of(0)}/\?message=[0-9a-f-]{{36}}$", link)
    page.goto(link)
    expect(page.locator(".message--highlighted")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_words_of_an_erased_message_are_seen(page, start, say, scheme):
    start(1)
    say(0, "x", "SENT")
    say(0, "x")
    Message.objects.update(content="")
    page.emulate_media(color_scheme=scheme)
    page.goto(f"/ui/{id_of(0)}/")
    for text in page.locator(".message-text--erased").all():
        assert text.evaluate(CONTRAST) >= 4.5


# For everyone


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_chosen_is_told_by_more_than_a_tint(page, start, scheme):
    start(2)
    page.emulate_media(color_scheme=scheme)
    page.goto(f"/ui/{id_of(0)}/")
    for selector in (".row[aria-current]", ".rail-button[aria-current]"):
        bar = page.locator(selector).evaluate(
            """element => {
                const { borderInlineStartWidth: width, borderInlineStartStyle: kind } = getComputedStyle(element, "::before");
                return [parseFloat(width), kind];
            }"""
        )
        assert bar[0] >= 3, selector
        assert bar[1] == "solid"
    chosen, other = page.locator(".filter[aria-current]"), page.locator("#filter-open")
    assert chosen.evaluate(CONTRAST) >= 4.5
    assert style(chosen, "backgroundColor") != style(other, "backgroundColor")


def test_what_is_chosen_is_told_in_forced_colours(page, start):
    start(2)
    page.emulate_media(forced_colors="active")
    page.goto(f"/ui/{id_of(0)}/")
    chosen, other = page.locator(".filter[aria-current]"), page.locator("#filter-open")
    assert style(chosen, "backgroundColor") != style(other, "backgroundColor")
    page.locator("#pause").click()
    assert style(page.locator("#pause"), "backgroundColor") != style(
        page.locator(".rail-menu summary"), "backgroundColor"
    )


@pytest.mark.parametrize("address", ["/ui/", "/ui/deliveries/", "/ui/login/", "/ui/stats/"])
def test_no_field_is_so_small_that_a_phone_enlarges_the_page(page, db, address):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(address)
    for field in page.locator("input:visible, select:visible").all():
        assert float(style(field, "fontSize")[:-2]) >= 16


def test_a_table_shows_each_column_on_a_phone(page, client, live_server, post):
    post(b"{")
    client.force_login(User.objects.create_user("ana", is_staff=True))
    session = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.set_viewport_size({"width": 390, "height": 800})
    for address, cells in (("/ui/status/", 3), ("/ui/deliveries/", 5)):  # it is about nothing
        page.goto(address)
        expect(page.locator(".cards tbody tr").first.locator("td:visible")).to_have_count(cells)


@pytest.mark.parametrize("width", [1440, 1280])
def test_text_of_twice_its_size_needs_no_scrolling_sideways(page, start, say, width):
    start(2)
    say(0, "Uma mensagem com algumas palavras")
    page.set_viewport_size({"width": width, "height": 900})
    for address in ("/ui/", f"/ui/{id_of(0)}/", "/ui/deliveries/", "/ui/stats/"):
        page.goto(address)
        before = float(style(page.locator("h1"), "fontSize")[:-2])
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert float(style(page.locator("h1"), "fontSize")[:-2]) == 2 * before
        assert page.evaluate("document.scrollingElement.scrollWidth") == width, address


def test_every_part_of_the_rail_has_a_word(page, start):
    for width, language in product((1440, 320), ("pt-BR", "en")):
        page.set_viewport_size({"width": width, "height": 700})
        page.goto(f"/ui/?lang={language}")
        for label in page.locator(".rail-label:visible").all():
            assert label.evaluate("label => label.scrollWidth <= label.clientWidth"), width
        expect(page.locator(".rail-label:visible")).to_have_count(5)


# Paper


def test_paper_has_dates_words_and_a_time_of_its_own(page, start, say):
    start(1)
    say(0)
    say(0, "Oi", "SENT")
    page.emulate_media(color_scheme="dark")
    page.goto(f"/ui/{id_of(0)}/")
    page.locator(".rail-menu summary").click()
    page.locator("#dark").click()
    page.locator("#dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert style(page.locator("html"), "colorScheme") == "light"
    expect(page.locator(".day time")).not_to_have_text(re.compile("Today|Yesterday"))
    expect(page.locator(".print-date")).to_contain_text(re.compile(r"Printed on .*\(.+\)"))
    for word in page.locator(".message-direction").all():
        assert box(word)["height"] > 10
    page.evaluate("dispatchEvent(new Event('afterprint'))")


def test_the_page_for_paper_has_dates(page, start, deliver):
    now = page.evaluate("new Date().toISOString().slice(0, 19)")
    deliver(make_event("NEW_CONVERSATION", id=id_of(0), at=now))
    deliver(make_event("NEW_MESSAGE", id=id_of(9), conversation_id=id_of(0), at=now))
    page.goto(f"/ui/{id_of(0)}/print/")
    expect(page.locator(".day time")).to_have_text(re.compile(r"\d{4}"))
