"""Create a token for a program."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.models import Token


class Command(MaintenanceCommand):
    help = "Create a token for a program that reads JSON, and print the token, this one time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the program that gets the token")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = Token.objects.issue(name=options["name"], at=timezone.now())
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stdout.write(text)
        self.stderr.write("Send it as: Authorization: Bearer …  The token is not shown again.")
