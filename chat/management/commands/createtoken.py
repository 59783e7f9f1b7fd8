"""Lets a program read."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from chat.models import Token


class Command(BaseCommand):
    help = "Make a token for a program that reads JSON, and print it: it is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="which program it is for")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = Token.objects.issue(name=options["name"], at=timezone.now())
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stdout.write(text)
        self.stderr.write("Send it as: Authorization: Bearer …  It is not shown again.")
