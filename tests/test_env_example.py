""".env.example and docs/settings.md agree with the settings."""

import re
import subprocess

import pytest

from realmate import server
from realmate.environment import SECRETS
from tests.env_example import DOCUMENT, EXAMPLE, SERVER, SETTINGS, document, env_example
from tests.servers import ROOT
from tests.test_settings import COMPLETE, REQUIRED, read_settings

ENTRIES = re.findall(r"^(# )?([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)


def test_the_example_is_what_the_settings_say():
    assert EXAMPLE.read_text() == env_example(SETTINGS.read_text(), SERVER.read_text()), (
        "run `make env-example`"
    )


def test_every_variable_is_in_the_example():
    read = re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', SETTINGS.read_text())
    assert {name for _, name, _ in ENTRIES} == {*read, *server.SETTINGS}


def test_the_table_of_settings_is_what_the_settings_say():
    assert DOCUMENT.read_text() == document(SETTINGS.read_text(), SERVER.read_text()), (
        "run `make env-example`"
    )


def test_the_table_says_when_a_variable_is_required_and_what_debug_changes():
    rows = DOCUMENT.read_text()
    assert "| `WEBHOOK_SECRETS` | required, unless `WEBHOOK_ALLOW_UNSIGNED` |" in rows
    assert "| `SECURE_SSL_REDIRECT` | `true`; with `DEBUG` `false` |" in rows


@pytest.mark.parametrize("document", ["docs/settings.md", "docs/reference.pt-BR.md"])
def test_every_variable_is_in_the_table_of_each_language(document):
    text = (ROOT / document).read_text()
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|.*\|.*\|$", text, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"[A-Z_]+", row)}
    in_files = {f"{name}_FILE" for name in SECRETS}
    assert listed == {name for _, name, _ in ENTRIES} | in_files | {"DEBUG"}


def test_the_server_s_settings_stand_there_with_their_defaults():
    shown = {name: value for commented, name, value in ENTRIES if commented}
    assert server.SETTINGS.items() <= shown.items()


def test_only_what_is_required_is_not_commented_out():
    assert {name for commented, name, _ in ENTRIES if not commented} == REQUIRED


@pytest.mark.parametrize(
    "url", [value for commented, name, value in ENTRIES if commented and name == "DATABASE_URL"]
)
def test_filled_in_and_with_nothing_commented_out_the_example_starts_the_service(url):
    values = {name: value for _, name, value in ENTRIES}
    filled_in = {name: COMPLETE[name] for name in REQUIRED}
    started = read_settings(**values | filled_in | {"DATABASE_URL": url})
    assert started.returncode == 0, started.stderr


def test_a_shell_reads_the_example(tmp_path):
    uncommented = re.sub(r"^# ([A-Z_]+=)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    file = tmp_path / ".env"
    file.write_text(uncommented)
    values = {name: value for _, name, value in ENTRIES}
    names = " ".join(values)
    script = f'set -a; . "{file}"; for name in {names}; do eval "echo \\$$name"; done'
    told = subprocess.check_output(["sh", "-c", script], text=True)
    assert told.splitlines() == list(values.values())
