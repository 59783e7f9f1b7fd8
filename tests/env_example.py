"""Write .env.example from the variables of realmate/settings.py and of the server: `make env-example`.

A variable's description is the comment directly above it in the settings. Its default is the one
with DEBUG off. A variable without such a default is required, and so not commented out.
"""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / ".env.example"
SETTINGS = ROOT / "realmate" / "settings.py"
SERVER = ROOT / "realmate" / "server.py"
HEADING = """\
# The settings of a production service. `manage.py init_env` makes an env file of this one, with new
# secrets. Or copy it to .env beside manage.py, or to a file that REALMATE_ENV_FILE names, such as
# /etc/realmate/env, and fill in the lines that are not commented out.
# The other lines show the defaults. A variable of the environment wins over the file.
#
# Let only the service's user read the file: chmod 600 .env
#
# Put single quotes around a value with a space, #, $, a quote or a backslash: NAME='a $ and a #'
# Write comments on lines of their own. Nothing is expanded: a line with ${NAME} is refused.
#
# SECRET_KEY, WEBHOOK_SECRETS, DATABASE_URL and METRICS_TOKEN may each be in a file of its own, without
# other text. The variable with _FILE behind its name then has the path of the file.
#
# `make env-example` writes this file from realmate/settings.py and realmate/server.py."""
# What defaults are computed from.
KNOWN = {"DEBUG": False, "BASE_DIR": PurePosixPath("/srv/realmate")}
# What the settings do not say: how to make a value, and another example of one.
EXTRA = {
    "SECRET_KEY": "# To make one: openssl rand -base64 48",
    "WEBHOOK_SECRETS": "# To make one: echo whsec_$(openssl rand -base64 32)",
    "DATABASE_URL": "# DATABASE_URL=sqlite:////srv/realmate/db.sqlite3\n"
    "# DATABASE_URL=postgres://realmate:password@127.0.0.1:5432/realmate",
}


def env_example(settings: str, server: str) -> str:
    return "\n".join([HEADING, *lines_of_settings(settings), *lines_of_the_server(server)]) + "\n"


def lines_of_settings(settings: str) -> list[str]:
    lines = []
    for statement in ast.parse(settings).body:
        for call in calls_of_env(statement):
            if comment := comment_above(statement, settings.splitlines()):
                lines += ["", *comment]
            lines += entry(call)
    return lines


def lines_of_the_server(server: str) -> list[str]:
    """Return the entries of the table SETTINGS, each with the comment above it."""
    lines: list[str] = []
    for name, default in table_of(server):
        if comment := comment_above(name, server.splitlines()):
            lines += ["", *(line.strip() for line in comment)]
        lines.append(f"# {name.value}={default.value}")
    return lines


def table_of(server: str) -> Iterator[tuple[Any, Any]]:
    for statement in ast.parse(server).body:
        match statement:
            case ast.Assign(targets=[ast.Name("SETTINGS")], value=ast.Dict(keys, values)):
                yield from zip(keys, values, strict=True)


def calls_of_env(statement: ast.stmt) -> Iterator[ast.Call]:
    """Yield `env.str("NAME", …)` and its like."""
    for node in ast.walk(statement):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("env")), args=[ast.Constant(), *_]):
                yield node


def comment_above(statement: ast.stmt | ast.expr, lines: list[str]) -> list[str]:
    first = end = statement.lineno - 1
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return lines[first:end]


def entry(call: ast.Call) -> list[str]:
    """Return the lines of one variable, without its description."""
    name, *default = call.args
    extra = [EXTRA[name.value]] if name.value in EXTRA else []
    if not default:
        return [*extra, f"{name.value}="]
    value = eval(compile(ast.Expression(default[0]), "settings", "eval"), KNOWN.copy())
    return [*extra, f"# {name.value}={as_text(value)}"]


def as_text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ",".join(value)
    return str(value)


if __name__ == "__main__":
    EXAMPLE.write_text(env_example(SETTINGS.read_text(), SERVER.read_text()))
