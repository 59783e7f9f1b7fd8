"""Write .env.example and docs/settings.md from realmate/settings.py and the server: `make env-example`.

A variable's description is the comment directly above the variable in the settings. Its default is the one
with DEBUG off. A variable without such a default is required, and so not commented out.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from realmate.environment import SECRETS

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / ".env.example"
DOCUMENT = ROOT / "docs" / "settings.md"
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
# Values for computing defaults.
KNOWN = {"BASE_DIR": PurePosixPath("/srv/realmate")}
# Additions to the settings: how to make a value, and another example of a value.
EXTRA = {
    "SECRET_KEY": "# To make one: openssl rand -base64 48",
    "WEBHOOK_SECRETS": "# To make one: echo whsec_$(openssl rand -base64 32)",
    "DATABASE_URL": "# DATABASE_URL=sqlite:////srv/realmate/db.sqlite3\n"
    "# DATABASE_URL=postgres://realmate:password@127.0.0.1:5432/realmate",
}

BEGINNING = """\
# Settings

Every setting is a variable of the environment, or a line of one env file: the file that `REALMATE_ENV_FILE` names, or
else `.env` beside manage.py. A variable of the environment wins over the file. [.env.example](../.env.example) has all
variables in a file to fill in, and `manage.py init_env` fills it in with new secrets.
[Operations](operations.md#settings) says how an installation uses the file.

**A fresh clone needs no settings.** There `manage.py` turns `DEBUG` on for the commands of development (`migrate`,
`runserver`, `simulate`, `createsuperuser` and the like), as long as there is no env file, and `DEBUG`, `SECRET_KEY` and
`DATABASE_URL` are not set. With `DEBUG` off nothing starts until the required variables are set. One message names all
that are missing or wrong.

`make env-example` writes this page from the comments of `realmate/settings.py` and `realmate/server.py`.

| variable | default | what for |
|---|---|---|"""
END = """
`make serve` runs the production server with these settings, and `PORT=8080 make serve` wins over `GRANIAN_PORT`. Any other
variable `GRANIAN_*` is passed on to granian. `PROMETHEUS_MULTIPROC_DIR` names another folder for the
[counters of `/metrics`](operations.md#where-the-server-listens).
"""
OF_FILES = "The path of a file with the secret and no other text, instead of the variable."
# Additions to the comments in the table: where to read on.
MORE = {
    "TRUSTED_PROXIES": "See [the proxy](operations.md#the-proxy).",
    "LOGIN_LOCKOUT_MINUTES": "See [logins](operations.md#logins).",
    "READS_PER_MINUTE_BY_ADDRESS": "See [tokens](operations.md#tokens).",
    "WEBHOOK_SECRETS": "See [signatures](operations.md#signatures).",
    "DATABASE_POOLER": "See [PgBouncer](scaling.md#pgbouncer).",
    "DATABASE_URL": "See [the URL of the database](scaling.md#the-url-of-the-database).",
    "METRICS_TOKEN": "See [metrics](operations.md#metrics).",
    "LOG_LEVEL": "See [logs](operations.md#logs).",
    "ERASURES_FILE": "See [erasing](operations.md#hand-over-erase).",
    "GRANIAN_UDS": "See [where the server listens](operations.md#where-the-server-listens).",
}


@dataclass(frozen=True)
class Variable:
    """A variable of the environment. Without a description, the variable shares the one before."""

    name: str
    description: list[str]
    default: str | None  # with DEBUG off; None: required
    default_with_debug: str | None = None
    condition: str = ""  # another variable that makes this one optional


def env_example(settings: str, server: str) -> str:
    return "\n".join([HEADING, *lines_of(variables(settings, server))]) + "\n"


def lines_of(variables: list[Variable]) -> Iterator[str]:
    for variable in variables:
        if variable.description:
            yield ""
            yield from (f"# {line}" for line in variable.description)
        if variable.name in EXTRA:
            yield EXTRA[variable.name]
        if variable.default is None:
            yield f"{variable.name}="
        else:
            yield f"# {variable.name}={variable.default}"


def document(settings: str, server: str) -> str:
    rows = [row_of(group) for group in groups_of(variables(settings, server))]
    files = ", ".join(f"`{name}_FILE`" for name in sorted(SECRETS))
    rows.insert(2, f"| {files} | none | {OF_FILES} |")
    return "\n".join([BEGINNING, *rows, END])


def row_of(group: list[Variable]) -> str:
    names = ", ".join(f"`{variable.name}`" for variable in group)
    defaults = ", ".join(dict.fromkeys(default_of(variable) for variable in group))
    words = " ".join(
        [*group[0].description, *(MORE[each.name] for each in group if each.name in MORE)]
    )
    return f"| {names} | {defaults} | {words} |"


def default_of(variable: Variable) -> str:
    if variable.default is None:
        return f"required, unless `{variable.condition}`"
    if variable.default_with_debug not in (None, variable.default):
        return f"`{variable.default}`; with `DEBUG` `{variable.default_with_debug}`"
    return f"`{variable.default}`" if variable.default else "none"


def groups_of(variables: list[Variable]) -> list[list[Variable]]:
    groups: list[list[Variable]] = []
    for variable in variables:
        if variable.description:
            groups.append([])
        groups[-1].append(variable)
    return groups


def variables(settings: str, server: str) -> list[Variable]:
    return [*variables_of_settings(settings), *variables_of_the_server(server)]


def variables_of_settings(settings: str) -> Iterator[Variable]:
    for statement in ast.parse(settings).body:
        description = comment_above(statement, settings.splitlines())
        for call in calls_of_env(statement):
            yield variable_of(call, description)
            description = []


def variables_of_the_server(server: str) -> Iterator[Variable]:
    """Yield the entries of the table SETTINGS, each with the comment above the entry."""
    for name, default in table_of(server):
        yield Variable(name.value, comment_above(name, server.splitlines()), default.value)


def variable_of(call: ast.Call, description: list[str]) -> Variable:
    name, *default = call.args
    if default:
        values = [as_text(value_of(default[0], debug)) for debug in (False, True)]
        return Variable(name.value, description, *values)
    return Variable(name.value, description, None, condition=condition_of(call))


def condition_of(call: ast.Call) -> str:
    """Return the first argument of `**required_unless(…)`."""
    spared = [each.value for each in call.keywords if each.arg is None]
    return ast.unparse(spared[0].args[0])


def value_of(default: ast.expr, debug: bool) -> Any:
    return eval(compile(ast.Expression(default), "settings", "eval"), KNOWN | {"DEBUG": debug})


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
    """Return the lines of the comment, without its signs."""
    first = end = statement.lineno - 1
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return [line.lstrip().removeprefix("#").strip() for line in lines[first:end]]


def as_text(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ",".join(value)
    return str(value)


if __name__ == "__main__":
    sources = SETTINGS.read_text(), SERVER.read_text()
    EXAMPLE.write_text(env_example(*sources))
    DOCUMENT.write_text(document(*sources))
