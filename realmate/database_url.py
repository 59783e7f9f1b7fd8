"""DATABASE_URL as Django's settings of a database. No option of the URL is dropped.

libpq parses the URL of PostgreSQL, as for psql: several hosts, sockets, services. PG* variables give
the parameters missing from the URL. Errors name options, and quote nothing else, because a part of a
malformed URL may be a part of the password.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any
from urllib.parse import parse_qsl

import dj_database_url
import psycopg
from environs import ValidationError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo, PGconn

ENCODE = "Percent-encode special characters, such as %40 for @ and %2F for /."
# synchronous_commit: a commit is on disk when it returns, whatever the server's default is.
SESSION = "-c lock_timeout=4500 -c synchronous_commit=on"
DURABLE = ("on", "local", "remote_write", "remote_apply")
# libpq judges these only while it connects.
NUMBERS = (
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
)
# Our defaults. The URL, a PG* variable or a service file may override them.
OVERRIDABLE = ("connect_timeout", "tcp_user_timeout", "options")


def parse(url: str, *, is_pooled: bool = False) -> dict[str, Any]:
    """Return ENGINE, NAME, OPTIONS and the rest. Raises ValidationError.

    `is_pooled`: a pooler in transaction mode leads to PostgreSQL.
    """
    scheme, _, rest = url.partition("://")
    match scheme.lower():
        case "sqlite":
            return parse_sqlite(rest)
        case "postgres" | "postgresql":
            parsed = parse_postgresql(rest)
            if is_pooled and "options" in parsed["OPTIONS"]:
                raise ValidationError("options must be left out behind a pooler: use ALTER ROLE.")
            return parsed
    raise ValidationError("Must begin with sqlite:// or postgres://.")


def configured(database: dict[str, Any], *engines: dict[str, Any]) -> dict[str, Any]:
    """Merge the settings of its engine into a parsed URL. The URL's options have precedence."""
    [engine] = [each for each in engines if each["ENGINE"] == database["ENGINE"]]
    options = engine["OPTIONS"] | database["OPTIONS"]
    if "options" in database["OPTIONS"]:
        options["options"] = f"{engine['OPTIONS']['options']} {database['OPTIONS']['options']}"
    return database | engine | {"OPTIONS": options}


# SQLite


def parse_sqlite(rest: str) -> dict[str, Any]:
    place, _, query = rest.partition("?")
    if place.partition("/")[0] not in ("", ":memory:") or "#" in rest:
        raise ValidationError("Must be sqlite:////absolute/path or sqlite:///relative/path.")
    stated = dict(options_of(query, known={"timeout"}))
    name = dj_database_url.parse(f"sqlite://{place}")["NAME"]
    options = {"timeout": seconds(stated["timeout"])} if stated else {}
    return {"ENGINE": "realmate.sqlite", "NAME": name, "OPTIONS": options}


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not (number > 0 and isfinite(number)):
        raise ValidationError("timeout must be a number of seconds.")
    return number


# PostgreSQL


def parse_postgresql(rest: str) -> dict[str, Any]:
    parameters = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name, value in options_of(query_of(rest), known={*parameters, "ssl"}):
        if name == "ssl" and value != "true":  # JDBC's option; libpq knows this value only
            raise ValidationError("ssl must be true. Use sslmode for anything else.")
    try:
        stated: dict[str, Any] = dict(conninfo_to_dict(f"postgresql://{rest}"))
    except (psycopg.Error, ValueError):
        raise ValidationError(f"Not a URL of PostgreSQL. {ENCODE}") from None
    judge(stated)
    effective = elsewhere(stated.get("service")) | stated
    judge_values(effective)
    judge_session(effective.get("options", ""))
    return {
        "ENGINE": "realmate.postgresql",
        "NAME": effective.get("dbname") or effective.get("user", ""),
        **{name.upper(): stated.pop(name, "") for name in ("user", "password", "host", "port")},
        "OPTIONS": {name: value for name, value in stated.items() if name != "dbname"}
        | {name: effective[name] for name in OVERRIDABLE if effective.get(name)},
    }


