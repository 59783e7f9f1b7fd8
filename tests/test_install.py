"""docs/install.md: twelve commands, which `make proofs` runs in a new Debian."""

import re
import shutil
import subprocess

import pytest

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
    """0.1.0 leaves the newest events in the WAL, also when it stops."""
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


@pytest.mark.by_hand("needs root, debootstrap and a mirror of Debian; some minutes")
def test_the_commands_of_the_page_lead_to_a_signed_201():
    if shutil.which("debootstrap") is None:
        missing("no debootstrap on this machine (Debian: apt-get install debootstrap)")
    done = subprocess.run([ROOT / "deploy" / "test"], capture_output=True, text=True, check=False)
    print(f"\n{done.stdout[-2000:]}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
