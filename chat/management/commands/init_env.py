"""Write the env file of a new service."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from environs import ValidationError

from realmate import database_url, environment, new_env_file


class Command(BaseCommand):
    help = (
        "Write a new env file from .env.example, with a random SECRET_KEY and a random secret in "
        "WEBHOOK_SECRETS. Its mode is 0640. No file is overwritten, and no secret is printed."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            type=Path,
            nargs="?",
            default=environment.place_of_a_new_file(),
            help="a new file (default: REALMATE_ENV_FILE, or else .env beside manage.py)",
        )
        parser.add_argument(
            "--host", metavar="NAME", required=True, help="ALLOWED_HOSTS, separated by commas"
        )
        parser.add_argument("--database", metavar="URL", required=True, help="DATABASE_URL")
        parser.add_argument(
            "--set",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            help="another variable of .env.example; may be given several times",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file = options["file"]
        try:
            database_url.parse(options["database"])
            new_env_file.write(file, variables_of(options))
        except ValidationError as error:
            raise CommandError(f"DATABASE_URL: {' '.join(error.messages)}") from None
        except ValueError as error:
            raise CommandError(str(error)) from None
        except FileExistsError:
            raise CommandError(f"{file} exists; nothing is overwritten") from None
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}") from error
        self.stdout.write(f"{file}: written, with new secrets. Check it: manage.py check --deploy")


def variables_of(options: dict[str, Any]) -> dict[str, str]:
    variables = {"ALLOWED_HOSTS": options["host"], "DATABASE_URL": options["database"]}
    for pair in options["set"]:
        name, sign, value = pair.partition("=")
        if not sign or name in variables:
            raise CommandError(f"--set {name}: write NAME=VALUE, each name once")
        variables[name] = value
    return variables
