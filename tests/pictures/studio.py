"""A service with made-up conversations, and a Chromium looking at its pages."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.pictures.images import picture
from tests.pictures.talk import id_of, talk
from tests.servers import Server, serving

# chromium-l10n has the Portuguese fields of dates.
NEEDED = "apt-get install chromium chromium-l10n fonts-roboto-unhinted fonts-noto-color-emoji"
FONTS = {"Roboto", "Noto Color Emoji"}
# Debian's system-ui is DejaVu, a font missing on readers' machines.
FONT = """document.addEventListener("DOMContentLoaded", () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("body, dialog { font-family: Roboto, sans-serif; } * { caret-color: transparent; }");
    document.adoptedStyleSheets = [sheet];
});"""
# Sharp on most screens, in a small file.
SCALE = 1.5
SETTINGS = {
    "REALMATE_ENV_FILE": "",
    "DJANGO_SETTINGS_MODULE": "realmate.settings",
    "REPLY_URL": "https://desk.example/conversations/{id}",
    "LOG_LEVEL": "ERROR",
}


def refuse_without_what_is_needed() -> None:
    known = subprocess.run(["fc-list", ":", "family"], capture_output=True, text=True).stdout
    if not shutil.which("chromium") or any(font not in known for font in FONTS):
        sys.exit(f"No pictures without Chromium and two fonts. On Debian: {NEEDED}")


# A busy machine answers late.
expect.set_options(timeout=30_000)


@contextmanager
def chromium(language: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"],
            env=os.environ | {"LANGUAGE": language},  # Chromium draws the fields of dates
        )
        yield browser
        browser.close()


@dataclass(frozen=True)
class Studio:
    """A service in one language."""

    browser: Browser
    server: Server
    language: str

    def deliver(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.server.post(json.dumps(event).encode())

    def page(self, width: int, height: int, *, scheme: str = "light") -> Page:
        """Return the inbox in a new browser, of a reader in São Paulo."""
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=SCALE,
            color_scheme=scheme,
            locale=self.language,
            timezone_id="America/Sao_Paulo",
            base_url=f"http://127.0.0.1:{self.server.port}",
            reduced_motion="reduce",
        )
        context.add_init_script(FONT)
        page = context.new_page()
        page.goto("/ui/")
        return page


@contextmanager
def studio(browser: Browser, language: str) -> Iterator[Studio]:
    with TemporaryDirectory() as folder, serving("runserver", Path(folder), **SETTINGS) as server:
        opened = Studio(browser, server, language)
        opened.deliver(*talk(language))
        yield opened


def address(name: str) -> str:
    return f"/ui/{id_of(name)}/"


def shot(page: Page, **given: Any) -> Image.Image:
    page.wait_for_load_state()
    return picture(page.screenshot(animations="disabled", **given))
