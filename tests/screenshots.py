"""Screenshots of a running inbox, to look at before and after: `python -m tests.screenshots FOLDER [URL]`."""

import shutil
import sys
from itertools import product
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = [(1440, 900), (1024, 768), (390, 844), (320, 640)]
PAGES = {
    "inbox": "/ui/",
    "filter": "/ui/?filter=wrote-after-closing",
    "search": "/ui/search/?q=pedido",
    "deliveries": "/ui/deliveries/",
    "stats": "/ui/stats/",
    "login": "/ui/login/",
}


def main(folder: str, url: str = "http://127.0.0.1:8000") -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for (width, height), scheme in product(SIZES, ["light", "dark"]):
            page = chromium.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme, locale="pt-BR"
            )
            page.goto(f"{url}/ui/")
            thread = page.locator("#rows .row").first.get_attribute("href")
            for name, address in (PAGES | {"thread": thread}).items():
                page.goto(url + address)
                page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png")
            page.close()
        chromium.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
