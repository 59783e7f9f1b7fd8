"""Public tools for schemas: two linters, and schemathesis against the production server.

The tools are no dependencies: npx fetches the linters, and schemathesis is on the PATH or left out.
"""

import json
import shutil
import subprocess
import sys

import pytest

from chat.models import Scope
from tests.missing import missing
from tests.openapi_document import DOCUMENT
from tests.servers import ROOT, running, set_up

pytestmark = pytest.mark.sqlite
LINTERS = {
    "redocly": ("@redocly/cli@2.77.0", "lint", "--config", "redocly.yaml", "--format", "json"),
    "spectral": ("@stoplight/spectral-cli@6.16.3", "lint", "--fail-severity", "hint"),
}
# A schema cannot express contradicting parameters, cursors of another time, ids of unknown messages,
# messages to a closed conversation, 30 February, or an If-Match meant to get 412.
UNSAYABLE = "positive_data_acceptance"


@pytest.mark.by_hand("fetches the linters")
@pytest.mark.parametrize("linter", LINTERS)
def test_linters_find_nothing(linter):
    """Both configurations say why a rule is off."""
    if not shutil.which("npx"):
        missing("npx is not installed")
    command = ["npx", "--yes", *LINTERS[linter], DOCUMENT]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout
    if linter == "redocly":
        assert json.loads(found.stdout)["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


@pytest.mark.by_hand("needs schemathesis on the PATH")
def test_schemathesis_finds_nothing(tmp_path):
    if not shutil.which("schemathesis"):
        missing("schemathesis is not installed")
    given = {
        "DJANGO_SETTINGS_MODULE": "realmate.settings",
        "REALMATE_ENV_FILE": "",
        "DEBUG": "false",
        "SECRET_KEY": "long-random-secret-" * 4,
        "ALLOWED_HOSTS": "127.0.0.1",
        "WEBHOOK_ALLOW_UNSIGNED": "true",
        "SECURE_SSL_REDIRECT": "false",
        "STATIC_ROOT": str(tmp_path / "static"),
    }
    environ = set_up("granian", tmp_path, **given)
    scopes = [f"--scope={scope}" for scope in Scope]
    for command in (
        ["collectstatic", "--noinput", "-v0"],
        ["createtoken", "schemathesis", *scopes],
    ):
        command = [sys.executable, "-m", "django", *command]
        made = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    token = made.stdout.split()[-1]
    with running("granian", environ) as server:
        found = subprocess.run(
            [
                *("schemathesis", "run", quick_and_unsigned(tmp_path)),
                *("--url", f"http://127.0.0.1:{server.port}"),
                *("--header", f"Authorization: Bearer {token}"),
                *("--checks", "all", "--exclude-checks", UNSAYABLE),
                *(
                    "--max-examples",
                    "8",
                    "--max-response-time",
                    "30",
                    "--suppress-health-check",
                    "all",
                    "--no-color",
                ),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert found.returncode == 0, found.stdout
    print(found.stdout.rpartition("SUMMARY")[2])


def quick_and_unsigned(tmp_path):
    """Return the schema without two features: /changes?wait takes its time, and unsigned
    events may have any header of signatures.
    """
    from chat.api.schema import schema

    document = json.loads(json.dumps(schema()))
    del document["paths"]["/webhook/"]["post"]["parameters"]
    for method in ("get", "head"):
        operation = document["paths"]["/changes"][method]
        operation["parameters"] = [
            each for each in operation["parameters"] if each["name"] != "wait"
        ]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    return path
