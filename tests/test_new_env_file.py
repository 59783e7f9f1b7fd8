"""`manage.py init_env` writes a complete env file, with secrets shown to nobody."""

import os
import stat
import subprocess
import sys

import pytest

from realmate import new_env_file
from tests.programs import run_python
from tests.servers import ROOT, copy_of_the_checkout
from tests.test_settings import read_settings

GIVEN = ["--host", "inbox.example", "--database", "sqlite:////srv/realmate/db.sqlite3"]
SECRETS = ["SECRET_KEY", "WEBHOOK_SECRETS"]


@pytest.fixture
def init_env(tmp_path):
    """Run the command in a shell without variables."""

    def run(*arguments, given=GIVEN, **environ):
        bare = {"PATH": os.defpath, "REALMATE_ENV_FILE": str(tmp_path / "env")}
        command = [ROOT / "manage.py", "init_env", *arguments, *given]
        return run_python(*command, cwd=tmp_path, env=bare | environ)

    return run


@pytest.fixture
def file(tmp_path):
    return tmp_path / "env"


def values_in(file):
    lines = [line for line in file.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def refused(run, file):
    assert (run.returncode, run.stdout) == (1, "")
    assert not file.exists()
    [line] = run.stderr.splitlines()
    return line


def test_the_file_starts_the_service(init_env, file):
    assert init_env().returncode == 0
    started = read_settings(REALMATE_ENV_FILE=str(file))
    assert started.returncode == 0, started.stderr


def test_only_the_owner_writes_it_and_the_group_reads_it(init_env, file):
    init_env()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_every_line_is_one_of_the_example(init_env, file):
    init_env()
    example = new_env_file.EXAMPLE.read_text().splitlines()
    assert len(file.read_text().splitlines()) == len(example)
    assert values_in(file).keys() == values_in(new_env_file.EXAMPLE).keys()


def test_secrets_are_new_each_time_and_never_printed(init_env, tmp_path):
    said = [init_env(tmp_path / name) for name in ("a", "b")]
    a, b = (values_in(tmp_path / name) for name in ("a", "b"))
    assert all(a[name] != b[name] for name in SECRETS)
    assert not any(a[name] in said[0].stdout + said[0].stderr for name in SECRETS)


def test_other_variables_are_set_in_their_place(init_env, file):
    init_env("--set", "TRUSTED_PROXIES=unix", "--set", "STATIC_ROOT=/srv/the files")
    assert values_in(file)["TRUSTED_PROXIES"] == "unix"
    assert values_in(file)["STATIC_ROOT"] == "'/srv/the files'"
    assert "# TRUSTED_PROXIES=" not in file.read_text()


def test_nothing_is_overwritten(init_env, file):
    file.write_text("SECRET_KEY=kept\n")
    run = init_env()
    assert (run.returncode, run.stderr) == (
        1,
        f"CommandError: {file} exists; nothing is overwritten\n",
    )
    assert file.read_text() == "SECRET_KEY=kept\n"


def test_a_link_is_not_followed(init_env, file, tmp_path):
    file.symlink_to(tmp_path / "elsewhere")
    assert init_env().returncode == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "set",
    ["DATABASE_URI=x", "STATIC_ROOT", "STATIC_ROOT=", "STATIC_ROOT=${HOME}", "STATIC_ROOT=a'b"],
)
def test_what_cannot_stand_in_the_file_is_refused(init_env, file, set):
    assert set.partition("=")[0] in refused(init_env("--set", set), file)


@pytest.mark.parametrize("url", ["mysql://a:hunter2@b/c", "", "postgres://u:hunter2'@h/n"])
def test_a_bad_database_is_refused_without_its_password(init_env, file, url):
    line = refused(init_env(given=["--host", "inbox.example", "--database", url]), file)
    assert "DATABASE_URL" in line
    assert "hunter2" not in line


def test_a_folder_that_is_not_there_is_named(init_env, tmp_path):
    path = tmp_path / "none" / "env"
    assert refused(init_env(path), path).endswith(
        f"{path} cannot be written: No such file or directory"
    )


def test_without_a_name_it_is_the_file_beside_manage(tmp_path):
    copy_of_the_checkout(tmp_path, "realmate", "chat", "manage.py", ".env.example")
    command = [sys.executable, tmp_path / "manage.py", "init_env", *GIVEN]
    subprocess.run(command, env={"PATH": os.defpath}, check=True, timeout=60)
    assert (tmp_path / ".env").exists()
