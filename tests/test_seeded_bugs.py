"""Bugs put into a copy of the code: the suite must find each, or the suite proves nothing."""

import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from django.db import connection

from tests.servers import ROOT, copy_of_the_checkout

pytestmark = pytest.mark.both_engines("bugs that only one engine meets")

MODEL = "tests/test_model.py"
COPIED = (
    "chat",
    "realmate",
    "tests",
    "templates",
    "static",
    "locale",
    "manage.py",
    "pyproject.toml",
)


@dataclass(frozen=True)
class Bug:
    """Replaces a text in a file. The text occurs there once."""

    file: str
    right: str
    wrong: str
    found_by: list[str] = field(default_factory=lambda: [MODEL])

    def fits(self, folder):
        return (folder / self.file).read_text().count(self.right) == 1

    def put_into(self, folder):
        path = folder / self.file
        path.write_text(path.read_text().replace(self.right, self.wrong))


BUGS = {
    "closed is checked before duplicate": Bug(
        "chat/events/rules.py",
        "    if first is not None:\n        return compare(first, event)\n",
        "    if conversation and conversation.is_closed:\n        raise ConversationClosed\n"
        "    if first is not None:\n        return compare(first, event)\n",
    ),
    "a NEW_CONVERSATION opens again": Bug(
        "chat/events/rules.py",
        "        raise IdConflict\n    return Outcome.DUPLICATE\n\n\ndef add_message",
        "        raise IdConflict\n    conversation.state, conversation.closed_at = 'OPEN', None\n"
        "    work.close(conversation)\n    return Outcome.DUPLICATE\n\n\ndef add_message",
    ),
    "a conflict is answered 200": Bug(
        "chat/events/rules.py",
        "    ):\n        raise IdConflict\n",
        "    ):\n        return Outcome.DUPLICATE\n",
    ),
    "the first closed_at is overwritten": Bug(
        "chat/events/rules.py",
        "    if conversation.is_closed:\n        return Outcome.DUPLICATE\n",
        "    if conversation.is_closed:\n        conversation.closed_at = event.timestamp\n"
        "        work.close(conversation)\n        return Outcome.DUPLICATE\n",
    ),
    "the row of the log is outside the transaction": Bug(
        "chat/events/unit_of_work.py",
        "            insert(*deliveries, using=self.using)",
        "            __import__('django').db.transaction.on_commit(lambda rows=deliveries: insert(*rows))",
        ["tests/test_every_statement.py"],
    ),
    "a naive time is read in the local zone": Bug(
        "chat/events/payloads.py", "settings.EVENT_TIME_ZONE", "settings.DISPLAY_TIME_ZONE"
    ),
    "texts are stripped": Bug(
        "chat/events/payloads.py",
        "    return value\n\n\nSURROGATE",
        "    return value.strip()\n\n\nSURROGATE",
    ),
    "a conversation is not locked": Bug(
        "chat/models/conversations.py",
        "find_and_lock = Lookup(Conversation.objects.select_for_update()",
        "find_and_lock = Lookup(Conversation.objects",
        ["tests/test_races.py"],
    ),
    "early events are applied twice": Bug(
        "chat/events/ingest.py",
        "        record(result_of_early(early, work), replay, work)\n",
        "        record(result_of_early(early, work), replay, work)\n" * 2,
    ),
    "a commit is not synced": Bug(
        "realmate/settings.py",
        "synchronous=FULL",
        "synchronous=NORMAL",
        ["tests/test_durability.py::test_no_201_leaves_before_its_event_is_on_the_disk"],
    ),
}
# SQLite's only writer locks everything, so these bugs do not show there.
OF_POSTGRESQL = ["a conversation is not locked"]
# A bug found every time, to check this way of finding bugs.
FOUND_EACH_TIME = "a conflict is answered 200"


def marks_of(name):
    yield pytest.mark.postgresql if name in OF_POSTGRESQL else pytest.mark.sqlite
    if name != FOUND_EACH_TIME:
        yield pytest.mark.by_hand("each runs the model or a file of tests")


def cases(bugs):
    return [pytest.param(bug, id=name, marks=[*marks_of(name)]) for name, bug in bugs.items()]


@pytest.fixture
def copy(tmp_path):
    copy_of_the_checkout(tmp_path, *COPIED)
    return tmp_path


def suite(folder, tests):
    """Run pytest in the copy. Return the end of its output."""
    environ = os.environ | {"CI": "false"}
    if connection.vendor == "postgresql":
        own = connection.settings_dict
        server = f"{own['USER']}:{own['PASSWORD']}@{own['HOST']}:{own['PORT']}"
        environ["DATABASE_URL"] = f"postgres://{server}/seeded_{own['NAME']}"
    command = [sys.executable, "-m", "pytest", "-qx", "--hypothesis-profile=unshrunk", *tests]
    done = subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.PIPE, timeout=240)
    return done.stdout.decode().splitlines()[-1]


@pytest.mark.sqlite
def test_each_bug_fits_the_code():
    """Most bugs are sown by hand only, and the code changes meanwhile."""
    assert [name for name, bug in BUGS.items() if not bug.fits(ROOT)] == []


@pytest.mark.parametrize("bug", cases(BUGS))
def test_a_seeded_bug_is_found(copy, bug, db):
    bug.put_into(copy)
    # A failed test, and not an error such as a missing database.
    assert "1 failed" in suite(copy, bug.found_by)
