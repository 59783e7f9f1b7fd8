"""Bundle the scripts and styles of all pages for production: `make bundles` runs `python -m tests.bundles`.

Development serves static/chat itself. Production finds the bundles first, under the same names.
`--check` compares without writing, and is skipped without esbuild.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "static/chat"
BUNDLES = ROOT / "bundles/static/chat"
# The sums of every script and style, so that a test detects old bundles without esbuild.
SUMS = ROOT / "bundles/sources.sha256"
# Each page loads one script and one style of these.
ENTRIES = ("inbox.js", "watch.js", "frame.js", "print.js", "conversations.css", "pages.css")
VERSION = "0.28.2"
LOCAL = ROOT / "node_modules/.bin/esbuild"
# Not minified, so that people can read a diff of a bundle.
OPTIONS = ("--bundle", "--format=esm", "--external:*.svg", "--log-level=warning")


def sums() -> str:
    """Return the sums of the sources, as sha256sum writes them."""
    sources = sorted([*SOURCES.glob("*.js"), *SOURCES.glob("*.css")])
    lines = [
        f"{hashlib.sha256(source.read_bytes()).hexdigest()}  {source.relative_to(ROOT)}\n"
        for source in sources
    ]
    return "".join(lines)


def bundle(esbuild: str | Path, folder: Path) -> None:
    subprocess.run([esbuild, *ENTRIES, *OPTIONS, f"--outdir={folder}"], cwd=SOURCES, check=True)


def has_old(esbuild: str | Path) -> bool:
    """Whether the sources make a bundle different from the stored one."""
    with TemporaryDirectory() as folder:
        bundle(esbuild, Path(folder))
        return any(
            (Path(folder) / name).read_bytes() != (BUNDLES / name).read_bytes() for name in ENTRIES
        )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args().check
    esbuild = LOCAL if LOCAL.exists() else shutil.which("esbuild")
    if esbuild is None:
        install = f"npm install --no-save esbuild@{VERSION}"
        print(
            f"{'Skipped' if is_check else 'Not done'}: bundles, because esbuild is missing ({install})."
        )
        return 0 if is_check else 1
    if is_check:
        if is_old := has_old(esbuild):
            print("The bundles are old: run `make bundles`.")
        return int(is_old)
    shutil.rmtree(BUNDLES, ignore_errors=True)
    bundle(esbuild, BUNDLES)
    SUMS.write_text(sums())
    return 0


if __name__ == "__main__":
    sys.exit(main())
