"""Write docs/openapi.yaml from the schema of the service: `make openapi`."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"
HEADING = "# `make openapi` writes this file. A running service gives the same at /schema.\n"
PLAIN = re.compile(r"[A-Za-z$/][A-Za-z0-9_$/{}.-]*")
WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def openapi_document() -> str:
    from chat.api.schema import schema

    return HEADING + "\n".join(lines(schema())) + "\n"


def lines(value: Any) -> Iterator[str]:
    """Yield the lines of a dict or a list in YAML."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from under(f"{name(key)}:", member)
    else:
        for item in value:
            first, *others = lines(item) if is_block(item) else [scalar(item)]
            yield f"- {first}"
            yield from (f"  {line}" for line in others)


def under(start: str, member: Any) -> Iterator[str]:
    if is_block(member):
        yield start
        yield from (f"  {line}" for line in lines(member))
    else:
        yield f"{start} {scalar(member)}"


def is_block(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def name(key: str) -> str:
    is_plain = PLAIN.fullmatch(key) and key.lower() not in WORDS_OF_YAML
    return key if is_plain else scalar(key)


def scalar(value: Any) -> str:
    """Return the value as JSON, because JSON is YAML too."""
    return json.dumps(value, ensure_ascii=False).replace("\ufeff", "\\ufeff")


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    DOCUMENT.write_text(openapi_document(), encoding="utf-8")
