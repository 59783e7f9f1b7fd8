"""Unread messages and their notifications, in a real Chromium."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.test import Client
from playwright.sync_api import expect

from chat.models import Seen
from chat.views import heard
from tests.conftest import id_of, make_event
from tests.live_inbox import *

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

STUB_NOTIFICATIONS = """
    window.shown = [];
    window.Notification = class {
        static permission = "default";
        static async requestPermission() { return (this.permission = "granted"); }
        constructor(title, options) { window.shown.push([title, options]); }
    };
"""


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
    expect(page.locator(".no-messages")).to_be_visible()
    page.wait_for_function(
        """wanted => JSON.stringify(JSON.parse(localStorage['realmate.seen-of-customers'] ?? '[]').sort())
                     === JSON.stringify(wanted)""",
        arg=[[id_of(0), 1], [id_of(1), 0]],
    )
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
        """() => localStorage.setItem("realmate.seen-of-customers",
            JSON.stringify(Array.from({ length: 2000 }, (_, n) => [`${n}`, 1])))"""
    )
    page.reload()
    row_of(page, 0).click()
    expect(row_of(page, 0)).to_have_attribute("aria-current", "page")
    expect(page).to_have_title("00000000 · Conversations · Realmate")
    assert (
        page.evaluate("() => JSON.parse(localStorage['realmate.seen-of-customers']).length") < 1500
    )


# Of all conversations


def test_a_customer_whom_the_list_does_not_show_is_unread_too(page, start, say):
    start(60)
    for n in range(60):
        say(n)
    page.goto("/ui/?filter=needs-reply&sort=waiting")
    expect(row_of(page, 59)).to_have_count(0)
    say(59)
    poll(page)
    expect(page).to_have_title("(1) Conversations · Realmate")
    page.reload()
    expect(page).to_have_title("(1) Conversations · Realmate")
    page.goto(f"/ui/{id_of(59)}/")
    expect(page).to_have_title(f"{id_of(59)[:8]} · Conversations · Realmate")


@pytest.mark.parametrize("address", ["/ui/search/?q=x", "/ui/deliveries/", "/ui/stats/"])
def test_every_page_tells_what_is_unread(page, start, say, address):
    start(2)
    page.goto("/ui/")
    page.goto(address)
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile(r"icon\."))
    say(1)
    poll(page, 31)
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    expect(icon).to_have_attribute("href", re.compile("icon-unread"))
    say(0)
    assert poll(page, 31).status == 200
    expect(page).to_have_title(re.compile(r"^\(2\) "))
    assert poll(page, 31).status == 204


def test_what_came_while_no_page_was_open_is_unread_in_the_next(page, start, say, deliver):
    start(2)
    page.goto("/ui/")
    page.goto("about:blank")
    deliver(opened(99, START - timedelta(days=1)))
    say(99)
    page.goto("/ui/")
    expect(row_of(page, 99).locator(".unread")).to_have_text("1")
    expect(page).to_have_title("(1) Conversations · Realmate")


def test_what_the_company_sends_makes_nothing_unread(page, start, say):
    start(2)
    say(0)
    page.goto("/ui/")
    say(0, "Já vai", "SENT")
    poll(page)
    expect(row_of(page, 0)).to_contain_text("Já vai")
    expect(page).to_have_title("Conversations · Realmate")


def test_more_than_one_answer_tells_is_asked_for_at_once(page, start, say, monkeypatch):
    monkeypatch.setattr(heard, "MOST_CHANGES", 1)
    start(3)
    page.goto("/ui/stats/")
    poll(page, 31)
    for n in range(3):
        say(n)
    poll(page, 31)
    expect(page).to_have_title(re.compile(r"^\(3\) "))


# In the thread


def test_a_line_stands_above_the_first_unread_message(page, start, say):
    start(2)
    say(0, "lida")
    page.goto("/ui/")
    say(0, "primeira nova")
    say(0, "resposta", "SENT")
    say(0, "segunda nova")
    poll(page)
    expect(row_of(page, 0).locator(".unread")).to_have_text("2")
    row_of(page, 0).click()
    line = page.locator(".new-line")
    expect(line).to_have_text("New messages")
    expect(page.locator(".new-line + .message")).to_contain_text("primeira nova")
    page.reload()
    expect(page.get_by_text("segunda nova").last).to_be_visible()
    expect(line).to_have_count(0)


def test_the_line_stands_above_the_day_of_its_message(page, start, say, deliver):
    start(1)
    say(0)
    page.goto("/ui/")
    at = (START + timedelta(days=2)).isoformat()
    deliver(make_event("NEW_MESSAGE", id=id_of(77), at=at, conversation_id=id_of(0)))
    poll(page)
    expect(row_of(page, 0).locator(".unread")).to_have_text("1")
    row_of(page, 0).click()
    deliver(make_event("NEW_MESSAGE", id=id_of(78), at=at, conversation_id=id_of(0), content="Fim"))
    poll(page)
    expect(page.locator(".message").last).to_contain_text("Fim")
    expect(page.locator(".day")).to_have_count(2)
    expect(page.locator(".new-line + .day")).to_have_count(1)


@pytest.mark.parametrize("by", ["menu", "key"])
def test_a_conversation_is_marked_as_unread_and_left(page, start, say, by):
    start(2)
    say(0)
    page.goto(f"/ui/{id_of(0)}/")
    if by == "menu":
        page.get_by_label("More", exact=True).click()
        page.get_by_role("button", name="Mark as unread").click()
    else:
        page.keyboard.press("u")
    expect(page).to_have_title("(1) Conversations · Realmate")
    expect(row_of(page, 0).locator(".unread")).to_have_text("1")
    poll(page)
    page.reload()
    expect(page).to_have_title("(1) Conversations · Realmate")


def test_a_conversation_without_a_customers_message_cannot_be_unread(page, start, say):
    start(1)
    say(0, "Olá", "SENT")
    page.goto(f"/ui/{id_of(0)}/")
    page.keyboard.press("u")
    page.get_by_label("More", exact=True).click()
    expect(page.get_by_role("link", name="Print")).to_be_visible()
    expect(page.get_by_role("button", name="Mark as unread")).to_be_hidden()


def test_a_key_opens_the_next_unread_conversation_wherever_it_is(page, start, say):
    start(60)
    page.goto(f"/ui/{id_of(58)}/?sort=newest")
    say(30)
    say(3)
    poll(page)
    expect(page).to_have_title(re.compile(r"^\(2\)"))
    page.keyboard.press("n")
    expect(row_of(page, 30)).to_have_attribute("aria-current", "page")
    expect(page).to_have_title(re.compile(r"^\(1\)"))
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(id_of(3)))
    expect(page).to_have_title(re.compile("^00000003"))


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
    page.locator(".rail-menu summary").click()
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
    page.locator(".rail-menu summary").click()
    page.get_by_role("button", name="Notify me on the desktop").click()
    hide(page)
    say(1, "Segredo do cliente")
    poll(page, 31)
    page.wait_for_function("window.shown.length > 0")
    poll(page, 31)
    assert page.evaluate("window.shown") == [["Unread conversations: 1", {"tag": "realmate"}]]


def test_a_further_message_in_an_unread_conversation_notifies_too(page, start, say):
    page.add_init_script(STUB_NOTIFICATIONS)
    start(2)
    page.goto("/ui/")
    page.locator(".rail-menu summary").click()
    page.get_by_role("button", name="Notify me on the desktop").click()
    hide(page)
    for n in range(2):
        say(1)
        poll(page, 31)
        page.wait_for_function("n => window.shown.length > n", arg=n)
    assert [title for title, _ in page.evaluate("window.shown")] == ["Unread conversations: 1"] * 2


def test_the_bell_says_that_the_browser_has_refused(page, start):
    page.add_init_script(STUB_NOTIFICATIONS.replace('"default"', '"denied"'))
    start(1)
    page.goto("/ui/")
    page.locator(".rail-menu summary").click()
    bell = page.get_by_role("button", name="This browser has refused notifications.")
    expect(bell).to_be_visible()
    expect(bell).to_have_attribute("aria-pressed", "false")


@pytest.fixture
def tones(page):
    """Return the number of tones played by the page."""
    page.add_init_script(
        """window.tones = 0;
        window.OscillatorNode = class extends OscillatorNode {
            start(at) { window.tones += 1; super.start(at); }
        };"""
    )
    return lambda: page.evaluate("window.tones")


def test_a_sound_is_off_until_it_is_turned_on(page, start, say, tones):
    start(2)
    page.goto("/ui/")
    say(0)
    poll(page)
    expect(page).to_have_title(re.compile(r"^\(1\)"))
    assert tones() == 0
    page.locator(".rail-menu summary").click()
    sound = page.get_by_role("button", name="Play a sound")
    sound.click()
    expect(sound).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(200)
    heard_before = tones()
    pass_time(page, 10)
    say(1)
    poll(page)
    page.wait_for_function("n => window.tones === n + 2", arg=heard_before)


@pytest.mark.parametrize("is_wanted", [False, True])
def test_a_sound_is_repeated_until_everything_is_read_if_one_wants(
    page, start, say, tones, is_wanted
):
    start(2)
    page.goto("/ui/")
    page.locator(".rail-menu summary").click()
    page.get_by_role("button", name="Play a sound").click()
    page.get_by_role("button", name="Keyboard and sound").click()
    page.get_by_label("Repeat the sound").set_checked(is_wanted)
    page.keyboard.press("Escape")
    pass_time(page, 10)
    say(0)
    poll(page)
    expect(page).to_have_title(re.compile(r"^\(1\)"))
    before = tones()
    pass_time(page, 31)
    page.wait_for_timeout(200)
    assert (tones() > before) == is_wanted
    row_of(page, 0).click()
    expect(page).to_have_title("00000000 · Conversations · Realmate")
    before = tones()
    pass_time(page, 31)
    page.wait_for_timeout(200)
    assert tones() == before


def test_what_is_read_as_it_arrives_makes_no_sound(page, start, say, tones):
    start(2)
    page.goto(f"/ui/{id_of(0)}/")
    page.locator(".rail-menu summary").click()
    page.get_by_role("button", name="Play a sound").click()
    page.wait_for_timeout(200)
    pass_time(page, 10)
    before = tones()
    say(0)
    poll(page)
    expect(page.locator(".message")).to_have_count(1)
    assert tones() == before


def test_a_mark_as_unread_makes_no_sound(page, start, say, tones):
    start(1)
    say(0)
    page.goto(f"/ui/{id_of(0)}/")
    page.locator(".rail-menu summary").click()
    page.get_by_role("button", name="Play a sound").click()
    page.wait_for_timeout(200)
    pass_time(page, 10)
    before = tones()
    page.keyboard.press("u")
    expect(page).to_have_title("(1) Conversations · Realmate")
    poll(page)
    assert tones() == before
    pass_time(page, 10)
    say(0)
    poll(page)
    page.wait_for_function("n => window.tones === n + 2", arg=before)


# With a login


def session_of(client, url, settings):
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": url}


@pytest.fixture
def browsers(chromium, live_server, client, django_user_model, settings):
    """Pages of one user, each in a browser of its own. The user first logs in with the first one."""
    user = django_user_model.objects.create_user("bia")
    contexts = []

    def browser():
        client.force_login(user)
        context = chromium.new_context(base_url=live_server.url, locale="en-US")
        context.add_cookies([session_of(client, live_server.url, settings)])
        contexts.append(context)
        page = context.new_page()
        page.clock.install()
        return page

    yield browser
    for context in contexts:
        context.close()


SAVED = re.compile("/ui/fragments/seen/")


READ, UNREAD = "Conversations · Realmate", "(1) Conversations · Realmate"


def save(page, act):
    with page.expect_response(SAVED) as saved:
        act()
    assert saved.value.status == 204


def told(page, title):
    """Wait a few polls for the title, because a poll may have been under way."""
    for _ in range(5):
        if page.title() == title:
            break
        poll(page, 31)
    expect(page).to_have_title(title)


def test_what_a_user_reads_in_one_browser_is_read_in_the_other(browsers, start, say):
    start(2)
    one, other = browsers(), browsers()
    for page in (one, other):
        page.goto("/ui/")
    say(0)
    for page in (one, other):
        told(page, UNREAD)
    save(one, row_of(one, 0).click)
    told(other, READ)
    expect(row_of(other, 0).locator(".unread")).to_be_hidden()
    expect(other.locator("link[rel=icon]")).to_have_attribute("href", re.compile(r"icon\."))
    save(one, lambda: one.keyboard.press("u"))
    told(other, UNREAD)
    expect(row_of(other, 0).locator(".unread")).to_have_text("1")
    expect(other.locator("link[rel=icon]")).to_have_attribute("href", re.compile("icon-unread"))


def test_pages_without_the_list_and_hidden_tabs_are_told_too(browsers, start, say):
    start(1)
    one, stats, hidden = browsers(), browsers(), browsers()
    one.goto("/ui/")
    stats.goto("/ui/stats/")
    hidden.goto("/ui/")
    hide(hidden)
    say(0)
    told(stats, "(1) Statistics · Realmate")
    told(hidden, UNREAD)
    save(one, row_of(one, 0).click)
    told(stats, "Statistics · Realmate")
    told(hidden, READ)


def test_a_mark_as_unread_holds_while_the_conversation_is_open_elsewhere(browsers, start, say):
    start(1)
    say(0)
    one, other = browsers(), browsers()
    save(other, lambda: other.goto(f"/ui/{id_of(0)}/"))
    save(one, lambda: one.goto(f"/ui/{id_of(0)}/"))
    save(one, lambda: one.keyboard.press("u"))
    told(other, f"(1) 00000000 · {READ}")
    poll(other)
    told(one, UNREAD)
    save(other, row_of(other, 0).click)
    told(other, f"00000000 · {READ}")
    told(one, READ)


def test_a_browser_is_idle_again_after_it_was_told(browsers, start, say):
    start(1)
    say(0)
    one, other = browsers(), browsers()
    other.goto("/ui/")
    save(one, lambda: one.goto(f"/ui/{id_of(0)}/"))
    for page in (one, other):
        assert any(poll(page).status == 204 for _ in range(5))


# A second machine


def test_what_is_unread_in_one_browser_is_unread_in_a_new_one(browsers, start, say):
    start(4)
    for n in range(4):
        say(n)
    one = browsers()
    one.goto("/ui/")
    told(one, READ)
    save(one, row_of(one, 0).click)
    save(one, row_of(one, 1).click)
    one.goto("/ui/stats/")
    for n in (1, 2, 2):
        say(n)
    new = browsers()
    new.goto("/ui/")
    told(new, "(2) Conversations · Realmate")
    expect(row_of(new, 1).locator(".unread")).to_have_text("1")
    expect(row_of(new, 2).locator(".unread")).to_have_text("2")
    expect(new.locator(".unread:visible")).to_have_count(2)


def test_a_new_browser_counts_all_messages_of_several_answers(browsers, start, say, monkeypatch):
    start(1)
    say(0)
    browsers()
    for _ in range(5):
        say(0)
    monkeypatch.setattr(heard, "MOST_CHANGES", 2)
    new = browsers()
    new.goto("/ui/")
    told(new, UNREAD)
    expect(row_of(new, 0).locator(".unread")).to_have_text("5")


def test_a_mark_as_unread_reaches_a_new_browser(browsers, start, say):
    start(60)
    say(0)
    one = browsers()
    save(one, lambda: one.goto(f"/ui/{id_of(0)}/"))
    save(one, lambda: one.keyboard.press("u"))
    new = browsers()
    new.goto("/ui/?sort=newest")
    expect(row_of(new, 0)).to_have_count(0)
    told(new, UNREAD)


def test_another_user_of_the_browser_begins_for_themselves(
    browsers, start, say, django_user_model, live_server, settings
):
    start(1)
    page, ana = browsers(), Client()
    page.goto("/ui/")
    ana.force_login(django_user_model.objects.create_user("ana"))
    say(0)
    told(page, UNREAD)
    save(page, row_of(page, 0).click)
    page.context.add_cookies([session_of(ana, live_server.url, settings)])
    page.goto("/ui/")
    told(page, UNREAD)


def test_an_answer_from_before_what_was_read_does_not_undo_it(browsers, start, say):
    start(2)
    page = browsers()
    with page.expect_response(SAVED):
        page.goto(f"/ui/{id_of(0)}/")
    page.route(SAVED, lambda route: route.abort())
    say(0)
    poll(page)
    expect(page.locator(".message")).to_have_count(1)
    row_of(page, 1).click()
    expect(page).to_have_title("00000001 · Conversations · Realmate")
    say(0, "Já vai", "SENT")
    poll(page)
    leave(page)
    expect(row_of(page, 0)).to_contain_text("Já vai")
    expect(page).to_have_title("00000001 · Conversations · Realmate")


def test_what_the_server_refused_is_sent_again_when_it_tells_of_another_number(
    browsers, start, say
):
    start(1)
    page = browsers()
    save(page, lambda: page.goto(f"/ui/{id_of(0)}/"))
    page.route(SAVED, lambda route: route.fulfill(status=503))

    def saved(status):
        """Whether an answer is for a save of the number 1."""
        return lambda answer: (
            SAVED.search(answer.url)
            and answer.status == status
            and "count=1" in answer.request.post_data
        )

    with page.expect_response(saved(503)):
        say(0)
        poll(page)
    page.unroute(SAVED)
    Seen.objects.update(place=F("place") + 1)
    with page.expect_response(saved(204)):
        poll(page)
    assert Seen.objects.get().count == 1
