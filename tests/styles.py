"""Check styles and scripts with biome: `make lint` runs `python -m tests.styles`. Skipped without it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ROOT / "node_modules/.bin/biome"


def version() -> str:
    """Return the version in the schema of biome.json."""
    schema = json.loads((ROOT / "biome.json").read_text())["$schema"]
    return re.search(r"schemas/([0-9.]+)/", schema)[1]


def main() -> int:
    biome = LOCAL if LOCAL.exists() else shutil.which("biome")
    if biome is None:
        install = f"npm install --no-save @biomejs/biome@{version()}"
        print(f"Skipped: styles and scripts, because biome is missing ({install}).")
        return 0
    return subprocess.run([biome, "ci"], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
