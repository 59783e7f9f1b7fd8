"""The manifest of the inbox and its icons, for installing the inbox as an app."""

import json
import re
import struct
from pathlib import Path
from urllib.parse import urljoin

import pytest
from django.contrib.staticfiles import finders

from tests.conftest import ROOT

MANIFEST = "/static/chat/manifest.webmanifest"


def manifest():
    return json.loads((ROOT / "static/chat/manifest.webmanifest").read_text())


def test_every_page_links_the_manifest(db, client):
    for address in ("/ui/", "/ui/deliveries/"):
        assert f'<link rel="manifest" href="{MANIFEST}">' in client.get(address).content.decode()


def test_it_opens_the_inbox(db, client):
    for name in ("start_url", "scope"):
        assert urljoin(MANIFEST, manifest()[name]) == "/ui/"


def test_the_policy_of_pages_lets_the_browser_read_it(db, client):
    policy = client.get("/ui/")["Content-Security-Policy"]
    assert re.search("manifest-src 'self'", policy)
    assert re.search("media-src 'self'", policy)


@pytest.mark.parametrize(
    ("file", "type"),
    [("manifest.webmanifest", "application/manifest+json"), ("icon-192.png", "image/png")],
)
def test_it_is_served_with_its_type(client, file, type):
    answer = client.get(f"/static/chat/{file}")
    assert answer.status_code == 200
    assert answer["Content-Type"].split(";")[0] == type
    answer.getvalue()


def test_each_icon_is_as_large_as_it_says():
    purposes = set()
    for icon in manifest()["icons"]:
        content = Path(finders.find(f"chat/{icon['src']}")).read_bytes()
        purposes.add((icon["purpose"], icon["sizes"]))
        if icon["type"] == "image/png":
            width, height = struct.unpack(">II", content[16:24])
            assert icon["sizes"] == f"{width}x{height}"
    assert {(use, f"{n}x{n}") for use in ("any", "maskable") for n in (192, 512)} <= purposes


@pytest.mark.browser
@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_the_browser_finds_no_fault_with_the_manifest(page):
    page.goto("/ui/")
    browser = page.context.new_cdp_session(page)
    found = browser.send("Page.getAppManifest")
    assert found["url"].endswith(MANIFEST)
    assert found["errors"] == []
    faults = browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [fault["errorId"] for fault in faults if fault["errorId"] != "in-incognito"] == []
