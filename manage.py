#!/usr/bin/env python3
"""Django's commands. In a fresh clone DEBUG is on for the commands of development."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error

from realmate import environment


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realmate.settings")
    environment.set_up_commands(sys.argv)
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"ImproperlyConfigured: {error}")
    except (Error, EOFError) as error:  # of Django's own commands
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"CommandError: {in_words(error)}")
    except KeyboardInterrupt:  # no traceback, and the exit code of a shell
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def in_words(error: Error | EOFError) -> str:
    if isinstance(error, EOFError):  # a question of `changepassword` or `createsuperuser`
        return "this command asks questions, so it needs a terminal"
    from chat.management.rehearsal import message_and_advice

    return message_and_advice(error)


if __name__ == "__main__":
    main()
