"""A forked program has the same effects as a program in an interpreter of its own."""

import json
import os
import subprocess
import sys

import pytest

from tests import programs
from tests.programs import run_python

SEEN = """
import json, os, signal, sys
seen = dict(
    argv=sys.argv, path=sys.path, name=__name__, main=sys.modules["__main__"].__dict__ is globals(),
    cwd=os.getcwd(), environ=dict(os.environ), umask=os.umask(0o022), input=sys.stdin.read(),
    encodings=[(file.encoding, file.errors, file.isatty()) for file in (sys.stdin, sys.stdout, sys.stderr)],
    interrupt=str(signal.getsignal(signal.SIGINT)), writes_bytecode=not sys.dont_write_bytecode,
    ours=[name for name in sys.modules if name.partition(".")[0] in ("realmate", "chat", "tests")],
)
print(json.dumps(seen, indent=1))
print("Olá", file=sys.stderr)
"""
ENDS = {
    "at its end": "print('done', end='')",
    "with a number": "import sys; sys.exit(3)",
    "with a text": "import sys; sys.exit('no')",
    "by an error": "print('before'); raise ValueError('no')",
    "without a word": "import os; os._exit(4)",
    "by a signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "by Ctrl-C": "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(5)",
    "after its exit handlers": "import atexit; atexit.register(print, 'bye')",
}


@pytest.fixture
def both(tmp_path):
    """Run a program in both ways."""
    (tmp_path / "seen.py").write_text(SEEN)
    (tmp_path / "elsewhere").mkdir()

    def run(*arguments, **environ):
        env = {"PATH": os.defpath} | environ
        cwd = tmp_path / "elsewhere"
        forked = run_python(*arguments, cwd=cwd, env=env)
        command = [sys.executable, *map(str, arguments)]
        given = {"cwd": cwd, "env": env, "stdin": subprocess.DEVNULL}
        return forked, subprocess.run(command, capture_output=True, text=True, **given)

    return run


@pytest.mark.parametrize("environ", [{}, {"PYTHONDONTWRITEBYTECODE": "1"}])
@pytest.mark.parametrize(
    "command",
    [["-c", SEEN, "a", "-b"], ["-m", "seen", "--a"], ["../seen.py", "a b"], ["../seen.py"]],
)
def test_it_finds_what_it_would_find(both, tmp_path, command, environ):
    forked, alone = both(*command, PYTHONPATH=str(tmp_path), **environ)
    assert json.loads(forked.stdout) == json.loads(alone.stdout)
    assert (forked.stderr, forked.returncode) == (alone.stderr, alone.returncode) == ("Olá\n", 0)


@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
def test_it_ends_as_it_would_end(both, program):
    forked, alone = both("-c", program)
    assert (forked.stdout, forked.returncode) == (alone.stdout, alone.returncode)
    assert forked.stderr.splitlines()[-1:] == alone.stderr.splitlines()[-1:]


def test_it_is_ended_when_its_time_is_over(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        run_python("-c", "import time; time.sleep(50)", cwd=tmp_path, env={}, seconds=1)


def test_after_an_interruption_the_next_program_gets_its_own_answer(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(programs, "int", interrupted, raising=False)
        with pytest.raises(KeyboardInterrupt):
            run_python("-c", "print(1); exit(1)", cwd=tmp_path, env={})
    ended = run_python("-c", "print(2); exit(2)", cwd=tmp_path, env={})
    assert (ended.stdout, ended.returncode) == ("2\n", 2)


def test_an_interpreter_of_its_own_has_what_is_read_at_the_start(tmp_path):
    program = "import sys; print(sys.flags.utf8_mode)"
    env = {"PYTHONUTF8": "1"}
    assert run_python("-c", program, cwd=tmp_path, env=env).stdout == "1\n"
