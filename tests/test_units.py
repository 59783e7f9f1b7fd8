"""The systemd units of deploy/: their promises, and systemd's own verdict.

`make proofs` asks systemd-analyze and strace: apt-get install systemd strace.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.missing import missing
from tests.servers import ROOT, running, set_up

SERVICE = "realmate.service"
JOBS = ["realmate-upkeep.service", "realmate-backup.service"]
TIMERS = ["realmate-upkeep.timer", "realmate-backup.timer"]


def active(unit: str) -> list[str]:
    lines = (ROOT / "deploy" / unit).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def values(unit: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in active(unit) if line.startswith(f"{name}=")]


def test_a_reload_checks_the_new_code_first():
    check, reload = values(SERVICE, "ExecReload")
    assert check.endswith("-m realmate.server --check")
    assert reload == "/bin/kill -HUP $MAINPID"


def test_the_service_writes_nowhere_else_than_its_data_and_its_socket():
    assert values(SERVICE, "ProtectSystem") == ["strict"]
    assert values(SERVICE, "ReadWritePaths") == []
    assert values(SERVICE, "StateDirectory") == values(SERVICE, "RuntimeDirectory") == ["realmate"]


@pytest.mark.parametrize("unit", [SERVICE, *JOBS])
def test_what_a_unit_writes_is_for_its_user_alone(unit):
    assert values(unit, "UMask") == ["0077"]


def test_the_server_has_the_time_that_it_gives_its_workers():
    from realmate.server import FIXED

    assert int(values(SERVICE, "TimeoutStopSec")[0]) > int(FIXED["GRANIAN_WORKERS_KILL_TIMEOUT"])


@pytest.mark.parametrize("unit", JOBS)
def test_a_job_is_hardened_by_the_lines_of_the_service(unit):
    text = (ROOT / "deploy" / unit).read_text()
    hardening = text.partition("# Hardened as")[2].splitlines()[1:]
    assert len(hardening) > 20
    assert set(hardening) <= set(active(SERVICE))


@pytest.mark.parametrize("unit", [SERVICE, *JOBS, *TIMERS])
def test_every_line_has_its_reason_above_it(unit):
    """A comment is for the lines up to the next comment, six at most. Names of sections need none."""
    without = 0
    for line in (ROOT / "deploy" / unit).read_text().partition("# Hardened as")[0].splitlines():
        if line.startswith("#") or not line:
            without = 0
        elif line[0] != "[" and not line.startswith(("Description=", "WantedBy=")):
            without += 1
        assert without <= 6, line


# The backup and its retention


@pytest.fixture
def back_up(tmp_path):
    """Run the unit's commands as systemd does: one after the other, until one fails."""

    def run(command):
        program = tmp_path / "realmate"
        program.write_text(f"#!/bin/sh\n{command}\n")
        program.chmod(0o755)
        for line in values("realmate-backup.service", "ExecStart"):
            line = line.replace("/var/backups/realmate", str(tmp_path / "backups"))
            line = line.replace("/usr/local/bin/realmate", str(program))
            line = line.replace("%%", "%").replace("${KEEP_DAYS}", "14")
            if subprocess.run(shlex.split(line), check=False).returncode:
                return

    return run


@pytest.fixture
def backups(tmp_path):
    """Two old files and a young one. One of the old files is no backup."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for name, days in {"realmate-old.backup": 16, "realmate-new.backup": 13, "other": 99}.items():
        (folder / name).touch()
        subprocess.run(["touch", "-d", f"{days} days ago", folder / name], check=True)
    return folder


def test_old_backups_go_after_a_new_one_is_verified(back_up, backups):
    back_up('test "$1" = backup && touch "$2"')
    names = {file.name for file in backups.iterdir()}
    assert {"realmate-new.backup", "other"} < names
    assert "realmate-old.backup" not in names
    assert len(names) == 3


def test_without_a_new_backup_every_old_one_stays(back_up, backups):
    before = set(backups.iterdir())
    back_up("exit 1")
    assert set(backups.iterdir()) == before


# With systemd and strace


def needs(program: str) -> None:
    if shutil.which(program) is None:
        missing(f"no {program} on this machine (Debian: apt-get install systemd strace)")


@pytest.mark.by_hand("needs systemd-analyze")
def test_systemd_finds_nothing_wrong(tmp_path):
    needs("systemd-analyze")
    for unit in [SERVICE, *JOBS, *TIMERS]:
        text = (ROOT / "deploy" / unit).read_text()
        text = text.replace("/srv/realmate/.venv/bin/python", sys.executable)
        (tmp_path / unit).write_text(text.replace("/usr/local/bin/realmate", "/bin/true"))
    command = ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def allowed_calls() -> set[str]:
    """Return the calls allowed by SystemCallFilter= of the unit, by systemd's own lists."""
    allow, deny = values(SERVICE, "SystemCallFilter")
    denied = {call for group in deny.removeprefix("~").split() for call in calls_of(group)}
    return (calls_of(allow) | calls_of("@default")) - denied


def calls_of(group: str) -> set[str]:
    command = ["systemd-analyze", "syscall-filter", group]
    lines = subprocess.check_output(command, text=True).splitlines()[1:]
    words = {line.strip() for line in lines if line.strip() and "#" not in line}
    nested = {word for word in words if word.startswith("@")}
    return (words - nested).union(*(calls_of(each) for each in nested))


@pytest.mark.by_hand("needs systemd-analyze and strace")
def test_the_server_makes_no_call_that_the_unit_refuses(tmp_path, monkeypatch):
    needs("systemd-analyze")
    needs("strace")
    trace = tmp_path / "trace"
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec strace -D -f -qq -o {trace} {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    environ = set_up("granian", tmp_path)
    monkeypatch.setattr(sys, "executable", str(wrapper))
    with running("granian", environ) as server:
        assert server.post(b"{").status_code == 400
        assert server.ask("GET", "/ui/").status_code == 200
    traced = trace.read_text()
    made = set(re.findall(r"^\d+ +(\w+)\(", traced, re.MULTILINE))
    if os.geteuid() == 0:
        made.discard("fchown")  # SQLite calls fchown as root only
    print(f"\n{len(made)} calls: {sorted(made - allowed_calls())} are refused")
    assert {"execve", "accept4", "fdatasync"} & made
    assert made <= allowed_calls()
    # MemoryDenyWriteExecute= refuses these.
    assert not re.findall(r"mmap\(.*PROT_WRITE\|PROT_EXEC|mprotect\(.*PROT_EXEC", traced)


@pytest.mark.parametrize("unit", [SERVICE, *JOBS, *TIMERS])
def test_the_documents_name_each_unit(unit):
    assert Path(unit).stem in (ROOT / "docs" / "operations.md").read_text()
