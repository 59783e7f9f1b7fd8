"""The variables of the service: those of the environment, and below them those of one env file."""

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
# Each may also be in a file of its own, which NAME_FILE names.
SECRETS = ("SECRET_KEY", "WEBHOOK_SECRETS", "DATABASE_URL", "METRICS_TOKEN")
# One of these means that somebody has configured a service.
OF_A_SERVICE = {"DATABASE_URL", "SECRET_KEY", "DEBUG", "DATABASE_URL_FILE", "SECRET_KEY_FILE"}
# The command that writes the env file, and so must run before there is one.
INITIAL = "init_env"
# Commands that a fresh clone runs with DEBUG on. All others act on data that somebody may need.
OF_DEVELOPMENT = {
    *("migrate", "makemigrations", "showmigrations", "sqlmigrate", "optimizemigration"),
    *("runserver", "test", "check", "shell", "diffsettings", "help", "version"),
    *("createsuperuser", "changepassword", "collectstatic", "findstatic"),
    *("makemessages", "compilemessages", "simulate", "sign"),
    INITIAL,
}
HELP = {"-h", "--help", "--version"}
# The folder of the counters that the server's processes share, and the mark of these processes.
COUNTERS = "PROMETHEUS_MULTIPROC_DIR"
SERVES = "REALMATE_SERVES"
# The path of the file that set_the_file_aside found.
set_aside: Path | None = None


def load() -> Path | None:
    """Add the variables of the env file to the environment, which wins, and then the secrets of files.

    Return the path of the env file. Raises ImproperlyConfigured if a file cannot be read.
    """
    given = set(os.environ)
    path = find_file()
    if path is not None:
        file = Env()
        names = list(names_in(path))
        file.read_env(path, recurse=False)
        os.environ.update({name: file.str(name) for name in names})
    for name in SECRETS:
        read_secret(name, given)
    if SERVES not in os.environ:
        # A command would leave counters of its own in the server's folder, or fail where it may not write.
        os.environ.pop(COUNTERS, None)
    return path


def read_secret(name: str, given: set[str]) -> None:
    """Set a variable to the text of the file that NAME_FILE names, without the line end.

    NAME_FILE is taken away, so that a second reading finds only the variable. Of the two, one that
    was `given` wins over one of the env file. Raises ImproperlyConfigured for both in one place.
    """
    named = f"{name}_FILE"
    path = os.environ.pop(named, "")
    if not path or (name in given and named not in given):
        return
    if os.environ.get(name) and (name in given) == (named in given):
        raise ImproperlyConfigured(f"Not started. Set {name} or {named}, not both.")
    try:
        os.environ[name] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ImproperlyConfigured(f"Not started. {named}: {path} cannot be read: {why}.") from None


def find_file() -> Path | None:
    """Return the file that REALMATE_ENV_FILE names, or else .env beside manage.py.

    With an empty name no file is read.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named).absolute() if named else None
    return BESIDE_MANAGE if os.path.lexists(BESIDE_MANAGE) else None


def names_in(path: Path) -> Iterator[str]:
    """Yield the name of each variable. Raises ImproperlyConfigured for a line that has no meaning."""
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
    """Let the settings load without the env file, which may not exist yet, and remember its path."""
    global set_aside
    set_aside = find_file()
    os.environ |= {VARIABLE: "", "DEBUG": "true"}


def place_of_a_new_file() -> Path:
    """Return the path that REALMATE_ENV_FILE names, or else .env beside manage.py."""
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
