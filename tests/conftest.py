"""Fixtures for all tests: events as senders write them, their delivery, databases and browsers."""

import gc
import json
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.staticfiles.finders import get_finder
from django.core.cache import cache
from django.core.management import call_command
from django.core.management.commands import flush
from django.db import connection, connections
from django.db.backends.base.base import NO_DB_ALIAS
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from chat.events.ingest import Result, ingest
from chat.models import current_generation
from chat.upkeep import copying
from tests.bundles import BUNDLES, SUMS, sums
from tests.clusters import SERVERS, a_cluster
from tests.missing import IN_CI, missing
from tests.servers import a_migrated_file

ROOT = Path(__file__).resolve().parent.parent
C = "6a41b347-8d80-4ce9-84ba-7af66f369f6a"
OTHER_C = "0b0cbf6a-9c3f-4f4e-8a0e-6f9a3d2c1b00"
M = "49108c71-4dca-4af3-9f32-61bc745926e2"
M2 = "16b63b04-60de-4257-b1a1-20a5154abc6d"
NOW = datetime(2025, 2, 21, 12, 0, tzinfo=UTC)


def id_of(n: int) -> str:
    """Return the n-th id. Ids sort by n, and differ in their first eight characters."""
    return f"{n:08}-0000-4000-8000-{n:012}"


def make_event(type: str, *, at: str = "2025-02-21T10:20:41.349308", **data: Any) -> dict[str, Any]:
    """Return an event. By default a message is RECEIVED and says Olá."""
    if type == "NEW_MESSAGE":
        data = {"direction": "RECEIVED", "content": "Olá, tudo bem?", "conversation_id": C} | data
    return {"type": type, "timestamp": at, "data": data}


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    return make_event


@pytest.fixture
def deliver(db) -> Callable[..., Result]:
    """Deliver an event straight to `ingest`, with the arrival time NOW, or so much `after` NOW."""

    def deliver(event: Any, *, after: timedelta = timedelta()) -> Result:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return ingest(body, received_at=NOW + after)

    return deliver


@pytest.fixture
def post(db) -> Callable[..., Any]:
    """Post to the webhook, by default as JSON. An exception becomes an answer, as on a server."""
    client = Client(raise_request_exception=False)

    def post(event: Any, *, path: str = "/webhook/", **extra: Any) -> Any:
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return client.post(path, body, **({"content_type": "application/json"} | extra))

    return post


@pytest.fixture
def agent(client, django_user_model) -> Client:
    """The client of somebody who has logged in, and is not staff."""
    client.force_login(django_user_model.objects.create_user("bia"))
    return client


@pytest.fixture(params=[False, True], ids=["debug off", "debug on"])
def debug_off_and_on(request, settings):
    """Run the test twice, because Django answers some errors otherwise with DEBUG on."""
    settings.DEBUG = request.param


@pytest.fixture
def generation(db) -> str:
    """The current generation: begun by the migration, or here after a test with real transactions."""
    return current_generation()


class QuickFlush:
    """Empties the tables after a test with real transactions, by DELETE.

    On PostgreSQL Django would TRUNCATE, and so give each table and each index a new file. With few
    rows a TRUNCATE takes ten times as long. Django would also delete its content types and permissions,
    and make them again, which takes as long as a short test. Here they stay unless a test changed one.
    """

    def __init__(self):
        self._made = None  # what Django made last
        self._make_again = flush.emit_post_migrate_signal
        self._are_gone = False

    def statements(self, style, tables, **options):
        self._are_gone = self._made is None or self._made != self._stored()
        staying = set() if self._are_gone else {model._meta.db_table for model in MADE_BY_DJANGO}
        return [f'DELETE FROM "{table}"' for table in tables if table not in staying]

    def emit_post_migrate_signal(self, *args):
        if self._are_gone:
            self._make_again(*args)
            self._made = self._stored()

    def _stored(self):
        return [list(model.objects.order_by("pk").values_list()) for model in MADE_BY_DJANGO]


MADE_BY_DJANGO = (ContentType, Permission)


@pytest.fixture(scope="session", autouse=True)
def _a_quick_flush():
    quick = QuickFlush()
    with pytest.MonkeyPatch.context() as patch:
        # In the class: beside a browser this thread gets another connection.
        patch.setattr(type(connection.ops), "sql_flush", quick.statements)
        patch.setattr(flush, "emit_post_migrate_signal", quick.emit_post_migrate_signal)
        yield


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()
    # The events of tests are old. The notice of a long silence would move the page at some poll.
    cache.set("silence", None, None)


@pytest.fixture(scope="session")
def _erasures_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("erasures")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def erasures_file(settings, _erasures_files):
    """A new list of erasures for each test. Not in `tmp_path`: to make a folder takes longer than a short test."""
    file = next(_erasures_files)
    settings.ERASURES_FILE = str(file)
    return file


def polled(html: str) -> dict[str, str]:
    """Return the parameters of a page's poll, collected as in the browser."""
    inputs = re.findall(r"<input [^>]*data-poll[^>]*>", html)
    values = {
        re.search(r'name="(.*?)"', tag)[1]: re.search(r'value="(.*?)"', tag)[1]
        for tag in inputs
        if " disabled" not in tag
    }
    return values | ({"rows": "50"} if "filter" in values else {})


@pytest.fixture
def held(client):
    """Return the parameters of the poll of the page at an address."""
    return lambda address: polled(client.get(address).content.decode())


# The length of proofs: quick for a person, longer in CI, and long for the figures of
# docs/reliability.md.

LENGTHS = ("quick", "ci", "long")


