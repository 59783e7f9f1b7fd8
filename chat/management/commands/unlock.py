"""Let a login name in again before its lockout is over."""

from typing import Any

from django.core.management.base import CommandParser

from chat.management.maintenance import MaintenanceCommand
from chat.models import LoginAttempts


class Command(MaintenanceCommand):
    help = "Forget the wrong passwords of a login name, from every address."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the login name, in either case")

    def handle(self, *args: Any, **options: Any) -> None:
        count = LoginAttempts.objects.of(options["name"]).delete()[0]
        self.stdout.write(f"Forgotten: the attempts from {count} addresses.")
