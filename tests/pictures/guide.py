"""The still pictures of docs/agents.md, a function each."""

from collections.abc import Iterator

from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.pictures.film import WORDS
from tests.pictures.images import beside
from tests.pictures.studio import Studio, address, shot
from tests.pictures.talk import id_of, message

MARGIN = 200
WIDE, ONE_PANE, PHONE = (1180, 700), (700, 900), (360, 640)


def guide(studio: Studio) -> Iterator[tuple[str, Image.Image]]:
    """Yield the name and the image of each picture."""
    words = WORDS[studio.language]
    wide = studio.page(*WIDE)
    wide.goto(address("pedido"))
    studio.deliver(message("pedido", words["was late"], minutes=30))
    expect(wide.locator("#thread")).to_contain_text(words["was late"])
    narrow = studio.page(*ONE_PANE)
    studio.deliver(message("internet", words["asks"]))
    for page in (wide, narrow):
        expect(page.locator(f"#row-{id_of('internet')} .unread")).to_be_visible()
    yield "inbox", shot(wide)
    yield "rows", rows(narrow)
    yield "filters", part(narrow.locator(".filters"), around=12)
    yield "sorting", opened(wide, ".sorts", within="#list-pane")
    yield "thread-menu", opened(wide, ".thread-header .menu:not(.history)", within="#thread-pane")
    yield "menu", opened(wide, ".rail-menu", within="body")
    yield "keys", keys(wide)
    yield "unread", unread(wide)
    wide.goto(address("garantia"))
    yield "after-closing", part(wide.locator("#thread-pane"), top=250)
    narrow.goto("/ui/?filter=wrote-after-closing")
    yield "dealt-with", part(narrow.locator(".row-item").first, around=6)
    yield "search", search(wide, words["word"])
    yield "phone", phone(studio)


def part(
    locator: Locator, *, top: float = 0, height: float | None = None, around: float = 0
) -> Image.Image:
    """Return the element, from `top` pixels on, with so many pixels above and below."""
    box = locator.bounding_box()
    height = min(height or box["height"], box["height"] - top)
    return cut(locator.page, box["x"], box["y"] + top - around, box["width"], height + 2 * around)


def cut(page: Page, left: float, top: float, width: float, height: float) -> Image.Image:
    return shot(page, clip={"x": left, "y": top, "width": width, "height": height})


def rows(page: Page) -> Image.Image:
    """Return a picture of the first rows, cut at the end of a row."""
    first, last = page.locator(".row-item").first, page.locator(".row-item").nth(6)
    begin, end = first.bounding_box(), last.bounding_box()
    height = end["y"] + end["height"] - begin["y"]
    return cut(page, begin["x"], begin["y"], begin["width"], height)


def opened(page: Page, menu: str, *, within: str) -> Image.Image:
    """Return a picture of an open menu, with a margin as far as the element reaches."""
    page.locator(f"{menu} > summary").click()
    items = page.locator(f"{menu} .menu-items").first
    expect(items).to_be_visible()
    box, outer = items.bounding_box(), page.locator(within).bounding_box()
    left, top = max(outer["x"], box["x"] - MARGIN), max(0, box["y"] - 64)
    right = min(outer["x"] + outer["width"], box["x"] + box["width"] + 64)
    bottom = min(page.viewport_size["height"], box["y"] + box["height"] + 48)
    image = cut(page, left, top, right - left, bottom - top)
    page.locator(f"{menu} > summary").click()
    expect(items).to_be_hidden()
    return image


def keys(page: Page) -> Image.Image:
    page.locator("#thread-scroll").focus()
    page.keyboard.press("?")
    help = page.locator("#help")
    expect(help).to_be_visible()
    image = part(help)
    page.keyboard.press("Escape")
    expect(help).to_be_hidden()
    return image


def unread(page: Page) -> Image.Image:
    """The line above the first unseen message."""
    page.locator(f"#row-{id_of('internet')} .row").click()
    expect(page.locator("#thread")).to_contain_text("😩")
    return part(page.locator("#thread-pane"), height=480)


def search(page: Page, word: str) -> Image.Image:
    page.goto(f"/ui/search/?q={word}")
    expect(page.locator("mark").first).to_be_visible()
    page.locator(".search-filters > summary").click()
    expect(page.locator(".search-fields")).to_be_visible()
    return part(page.locator("#list-pane"))


def phone(studio: Studio) -> Image.Image:
    """The list and a thread: a phone shows one at a time, the picture shows both beside each other."""
    page = studio.page(*PHONE)
    images = [shot(page)]
    page.goto(address("boleto"))
    images.append(shot(page))
    page.context.close()
    return beside(images)
