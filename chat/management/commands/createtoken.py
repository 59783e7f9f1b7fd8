"""Create a token for a program."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.models import Scope, Token
from chat.models.tokens import SCOPES_BY_DEFAULT, expiry_of


class Command(MaintenanceCommand):
    help = "Create a token for a program, and print the token, this one time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the name of the program")
        parser.add_argument(
            "--scope",
            action="append",
            choices=[str(scope) for scope in Scope],
            help="a right of the token; may be given several times (default: all but replay)",
        )
        parser.add_argument(
            "--expires", metavar="WHEN", help="90d for 90 days, or 2030-12-31 for its last day"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        try:
            text = Token.objects.issue(
                name=options["name"],
                at=now,
                scopes=options["scope"] or SCOPES_BY_DEFAULT,
                expires_at=expiry(options["expires"], at=now),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stdout.write(text)
        self.stderr.write("Send it as: Authorization: Bearer …  The token is not shown again.")


def expiry(text: str | None, *, at: datetime) -> datetime | None:
    """Return the end of `--expires`, or None without it. Raises CommandError for any other text."""
    try:
        return expiry_of(text, at=at) if text is not None else None
    except (ValueError, OverflowError):
        raise CommandError(
            "--expires is a number of days (90d), or a date that is not over (2030-12-31)."
        ) from None
