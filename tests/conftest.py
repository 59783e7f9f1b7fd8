"""What the tests share: events as a sender writes them, and the doors they go in by."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import sync_playwright

from chat.events import Result, ingest

C = "6a41b347-8d80-4ce9-84ba-7af66f369f6a"
M = "49108c71-4dca-4af3-9f32-61bc745926e2"
NOW = datetime(2025, 2, 21, 12, 0, tzinfo=UTC)


def make_event(type: str, *, at: str = "2025-02-21T10:20:41.349308", **data: Any) -> dict[str, Any]:
    """An event; a message without further words is RECEIVED and says Olá."""
    if type == "NEW_MESSAGE":
        data = {"direction": "RECEIVED", "content": "Olá, tudo bem?", "conversation_id": C} | data
    return {"type": type, "timestamp": at, "data": data}


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    return make_event


@pytest.fixture
def deliver(db) -> Callable[..., Result]:
    """Straight into `ingest`, at NOW or `after` it."""

    def deliver(event: Any, *, after: timedelta = timedelta()) -> Result:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return ingest(body, received_at=NOW + after)

    return deliver


@pytest.fixture
def post(db) -> Callable[..., Any]:
    """Through the webhook, as JSON unless told otherwise. Like a server, it answers exceptions."""
    client = Client(raise_request_exception=False)

    def post(event: Any, *, path: str = "/webhook/", **extra: Any) -> Any:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return client.post(path, body, **({"content_type": "application/json"} | extra))

    return post


# Machines: what is missing skips when a person runs the tests, and fails in CI.

IN_CI = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(config, items):
    """What is about one engine runs on that engine only; it is not skipped but not asked for."""
    of_another = "postgresql" if connection.vendor == "sqlite" else "sqlite"
    left_out = [item for item in items if item.get_closest_marker(of_another)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter.stats.get("skipped"):
        reporter.write_line("In CI a skipped test is a failure.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def missing(what: str) -> None:
    if IN_CI:
        pytest.fail(f"{what}, and CI skips nothing")
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium; Playwright's own cannot be downloaded everywhere."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        missing("no Chromium on this machine (Debian: apt-get install chromium)")
    # Playwright's loop runs in this thread, where Django then takes every query for an async one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()
