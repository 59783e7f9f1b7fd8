"""List the tokens."""

from typing import Any

from django.core.management.base import CommandParser

from chat.management.maintenance import MaintenanceCommand
from chat.management.tables import add_json, print_json, print_table
from chat.models import Token

HEADS = {"name": "NAME", "scopes": "SCOPES", "expires_at": "EXPIRES", "last_used_at": "LAST USE"}


class Command(MaintenanceCommand):
    help = "List all tokens but revoked ones: name, scopes, expiry, last use. Times are UTC."

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        rows = list(Token.objects.holding().order_by("name").values(*HEADS))
        for row in rows:
            row["scopes"] = row["scopes"].split()
        if options["json"]:
            print_json(self.stdout, {"tokens": rows})
        else:
            print_table(self.stdout, rows, heads=HEADS)