def pytest_addoption(parser):
    usual = "ci" if os.environ.get("CI") == "true" else "quick"
    parser.addoption("--proofs", choices=LENGTHS, default=usual, help="how long proofs go on")


# Without a deadline, because a busy machine may take any time for an example.
hypothesis.settings.register_profile("default", deadline=None)
# For whoever only asks whether there is a failure, and not for the smallest example of it.
hypothesis.settings.register_profile("unshrunk", deadline=None, phases=[hypothesis.Phase.generate])


@pytest.fixture(scope="session")
def rounds(request):
    """`rounds(quick=…, ci=…, long=…)` returns the number for the option --proofs."""
    return lambda **numbers: numbers[request.config.getoption("--proofs")]


# Machines and engines


def runs_here(item) -> bool:
    """Whether the engine runs a test. SQLite: all but `postgresql`. PostgreSQL: only marked tests."""
    if item.get_closest_marker("by_hand") and item.config.getoption("--proofs") != "long":
        return False
    if connection.vendor == "sqlite":
        return not item.get_closest_marker("postgresql")
    asked_for = item.get_closest_marker("postgresql") or item.get_closest_marker("both_engines")
    return bool(asked_for) and not item.get_closest_marker("sqlite")


def shares_its_server() -> bool:
    """Whether other processes of the run have open transactions on this server of PostgreSQL."""
    return connection.vendor == "postgresql" and SERVERS not in os.environ


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(config, items):
    """Leave the tests of the other engine out: deselected, not skipped."""
    if shares_its_server():
        for item in items:
            if item.get_closest_marker("erases"):
                item.add_marker(
                    pytest.mark.alone("waits for every older transaction of the server")
                )
    left_out = [item for item in items if not runs_here(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


class LongOnesFirst:
    """Begins with the long files. As the last one, each would keep one process busy and the others idle."""

    @pytest.hookimpl(trylast=True)  # pytest-django moves what needs no database to the end
    def pytest_collection_modifyitems(self, items):
        items.sort(key=is_short)


# The longest files, by the durations of pytest.
LONG = (
    "tests/test_environment.py",
    "tests/test_accessibility.py",
    "tests/test_browser_thread.py",
    "tests/test_faults.py",
    "tests/test_browser_unread.py",
    "tests/test_copying.py",
    "tests/test_browser_looks.py",
    "tests/test_readiness.py",
    "tests/test_browser_live.py",
    "tests/test_restore.py",
    "tests/test_starting.py",
    "tests/test_guides.py",
)


def is_short(item) -> bool:
    return not (item.get_closest_marker("proof") or item.nodeid.startswith(LONG))


def pytest_collection_finish():
    """Freeze what the collection made, and collect less often: to scan it takes a tenth of the run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_configure(config):
    config.pluginmanager.register(LongOnesFirst())
    if not hasattr(config, "workerinput"):
        remove_databases_of_killed_runs()


def remove_databases_of_killed_runs() -> None:
    """Remove test databases of killed runs. Django removes a database only at the end of its run."""
    for file in ROOT.glob("test-*.sqlite3*"):
        run = re.match(r"test-(\d+)", file.name)
        if run and not Path(f"/proc/{run[1]}").exists():
            file.unlink(missing_ok=True)


def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        return  # the controller has every worker's results
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter.stats.get("skipped"):
        reporter.write_line("In CI a skipped test is a failure.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def second_database(monkeypatch):
    """Let this test use another database, under the only other name that Django allows to a test."""
    monkeypatch.setattr(copying, "TARGET", NO_DB_ALIAS)


@pytest.fixture
def scratch_database(second_database, monkeypatch):
    """Let a new SQLite file beside the database be a copy of a migrated one. A migration takes a second."""

    def migrate(command, *, database, **options):
        file = Path(connections[database].settings_dict["NAME"])
        if connections[database].vendor == "sqlite" and not file.exists():
            shutil.copy(a_migrated_file(), file)
        else:
            call_command(command, database=database, **options)

    monkeypatch.setattr(copying, "call_command", migrate)


@pytest.fixture
def _as_root():
    if os.getuid() != 0:
        missing("only root can give a file away")


@pytest.fixture(scope="module")
def cluster():
    """A PostgreSQL server for one module. Its tests may stop, freeze and fill the server."""
    with a_cluster() as cluster:
        yield cluster


# The shell has the same engine and no windows: a test takes less than half of the processor's time.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser")


def serve_the_bundles() -> None:
    """Let a browser test the bundles of production, unless somebody has changed a script since."""
    if SUMS.read_text() == sums():
        settings.STATICFILES_DIRS.insert(0, BUNDLES.parent)
        get_finder.cache_clear()


@pytest.fixture(scope="session")
def chromium():
    """The system's Chromium, because Playwright's own cannot be downloaded everywhere."""
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if executable is None:
        missing("no Chromium on this machine (Debian: apt-get install chromium-headless-shell)")
    # Playwright's loop runs in this thread, so Django would refuse every query as an async one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    serve_the_bundles()
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
    expect.set_options(timeout=20_000)  # only a failing test waits for so long
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def errors() -> list[str]:
    """The errors in the console of `page`. The test fails if there are any at its end."""
    return []


@pytest.fixture
def page(chromium, live_server, errors):
    context = chromium.new_context(base_url=live_server.url, locale="en-US")
    page = context.new_page()
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def failures(page, errors):
    """Remove the expected errors of failed answers, because the browser and htmx log each of them."""
    yield
    expected = re.compile(
        "Failed to load resource|htmx:(sendError|afterRequest)|Response Status Error Code"
    )
    errors[:] = [error for error in errors if not expected.match(error)]


@pytest.fixture
def row(page):
    return lambda of: page.get_by_role("link", name=re.compile(of[-8:]))
