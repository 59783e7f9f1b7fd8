"""Revoke a token."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.models import Token


class Command(MaintenanceCommand):
    help = "Revoke the token of this name, at once and for good. The name may be used again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the name given to createtoken")

    def handle(self, *args: Any, **options: Any) -> None:
        if not Token.objects.filter(name=options["name"]).revoke(at=timezone.now()):
            raise CommandError("No valid token has this name.")
        self.stdout.write("Revoked.")
