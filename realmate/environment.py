"""The service's variables, from the environment and from one env file. The environment wins."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from stat import S_IROTH

from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured
from environs import Env

VARIABLE = "REALMATE_ENV_FILE"
BESIDE_MANAGE = Path(__file__).resolve().parent.parent / ".env"
# A shell, systemd and environs read these lines alike, apart from escapes.
LINE = re.compile(
    r"""\s*(?: \#.* | (?:export\s+)? (?P<name>[A-Za-z_]\w*) \s*=\s*
    (?: '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | [^'"\s].* )? \s* (?:\#.*)? )?""",
    re.VERBOSE,
)
# Each may also be the text of a file. The variable NAME_FILE is the path of this file.
SECRETS = ("SECRET_KEY", "WEBHOOK_SECRETS", "DATABASE_URL", "METRICS_TOKEN")
# One of these is enough for a configured service.
OF_A_SERVICE = {"DATABASE_URL", "SECRET_KEY", "DEBUG", "DATABASE_URL_FILE", "SECRET_KEY_FILE"}
# This command writes the env file, so it must run before there is a file.
INITIAL = "init_env"
# Commands that run with DEBUG on in a fresh clone. All other commands act on data of a service.
OF_DEVELOPMENT = {
    *("migrate", "makemigrations", "showmigrations", "sqlmigrate", "optimizemigration"),
    *("runserver", "test", "check", "shell", "diffsettings", "help", "version"),
    *("createsuperuser", "changepassword", "collectstatic", "findstatic"),
    *("makemessages", "compilemessages", "simulate", "sign"),
    INITIAL,
}
HELP = {"-h", "--help", "--version"}
# The folder of the counters shared by the server's processes, and the mark of these processes.
COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
SERVES = "REALMATE_SERVES"
# The Unix time at which the server started. Its workers and their replacements inherit it.
STARTED_AT = "REALMATE_STARTED_AT"
# The path of the env file found by set_the_file_aside.
set_aside: Path | None = None


def load() -> Path | None:
    """Add the variables of the env file to the environment, which wins. Then add the secrets of files.

    Return the path of the env file. Raises ImproperlyConfigured if a file cannot be read.
    """
    in_environment = set(os.environ)
    path = find_file()
    if path is not None:
        file = Env()
        names = list(names_in(path))
        file.read_env(path, recurse=False)
        os.environ.update({name: file.str(name) for name in names})
    for name in SECRETS:
        read_secret(name, in_environment)
    if SERVES not in os.environ:
        # A command would leave its counters in the server's folder, or fail without the right to write.
        os.environ.pop(COUNTERS, None)
    return path


def read_secret(name: str, in_environment: set[str]) -> None:
    """Set a variable to the text of the file at the path NAME_FILE, without the line end.

    Deletes NAME_FILE, so that a second call finds only the variable. If only one of NAME and NAME_FILE
    was `in_environment`, the other is of the env file and does not count. Raises ImproperlyConfigured
    if both were, or if both are of the env file.
    """
    named = f"{name}_FILE"
    path = os.environ.pop(named, "")
    if not path or (name in in_environment and named not in in_environment):
        return
    if os.environ.get(name) and (name in in_environment) == (named in in_environment):
        raise ImproperlyConfigured(f"Not started. Set {name} or {named}, not both.")
    try:
        os.environ[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ImproperlyConfigured(f"Not started. {named}: {path} cannot be read: {why}.") from None


def find_file() -> Path | None:
    """Return REALMATE_ENV_FILE, or else .env beside manage.py.

    Return None if REALMATE_ENV_FILE is empty, or is not set and there is no .env.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named).absolute() if named else None
    return BESIDE_MANAGE if os.path.lexists(BESIDE_MANAGE) else None


def names_in(path: Path) -> Iterator[str]:
    """Yield the name of each variable. Raises ImproperlyConfigured for a line without a meaning."""
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        match = LINE.fullmatch(line)
        if match is None:
            raise refusal(path, f"has no NAME=value in line {number}; quotes must be closed")
        if match["name"] and "${" in line:
            raise refusal(path, f"has ${{…}} in line {number}; nothing is expanded")
        if match["name"] == VARIABLE:
            raise refusal(path, f"names another file in line {number}")
        if match["name"]:
            yield match["name"]


def text_of(path: Path) -> str:
    try:
        if not path.is_file():  # a pipe cannot be read twice
            raise refusal(path, "does not exist, or is not a file")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise refusal(path, "is not UTF-8") from None


def refusal(path: Path, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"Not started. The env file {path} {why}.")


def set_up_commands(arguments: list[str]) -> None:
    """Prepare the environment for a command of manage.py, before the settings are read.

    Tests read no env file. A command of development has DEBUG on in a fresh clone.
    """
    if arguments[1:2] == [INITIAL]:
        set_the_file_aside()
    if arguments[1:2] == ["test"]:
        os.environ[VARIABLE] = ""
    if is_fresh_clone() and is_of_development(arguments[1:]):
        os.environ["DEBUG"] = "true"


def set_the_file_aside() -> None:
    """Let the settings load without the env file, because it may not exist yet. Remember its path."""
    global set_aside
    set_aside = find_file()
    os.environ |= {VARIABLE: "", "DEBUG": "true"}


def place_of_a_new_file() -> Path:
    """Return REALMATE_ENV_FILE, or else the path of .env beside manage.py."""
    return set_aside or find_file() or BESIDE_MANAGE


def is_fresh_clone() -> bool:
    return find_file() is None and not OF_A_SERVICE & os.environ.keys()


def is_of_development(words: list[str]) -> bool:
    """Whether a command is one of development, or only prints its help."""
    options = words[: words.index("--")] if "--" in words else words
    return not words or words[0] in OF_DEVELOPMENT or bool(HELP & set(options))


@register(Tags.security, deploy=True)
def check_mode(**kwargs: object) -> list[CheckMessage]:
    """Warn if every user of the machine can read the secrets of the env file."""
    path = find_file()
    if path is None or not path.stat().st_mode & S_IROTH:
        return []
    hint = f"chmod o-rwx {path}"
    return [
        checks.Warning(f"Everybody can read the env file {path}.", hint=hint, id="realmate.W001")
    ]
