"""A new env file: .env.example with the values of one service, and with new secrets."""

import os
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
# A shell, systemd and realmate/environment.py read these without quotes.
PLAIN = re.compile(r"[\w./:@%,?=&+~;\[\]-]*", re.ASCII)
# And these in single quotes. A backslash, a quote or ${ means something else to one of them.
QUOTABLE = re.compile(r"(?:(?!\$\{)[^'\\\x00-\x1f\x7f])*")
# The owner writes the file; the group of the service only reads it.
MODE = 0o640


def write(file: Path, variables: Mapping[str, str]) -> None:
    """Write a new file with new secrets and the given variables.

    Raises FileExistsError, another OSError, or ValueError for an unknown name or an impossible value.
    """
    text = filled(EXAMPLE.read_text(encoding="utf-8"), new_secrets() | dict(variables))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            os.fchmod(opened.fileno(), MODE)
    except OSError:
        file.unlink()
        raise


def new_secrets() -> dict[str, str]:
    """Return 48 random bytes for sessions, and 32 for the senders as Standard Webhooks writes them."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "WEBHOOK_SECRETS": f"whsec_{b64encode(secrets.token_bytes(32)).decode()}",
    }


def filled(example: str, values: Mapping[str, str]) -> str:
    """Return the example with these variables set. Raises ValueError for an unknown variable."""
    for name, value in values.items():
        example = with_variable(example, name, value)
    return example


def with_variable(text: str, name: str, value: str) -> str:
    """Set the last line of the variable: the lines above it are further examples."""
    lines = list(re.finditer(rf"^(?:# )?{re.escape(name)}=.*$", text, re.MULTILINE))
    if not lines:
        raise ValueError(f"{name} is no variable of .env.example")
    start, end = lines[-1].span()
    return f"{text[:start]}{name}={quoted(name, value)}{text[end:]}"


def quoted(name: str, value: str) -> str:
    """Return the value, quoted for every reader of the file. Raises ValueError without the value."""
    if not value:
        raise ValueError(f"{name} must not be empty")
    if PLAIN.fullmatch(value):
        return value
    if not QUOTABLE.fullmatch(value):
        raise ValueError(f"{name} has a quote, a backslash, ${{ or a line end; write it by hand")
    return f"'{value}'"
