"""Print a signed request, for trying out signatures by hand."""

import shlex
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.management.commands.simulate import DEFAULT_URL, webhook_url
from chat.signatures import Scheme, configured, new_webhook_id, signed


class Command(BaseCommand):
    help = (
        "Print a curl command to post a body as a sender would, signed under WEBHOOK_SCHEME with the "
        "first of WEBHOOK_SECRETS. A signature of the standard scheme is valid for five minutes."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the body; - reads it from standard input")
        parser.add_argument("--url", default=DEFAULT_URL, help=f"the webhook ({DEFAULT_URL})")

    def handle(self, *args: Any, **options: Any) -> None:
        scheme = configured()
        if scheme is None:
            raise CommandError("WEBHOOK_SECRETS is not set: there is no secret to sign with")
        body, data = read_body(options["file"])
        url = webhook_url(options["url"])
        self.stdout.write(shlex.join(["curl", url, *headers_of(scheme, body), *data]))


def read_body(file: str) -> tuple[bytes, list[str]]:
    """Return the body, and curl's options that send exactly this body. Raises CommandError."""
    if file == "-":
        body = sys.stdin.buffer.read()
        return body, ["--data-raw", text_of(body)]
    try:
        return Path(file).read_bytes(), ["--data-binary", f"@{file}"]
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error


def text_of(body: bytes) -> str:
    text = body.decode(errors="replace")
    if text.encode() != body or "\0" in text:
        raise CommandError("this body cannot be part of a command: sign it from a file")
    return text


def headers_of(scheme: Scheme, body: bytes) -> list[str]:
    headers = signed(scheme, body, id=new_webhook_id())
    return [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
