"""The main flows in Debian's Firefox, against a production server: `make proofs ARGS=tests/test_firefox.py`.

puppeteer-core drives Firefox over WebDriver BiDi. npm brings it anew each time, into a folder of the test.
"""

import re
import shutil
import subprocess

import pytest

from tests.missing import missing
from tests.servers import ROOT, serving

# The newest that Debian's node runs.
PUPPETEER = "puppeteer-core@24.43.1"
SCRIPT = ROOT / "tests/firefox.mjs"

pytestmark = [pytest.mark.by_hand("needs firefox-esr, node and npm"), pytest.mark.sqlite]


@pytest.fixture
def firefox():
    found = {name: shutil.which(name) for name in ("firefox-esr", "node", "npm")}
    if absent := [name for name, path in found.items() if path is None]:
        missing(f"no {', '.join(absent)} on this machine (apt-get install firefox-esr nodejs npm)")
    return found["firefox-esr"]


@pytest.fixture
def script(firefox, tmp_path):
    """The script beside the package that it imports."""
    install = ["npm", "install", "--no-save", "--no-audit", "--no-fund", PUPPETEER]
    subprocess.run(install, cwd=tmp_path, check=True, capture_output=True)
    return shutil.copy(SCRIPT, tmp_path)


def test_the_main_flows_hold_in_firefox(firefox, script, tmp_path):
    with serving("granian", tmp_path) as server:
        command = ["node", script, f"http://127.0.0.1:{server.port}", firefox]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    flows = re.findall(r'^  async "(.+)"', SCRIPT.read_text(), re.M)
    assert re.findall(r"^holds: (.+)$", ran.stdout, re.M) == flows
