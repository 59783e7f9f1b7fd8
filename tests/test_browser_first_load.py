"""The cost of the first load of a thread: a real Chromium with an empty cache, and the production server."""

import json
from datetime import timedelta

import pytest

from tests.conftest import NOW, C, id_of, make_event
from tests.servers import running, set_up
from tests.test_the_card import PRODUCTION, manage

pytestmark = [pytest.mark.browser, pytest.mark.sqlite]

MOST_BYTES = 50_000  # as transferred, without the headers
# The page, its style, its script and its theme, htmx, the wallpaper and the icon. A window asks for
# the manifest too.
MOST_REQUESTS = 7


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a thread of 60 messages, enough to fill a page."""
    folder = tmp_path_factory.mktemp("granian")
    environ = set_up("granian", folder, **PRODUCTION, STATIC_ROOT=str(folder / "static"))
    manage("collectstatic", "-v0", **environ)
    manage("createsuperuser", "--username=ana", "--email=", **environ)
    with running("granian", environ) as server:
        events = [make_event("NEW_CONVERSATION", id=C)]
        for n in range(60):
            at = (NOW + timedelta(minutes=n)).isoformat()
            events.append(make_event("NEW_MESSAGE", id=id_of(n), at=at))
        for event in events:
            assert server.post(json.dumps(event).encode()).status_code == 201
        yield server


@pytest.fixture
def open_page(server, chromium):
    """Open a page in a browser with an empty cache, and perhaps with cookies."""
    contexts = []

    def open_page(**options):
        address = f"http://127.0.0.1:{server.port}"
        contexts.append(chromium.new_context(base_url=address, locale="en-US", **options))
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page):
    """A page with a login."""
    first = open_page()
    first.goto("/ui/login/")
    first.get_by_label("Username").fill("ana")
    first.get_by_label("Password").fill(PRODUCTION["DJANGO_SUPERUSER_PASSWORD"])
    first.get_by_role("button", name="Log in").click()
    first.wait_for_url("**/ui/")
    return open_page(storage_state={"cookies": first.context.cookies(), "origins": []})


def test_the_first_load_of_a_full_thread_is_small(page):
    loaded, errors = [], []
    page.on("requestfinished", lambda request: loaded.append(request))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.goto(f"/ui/{C}/", wait_until="load")
    page.wait_for_selector("#open-help:not([hidden])", state="attached")  # the script has run
    first = [request for request in loaded if "/fragments/" not in request.url]
    assert len(first) <= MOST_REQUESTS
    assert sum(request.sizes()["responseBodySize"] for request in first) < MOST_BYTES
    assert errors == []