def query_of(rest: str) -> str:
    """Return the part after `?`. Like libpq, look for the `?` after the password.

    Raises ValidationError if a `/` in the password ended the host.
    """
    if "@" in rest.partition("/")[0]:
        return rest.partition("@")[2].partition("?")[2]
    before, _, query = rest.partition("?")
    if "@" in before:
        raise ValidationError(f"Not a URL of PostgreSQL. {ENCODE}")
    return query


def options_of(query: str, *, known: set[str]) -> list[tuple[str, str]]:
    """Return the names and values of a query. Raises ValidationError with the unknown names."""
    options = parse_qsl(query, keep_blank_values=True)
    unknown = {name: value for name, value in options if name not in known}
    for name, value in unknown.items():
        if "@" in value or not re.fullmatch(r"[\w.-]{1,63}", name, re.ASCII):
            raise ValidationError(f"Has an option without a valid name. {ENCODE}")
    if unknown:
        raise ValidationError(f"Unknown option: {', '.join(sorted(unknown))}.")
    return options


def judge(stated: dict[str, Any]) -> None:
    """Refuse values that would fail at the first connection, with a part of a password in the error."""
    ports = stated.get("port", "").split(",")
    if "@" in stated.get("host", "") or not all(map(is_port, ports)):
        raise ValidationError(f"Must have a host, and a port from 1 to 65535. {ENCODE}")
    if stated.get("client_encoding", "utf8").lower() not in ("utf8", "utf-8"):
        raise ValidationError("client_encoding must be UTF8.")


def judge_values(values: dict[str, Any]) -> None:
    """Let libpq judge the values before the first connection. No socket is in /dev/null."""
    for name in NUMBERS:
        if not re.fullmatch(r"\d{1,9}", values.get(name, "0"), re.ASCII):
            raise ValidationError(f"{name} must be a whole number.")
    attempt = {**values, "service": None, "host": "/dev/null", "hostaddr": "", "port": ""}
    connection = PGconn.connect_start(make_conninfo("", **attempt).encode())
    complaint = re.match(rb'invalid "?(\w+)"? value', connection.error_message)
    connection.finish()
    if complaint:
        raise ValidationError(f"{complaint[1].decode()} must be a value that libpq knows.")


def is_port(text: str) -> bool:
    return not text or (text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65_536)


def elsewhere(service: str | None) -> dict[str, str]:
    """Return the parameters in PG* variables and in the service's file."""
    with environ_of(service):
        defaults = Conninfo.get_defaults()
    return {option.keyword.decode(): option.val.decode() for option in defaults if option.val}


@contextmanager
def environ_of(service: str | None) -> Iterator[None]:
    """Name the service in PGSERVICE, because libpq reads no other service's file for defaults."""
    before = os.environ.get("PGSERVICE")
    if service:
        os.environ["PGSERVICE"] = service
    try:
        yield
    finally:
        if before is not None:
            os.environ["PGSERVICE"] = before
        elif service:
            del os.environ["PGSERVICE"]


def judge_session(options: str) -> None:
    """Refuse session settings that would break a promise of the service."""
    stated, default = session_settings(options), session_settings(SESSION)
    if stated.get("synchronous_commit", "on").lower() not in DURABLE:
        raise ValidationError(f"synchronous_commit must be one of {', '.join(DURABLE)}.")
    limit, most = stated.get("lock_timeout", "1"), default["lock_timeout"]
    if not (limit.isdecimal() and 0 < int(limit) <= int(most)):
        raise ValidationError(f"lock_timeout must be from 1 to {most} milliseconds.")


def session_settings(options: str) -> dict[str, str]:
    """Parse `-c name=value -c …`, the parameter `options` of libpq. The last value counts."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options)]
    settings = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word += words.pop(0)
        setting = re.fullmatch(r"(?:-c|--)([A-Za-z_][\w.-]*)=(.*)", word, re.ASCII | re.DOTALL)
        if not setting:
            raise ValidationError("options must be -c name=value, once for each setting.")
        settings[setting[1].lower().replace("-", "_")] = setting[2]
    return settings
