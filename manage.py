#!/usr/bin/env python3
"""Django's commands. DEBUG is on when neither DEBUG nor SECRET_KEY is set."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realmate.settings")
    if "SECRET_KEY" not in os.environ:
        os.environ.setdefault("DEBUG", "true")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
