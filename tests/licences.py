"""Write docs/licences.md from the lock and the metadata of the installed packages: `make licences`."""

import re
from importlib.metadata import Distribution, distribution
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
PIN = re.compile(r"^([\w.-]+)(?:\[[^]]*\])?==(\S+)(.*)$", re.MULTILINE)

# SPDX names of the licences in older fields of the metadata.
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# The metadata of these packages names no licence, or only a family. Their LICENSE files name this one.
OF_THE_FILE = {
    "axe-playwright-python": "MIT",
    "drf-spectacular-sidecar": "BSD-3-Clause",
    "pytest-django": "BSD-3-Clause",
    "sqlparse": "BSD-3-Clause",
}
PERMISSIVE = "permissive: it asks for its notice to be kept"
LIBRARY = (
    "its own files stay under the LGPL; we import them unchanged, and anybody can replace them"
)
BY_FILE = "it asks for the source of changed files only; we change none"
# Why each licence is compatible with our MIT licence.
REASONS = {
    "Apache-2.0": PERMISSIVE,
    "Apache-2.0 AND BSD-2-Clause": PERMISSIVE,
    "Apache-2.0 OR BSD-2-Clause": PERMISSIVE,
    "BSD-2-Clause": PERMISSIVE,
    "BSD-3-Clause": PERMISSIVE,
    "LGPL-3.0-only": LIBRARY,
    "MIT": PERMISSIVE,
    "MIT AND PSF-2.0": PERMISSIVE,
    "MIT-CMU": PERMISSIVE,
    "MPL-2.0": BY_FILE,
    "MPL-2.0 AND MIT": BY_FILE,
    "PSF-2.0": PERMISSIVE,
}

BEGINNING = """\
# Licences

Realmate is under the [MIT License](../LICENSE). This page lists what it is installed with, and why each
licence goes with ours. `make licences` writes the page from the lock and the packages' own metadata.

Realmate ships none of these packages: pip installs them. Whoever ships an image with them also ships
their licences, and for psycopg the offer of its source.
"""
END = """
## Files that browsers get

| file | source | licence |
|---|---|---|
| `static/chat/`, `templates/chat/icons/` | this repository | MIT |
| htmx | `django-htmx`, unchanged | 0BSD |
| Swagger UI, on `/docs` | `drf-spectacular-sidecar`, unchanged | Apache-2.0; libraries in it MIT, BSD-3-Clause, 0BSD and Apache-2.0 |
| pages of the admin | `django`, unchanged | BSD-3-Clause |
| jQuery, Select2, XRegExp and icons in them | `django`, unchanged | MIT; shapes of the icons OFL-1.1 |
| `rest_framework/`: collected, and used by no page | `djangorestframework`, unchanged | BSD-3-Clause; Bootstrap and jQuery MIT; Font Awesome OFL-1.1 and MIT; prettify Apache-2.0 |

Our pages use the fonts of the reader's machine.

## Inside other packages

| part | package | licence |
|---|---|---|
| libpq, OpenSSL, Kerberos, OpenLDAP and others | `psycopg-binary` | their own: PostgreSQL, Apache-2.0, MIT, OLDAP-2.8 and others |
| axe-core | `axe-playwright-python`, development only | MPL-2.0 |
"""


def page() -> str:
    run, dev = (pinned(ROOT / name) for name in ("requirements.txt", "requirements-dev.txt"))
    tools = {name: version for name, version in dev.items() if name not in run}
    in_production = ["## In production", "", *table(run), ""]
    for_development = ["## For development only", "", *table(tools)]
    return "\n".join([BEGINNING, *in_production, *for_development, END])


def pinned(requirements: Path) -> dict[str, str]:
    """Return the version of each package of an exported lock, except for packages of Windows."""
    pins = PIN.findall(requirements.read_text())
    return {name: version for name, version, marker in pins if "Windows" not in marker}


def table(packages: dict[str, str]) -> list[str]:
    licences = {name: licence_of(distribution(name)) for name in packages}
    by_licence = sorted(packages, key=lambda name: (licences[name], name))
    lines = ["| licence | packages | why it goes with ours |", "|---|---|---|"]
    for licence, names in groupby(by_licence, key=licences.__getitem__):
        listed = ", ".join(f"{name} {packages[name]}" for name in names)
        lines.append(f"| {licence} | {listed} | {REASONS[licence]} |")
    return lines


def licence_of(package: Distribution) -> str:
    """Return the SPDX expression. The newest field of the metadata comes first, the oldest last."""
    told = package.metadata
    classifiers = told.get_all("Classifier") or []
    families = [line.split(" :: ")[-1] for line in classifiers if line.startswith("License")]
    licence = (
        OF_THE_FILE.get(told["Name"].lower())
        or told.get("License-Expression")
        or told.get("License")
        or families[-1]
    )
    return SPDX.get(licence, licence)


if __name__ == "__main__":
    PAGE.write_text(page())
