"""Python programs of the tests, forked from a process with the libraries already loaded.

Loading Django and other libraries takes two thirds of a command's time, and the tests run some two hundred
commands. The process that forks has loaded none of our modules, and no settings.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

LIBRARIES = (
    "django.contrib.postgres.operations",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.loader",
    "django.forms",
    "django.template",
    "dj_database_url",
    "drf_spectacular_sidecar",
    "environs",
    "psycopg",
    "pydantic",
    "tqdm",
)
# An interpreter reads these at its start, or a library while loading. A fork heeds only two of them.
READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "TZ", "TQDM_", "PSYCOPG_")
HEEDED = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


def run_python(
    *arguments: object, cwd: Path, env: dict[str, str], seconds: int = 60
) -> subprocess.CompletedProcess[str]:
    """Run `python *arguments` to its end: a script, `-m module` or `-c program`. The program has no input.

    Raises TimeoutExpired.
    """
    command = list(map(str, arguments))
    is_plain = command[0] in ("-c", "-m") or not command[0].startswith("-")
    if is_plain and not any(map(is_read_at_the_start, env)):
        return forked(command, cwd, env, seconds)
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def is_read_at_the_start(name: str) -> bool:
    return name.startswith(READ_AT_THE_START) and name not in HEEDED


def forked(
    command: list[str], cwd: Path, env: dict[str, str], seconds: int
) -> subprocess.CompletedProcess[str]:
    with TemporaryDirectory() as name:
        said = [f"{name}/stdout", f"{name}/stderr"]
        program = {"command": command, "cwd": str(cwd), "env": env, "seconds": seconds}
        code = ended(program | {"said": said})
        output = [Path(file).read_text() for file in said]
    if code == -signal.SIGALRM:
        raise subprocess.TimeoutExpired(command, seconds, *output)
    return subprocess.CompletedProcess(command, code, *output)


def ended(program: dict[str, Any]) -> int:
    """Return the exit code of a program. After an error the next program has a new forker."""
    process = forker()
    try:
        print(json.dumps(program), file=process.stdin, flush=True)
        return int(process.stdout.readline())
    except BaseException:  # the time limit of a test interrupts here
        process.kill()
        forker.cache_clear()
        raise


@cache
def forker() -> subprocess.Popen[str]:
    """Start the forking process, without the variables of this process."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={"PATH": os.defpath},
    )
    atexit.register(process.communicate)
    return process


# In the forking process


def main() -> None:
    """Fork for each line of the input. A child returns, and ends as an interpreter ends."""
    for name in LIBRARIES:
        import_module(name)
    gc.freeze()
    for line in sys.stdin:
        program = json.loads(line)
        child = os.fork()
        if child == 0:
            become(**program)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def become(
    *, command: list[str], cwd: str, env: dict[str, str], seconds: int, said: list[str]
) -> None:
    """Do the same as `python *command`. Exceptions propagate, and end the process as in an interpreter."""
    signal.alarm(seconds)
    os.chdir(cwd)
    coerced = {name: value for name, value in os.environ.items() if name == "LC_CTYPE"}  # PEP 538
    os.environ.clear()
    os.environ.update(coerced | env)
    for descriptor, file in enumerate([os.devnull, *said]):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), descriptor)
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:1] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    option, *rest = command
    if option == "-c":
        program, *sys.argv[1:] = rest
        sys.argv[0] = option
        sys.path.insert(0, "")
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), vars(sys.modules["__main__"]))
    elif option == "-m":
        module, *sys.argv[1:] = rest
        sys.path.insert(0, cwd)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = command
        sys.path.insert(0, str(Path(option).resolve().parent))
        runpy.run_path(option, run_name="__main__")


if __name__ == "__main__":
    main()
