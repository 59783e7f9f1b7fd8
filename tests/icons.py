"""Make the PNG icons of static/chat/manifest.webmanifest from icon-maskable.svg: `python -m tests.icons`."""

import shutil
from base64 import b64encode

from playwright.sync_api import sync_playwright

from tests.servers import ROOT

FOLDER = ROOT / "static" / "chat"
SIZES = (192, 512)


def make() -> None:
    drawing = b64encode((FOLDER / "icon-maskable.svg").read_bytes()).decode()
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for size in SIZES:
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(
                f'<body style="margin:0"><img style="display:block;width:100vw" '
                f'src="data:image/svg+xml;base64,{drawing}">'
            )
            page.locator("img").screenshot(path=FOLDER / f"icon-{size}.png")
        browser.close()


if __name__ == "__main__":
    make()
