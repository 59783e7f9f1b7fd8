"""axe finds nothing on any page, by every rule for WCAG 2.2 AA and by best practice."""

import re
from contextlib import suppress

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import TimeoutError as NotSeen

from chat.models import Delivery, User
from tests.conftest import C, M, make_event

pytestmark = [pytest.mark.browser, pytest.mark.sqlite, pytest.mark.django_db(transaction=True)]

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
# Finds invisible text: text too close to its background. Transparent backgrounds are blended.
UNSEEN = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const painted = (...colours) => {
        for (const colour of colours) {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
        }
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const grounds = (element) =>
        element ? [...grounds(element.parentElement), getComputedStyle(element).backgroundColor] : ["Canvas"];
    const luminance = (colour) => colour.slice(0, 3)
        .map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
    const contrast = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return [...document.body.querySelectorAll("*")]
        .filter((element) => hasText(element) && element.checkVisibility() && !element.closest("noscript, svg, #api"))
        .map((element) => {
            const under = grounds(element);
            const text = painted(...under, getComputedStyle(element).color);
            return [contrast(text, painted(...under)), element.outerHTML.slice(0, 100)];
        })
        .filter(([ratio]) => ratio < 3);
}"""
CLOSED = "0e1d2c3b-4a59-4687-9706-f5e4d3c2b1a0"
RECENT, R1, R2 = (f"00000000-0000-4000-8000-00000000002{n}" for n in range(3))
NOWHERE = "00000000-0000-4000-8000-000000000009"

PAGES = {
    "inbox": "/ui/",
    "a filter that lists none": f"/ui/{C}/?filter=wrote-after-closing&cursor=WyIyMDI1LTAyLTIxVDEwOjIwOjQxKzAwOjAwIiwiMDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDA5Il0",
    "a bad filter": "/ui/?filter=nothing",
    "thread": f"/ui/{C}/",
    "closed thread": f"/ui/{CLOSED}/?filter=closed&sort=oldest",
    "a message of a thread": f"/ui/{C}/?message={M}",
    "an unknown message": f"/ui/{C}/?message={NOWHERE}",
    "an unknown conversation": f"/ui/{NOWHERE}/",
    "search": "/ui/search/",
    "hits": "/ui/search/?q=ola",
    "no hits": "/ui/search/?q=zzz",
    "filtered hits": "/ui/search/?q=ola&direction=RECEIVED&from=2025-01-01",
    "a thread beside hits": f"/ui/{C}/?q=ola&message={M}",
    "deliveries": "/ui/deliveries/",
    "a bad filter of deliveries": "/ui/deliveries/?outcome=x",
    "delivery": "/ui/deliveries/{refused}/",
    "statistics": "/ui/stats/",
    "print": f"/ui/{C}/print/",
    "nowhere": "/ui/a/b/c",
    "docs": "/docs",
    "login": "/ui/login/",
}
LOOKS = {"light, pt-BR": ("light", "pt-BR"), "dark, en": ("dark", "en-US")}


@pytest.fixture
def stored(deliver):
    deliver(make_event("NEW_CONVERSATION", id=C))
    deliver(make_event("NEW_MESSAGE", id=M))
    for n in range(8):
        direction = "SENT" if n % 3 else "RECEIVED"
        text = f"Mensagem *{n}* https://example.org/ ```mono```\n> citado `código`\n- a\n1. b"
        text += " palavra" * 400 * (n in (6, 7))
        id = f"00000000-0000-4000-8000-{n + 100:012}"
        at = f"2025-02-{22 - n // 6}T11:00:{n:02}"
        deliver(make_event("NEW_MESSAGE", id=id, direction=direction, content=text, at=at))
    deliver(make_event("NEW_CONVERSATION", id=CLOSED))
    deliver(make_event("CLOSE_CONVERSATION", id=CLOSED))
    deliver(make_event("NEW_MESSAGE", id=NOWHERE, conversation_id=CLOSED))
    now = timezone.now().isoformat()  # the statistics show the last days
    deliver(make_event("NEW_CONVERSATION", id=RECENT, at=now))
    for id, direction in ((R1, "RECEIVED"), (R2, "SENT")):
        deliver(
            make_event("NEW_MESSAGE", id=id, conversation_id=RECENT, direction=direction, at=now)
        )
    deliver(b"{")


@pytest.fixture(params=LOOKS.values(), ids=LOOKS)
def reader(request, chromium, live_server):
    scheme, locale = request.param
    context = chromium.new_context(
        base_url=live_server.url, locale=locale, color_scheme=scheme, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


def found(page):
    """Return the faults on the page. axe misses text in the colour of its background, so UNSEEN looks for such text."""
    # Swagger UI is not ours.
    violations = Axe().run(page, {"exclude": ["#api"]}, RULES).response["violations"]
    by_axe = [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in violations]
    return by_axe + page.evaluate(UNSEEN)


def assert_nothing_is_found(page):
    assert found(page) == []


def found_at(page, addresses):
    """Return the faults by address. One browser for all pages, because a new start takes longer than the check."""
    seen = {}
    for name, address in addresses.items():
        page.goto(address)
        page.locator("main").wait_for()  # Swagger UI adds its main element later
        seen[name] = found(page)
    return {name: what for name, what in seen.items() if what}


def test_axe_finds_nothing(stored, reader):
    refused = Delivery.objects.filter(outcome="refused").first().pk
    addresses = {name: address.format(refused=refused) for name, address in PAGES.items()}
    assert found_at(reader, addresses) == {}


def test_axe_finds_nothing_where_nothing_is_stored(db, reader):
    addresses = ["/ui/", "/ui/deliveries/", "/ui/stats/"]
    assert found_at(reader, dict(zip(addresses, addresses, strict=True))) == {}


SMALL = ["/ui/", f"/ui/{C}/", "/ui/deliveries/", "/ui/stats/", "/ui/a/b/c", "/ui/login/"]


def test_axe_finds_nothing_on_small_screens(stored, reader):
    reader.set_viewport_size({"width": 320, "height": 640})
    assert found_at(reader, dict(zip(SMALL, SMALL, strict=True))) == {}


def test_no_page_is_wider_than_a_small_screen(stored, reader):
    for width in (320, 768):
        reader.set_viewport_size({"width": width, "height": 640})
        for address in SMALL:
            reader.goto(address)
            assert reader.evaluate("document.documentElement.scrollWidth") == width, address


@pytest.mark.parametrize("size", [(1280, 800), (320, 640)])
def test_the_end_key_leads_to_the_end_of_a_page_and_no_further(stored, reader, size):
    reader.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    for address in SMALL:
        reader.goto(address)
        press_end(reader)
        assert reader.evaluate(RAIL_IS_SEEN), address


def press_end(reader):
    """Press the key again if the layout was not ready: a slow browser forgets the first press."""
    for _ in range(10):
        reader.keyboard.press("End")
        with suppress(NotSeen):
            return reader.wait_for_function(IS_AT_ITS_END, timeout=3_000)
    raise AssertionError("the page has no end")


IS_AT_ITS_END = """() => {
  const main = document.querySelector("main").getBoundingClientRect();
  const last = document.querySelector("main > :last-child").getBoundingClientRect();
  const { scrollHeight } = document.documentElement;
  return last.bottom <= innerHeight + 1 && scrollHeight <= Math.max(innerHeight, scrollY + main.bottom + 60);
}"""
RAIL_IS_SEEN = """() => {
  const { top, bottom } = document.querySelector(".rail").getBoundingClientRect();
  return top >= -1 && bottom <= innerHeight + 1;
}"""


def test_axe_finds_nothing_in_what_opens(stored, reader):
    reader.goto(f"/ui/{CLOSED}/")
    for summary in reader.locator("summary").all():
        summary.click()
        assert_nothing_is_found(reader)
        reader.keyboard.press("Escape")
    reader.locator(".rail-menu summary").click()
    reader.locator("#open-help").click()
    assert_nothing_is_found(reader)


def test_axe_finds_nothing_in_what_staff_see(stored, reader, client, live_server):
    client.force_login(User.objects.create_user("staff", is_staff=True))
    session = client.cookies["sessionid"].value
    reader.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    reader.goto(f"/ui/deliveries/{Delivery.objects.latest('id').pk}/")
    reader.locator("pre").wait_for()
    assert_nothing_is_found(reader)
    reader.get_by_role("link", name=re.compile("Status|Situação")).click()
    reader.locator(".facts").first.wait_for()
    assert_nothing_is_found(reader)
    reader.set_viewport_size({"width": 320, "height": 640})
    assert_nothing_is_found(reader)
    assert reader.evaluate("document.documentElement.scrollWidth") == 320


def test_axe_finds_nothing_in_an_account_that_is_as_narrow_as_a_phone(reader, client, live_server):
    client.force_login(User.objects.create_user("agent"))
    session = client.cookies["sessionid"].value
    reader.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    reader.set_viewport_size({"width": 320, "height": 640})
    reader.goto("/ui/account/")
    assert_nothing_is_found(reader)
    assert reader.evaluate("document.documentElement.scrollWidth") == 320
