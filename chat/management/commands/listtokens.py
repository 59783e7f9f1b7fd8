"""List the tokens."""

from datetime import UTC, datetime
from typing import Any

from chat.management.maintenance import MaintenanceCommand
from chat.models import Token


class Command(MaintenanceCommand):
    help = "List all tokens but revoked ones: name, scopes, expiry, last use. Times are UTC."

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [("NAME", "SCOPES", "EXPIRES", "LAST USE")]
        rows += [row(token) for token in Token.objects.holding().order_by("name")]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for cells in rows:
            padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
            self.stdout.write("  ".join(padded).rstrip())


def row(token: Token) -> tuple[str, str, str, str]:
    return token.name, token.scopes, moment(token.expires_at), moment(token.last_used_at)


def moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else "never"
