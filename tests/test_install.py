"""docs/install.md: twelve commands. `make proofs` runs them in a new Debian."""

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import BytesIO

import pytest

from chat.events.payloads import read_json
from chat.management.event_lines import lines_in
from chat.refusals import InvalidJSON
from tests.missing import missing
from tests.servers import ROOT

PAGE = (ROOT / "docs" / "install.md").read_text()
FIRST, *COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_has_twelve_numbered_commands():
    assert re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE) == [str(n) for n in range(1, 13)]
    assert len(COMMANDS) == 12


def test_the_reader_fills_in_nothing_after_the_first_block():
    assert set(re.findall(r"(\w+)=", FIRST)) == {"SOURCE", "HOST"}
    assert "inbox.example" not in "".join(COMMANDS).replace(r"inbox\.example", "")
    assert not re.search(
        r"<[A-Z]|\bPASSWORD\b(?!\")|…", "".join(COMMANDS).replace("SUPERUSER_", "")
    )


@pytest.mark.parametrize("file", re.findall(r"/srv/realmate/((?:deploy/)?[\w.-]+\.\w+)", PAGE))
def test_every_file_that_a_command_takes_from_the_code_is_there(file):
    assert (ROOT / file).exists()


def test_a_unit_needs_no_user_or_folder_that_the_page_does_not_make():
    made = "".join(COMMANDS)
    for unit in (ROOT / "deploy").glob("*.service"):
        text = unit.read_text()
        for name in re.findall(r"^(?:User|Group|SupplementaryGroups)=(.*)$", text, re.MULTILINE):
            assert re.search(rf"(?:user|group)add .*\b{name}( &&|$)", made, re.MULTILINE)
        for folders in re.findall(r"^ReadWritePaths=(.*)$", text, re.MULTILINE):
            assert all(folder in made for folder in folders.split())


@pytest.mark.parametrize("page", ["install.md", "upgrading.md", "faults.md", "operations.md"])
def test_no_command_moves_or_copies_the_file_of_sqlite_without_its_wal(page):
    """0.1.0 leaves the newest events in the WAL, even after a stop."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)
    assert not re.search(r"^(?:mv|cp) \S*db\.sqlite3\b", "".join(blocks), re.MULTILINE)


def test_the_way_back_finds_what_the_upgrade_has_noted():
    page = (ROOT / "docs" / "upgrading.md").read_text()
    upgrade, back = (
        page.partition(f"\n## {h}\n")[2] for h in ("With a stop", "Back to the old version")
    )
    for file in ("$BEFORE.backup", "$BEFORE.commit"):
        assert file in upgrade.partition("\n## ")[0]
        assert file in back


BODIES = {
    "of several lines": b'{\n  "type": "A"\r\n}',
    "a line end in a text": b'{"type": "A\nB"}',
    "a name twice": b'{"type": "A", "type": "B"}',
    "UTF-16": '{"type": "A"}'.encode("utf-16"),
    "no JSON": b"\xff{",
    "erased": b"",
    "nested": b"[" * 100_000,
    "a long number": b'{"more": ' + b"1" * 5_000 + b"}",
    "a large number": b'{"more": 1e400}',
    "as long as a body may be": b'{"more": "%s"}' % ("é" * 100_000).encode(),
}


def test_the_way_back_takes_each_event_of_the_replaced_database_as_it_came(tmp_path, settings):
    """Bodies written anew could become too large, and refused bodies could become valid."""
    page = (ROOT / "docs" / "upgrading.md").read_text()
    script = re.search(r"<<'PYTHON' &&\n(.*?)^PYTHON$", page, re.MULTILINE | re.DOTALL)[1]
    replaced, backup = tmp_path / "replaced", tmp_path / "backup"
    for path, bodies in ((backup, [b"before"]), (replaced, [b"before", *BODIES.values()])):
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "CREATE TABLE chat_delivery (id INTEGER PRIMARY KEY, body, replays_id)"
            )
            rows = [(body,) for body in bodies]
            database.executemany("INSERT INTO chat_delivery (body) VALUES (?)", rows)
    command = [sys.executable, "-", str(replaced), str(backup)]
    since = subprocess.run(command, input=script.encode(), capture_output=True, check=True).stdout
    settings.MAX_BODY_BYTES = max(map(len, BODIES.values()))
    lines = [line.body for line in lines_in(BytesIO(since))]
    assert list(map(read, lines)) == [read(body) for body in BODIES.values() if body]


def read(body):
    try:
        return read_json(body)
    except InvalidJSON:
        return None


@pytest.mark.by_hand("needs root, debootstrap and a mirror of Debian; some minutes")
def test_the_commands_of_the_page_lead_to_a_signed_201():
    if shutil.which("debootstrap") is None:
        missing("no debootstrap on this machine (Debian: apt-get install debootstrap)")
    done = subprocess.run([ROOT / "deploy" / "test"], capture_output=True, text=True, check=False)
    print(f"\n{done.stdout[-2000:]}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
