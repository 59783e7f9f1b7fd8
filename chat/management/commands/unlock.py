"""Let a login name in again before its lockout is over, or list who is locked out."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from chat.management.maintenance import MaintenanceCommand
from chat.management.tables import add_json, print_json, print_table
from chat.models import LoginAttempts

HEADS = {"name": "NAME", "address": "ADDRESS", "until": "UNTIL"}


class Command(MaintenanceCommand):
    help = (
        "Forget the wrong passwords of a login name, from every address. Without a name, list the names "
        "and addresses that are locked out, and until when (UTC)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "name", metavar="NAME", nargs="?", help="the login name, in either case"
        )
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["name"] is None:
            self.list_all(as_json=options["json"])
            return
        if options["json"]:
            raise CommandError("--json is for the list, without a name")
        count = LoginAttempts.objects.of(options["name"]).delete()[0]
        if not count:
            raise CommandError(
                "no wrong passwords are stored for this name; without a name, `unlock` lists who is locked out"
            )
        self.stdout.write(f"Forgotten: the attempts from {count} addresses.")

    def list_all(self, *, as_json: bool) -> None:
        locked = LoginAttempts.objects.locked_out(at=timezone.now()).order_by("name", "address")
        rows: list[dict[str, Any]] = [
            {"name": each.login_name, "address": each.address, "until": each.forgotten_at}
            for each in locked
        ]
        if as_json:
            print_json(self.stdout, {"locked_out": rows})
        else:
            print_table(self.stdout, rows, heads=HEADS)
