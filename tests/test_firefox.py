"""The main flows in Debian's Firefox, against a production server: `make proofs ARGS=tests/test_firefox.py`.

puppeteer-core drives Firefox over WebDriver BiDi. npm installs the package anew each time, into a folder of the test.
"""

import re
import shutil
import subprocess

import pytest

from tests.missing import missing
from tests.servers import ROOT, running, serving, set_up
from tests.test_the_card import PRODUCTION, manage

# The newest version for Debian's node.
PUPPETEER = "puppeteer-core@24.43.1"
SCRIPTS = ROOT / "tests"

pytestmark = [pytest.mark.by_hand("needs firefox-esr, node and npm"), pytest.mark.sqlite]


@pytest.fixture
def firefox():
    found = {name: shutil.which(name) for name in ("firefox-esr", "node", "npm")}
    if absent := [name for name, path in found.items() if path is None]:
        missing(f"no {', '.join(absent)} on this machine (apt-get install firefox-esr nodejs npm)")
    return found["firefox-esr"]


@pytest.fixture
def go_through(firefox, tmp_path):
    """Run a script against a server. The script stands beside its imported package."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    install = ["npm", "install", "--no-save", "--no-audit", "--no-fund", PUPPETEER]
    subprocess.run(install, cwd=folder, check=True, capture_output=True)

    def go_through(name, server, *parameters):
        for script in (name, "firefox_page.mjs"):
            shutil.copy(SCRIPTS / script, folder)
        command = ["node", name, f"http://127.0.0.1:{server.port}", firefox, *parameters]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
        print(ran.stdout)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        flows = re.findall(r'^  async "(.+)"', (SCRIPTS / name).read_text(), re.M)
        assert re.findall(r"^holds: (.+)$", ran.stdout, re.M) == flows

    return go_through


def test_the_main_flows_hold_in_firefox(go_through, tmp_path):
    with serving("granian", tmp_path) as server:
        go_through("firefox.mjs", server)


def test_the_flows_of_the_login_hold_in_firefox(go_through, tmp_path):
    environ = set_up("granian", tmp_path, **PRODUCTION, STATIC_ROOT=str(tmp_path / "static"))
    manage("collectstatic", "-v0", **environ)
    manage("createsuperuser", "--username=ana", "--email=", **environ)
    with running("granian", environ) as server:
        go_through("firefox_login.mjs", server, PRODUCTION["DJANGO_SUPERUSER_PASSWORD"])
