"""The production server: `python -m realmate.server`. Its settings, which were chosen by measurement.

Any GRANIAN_* variable of the environment or the env file wins over them; `granian --help` has all.
"""

import os
import shutil
import signal
import socket
import stat
import sys
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import TextIO

from django.core.exceptions import ImproperlyConfigured
from granian.cli import cli

from realmate import environment, stopping

SETTINGS = {
    "GRANIAN_INTERFACE": "wsgi",
    "GRANIAN_HOST": "127.0.0.1",
    "GRANIAN_PORT": "8000",
    "GRANIAN_WORKERS": "2",
    # A sender that drips its body byte by byte holds a thread for as long as it likes.
    # So there are many, made when wanted; one for each connection that is let in. More than 256 slow
    # clients stop the server all the same, so a proxy must stand in front: deploy/.
    "GRANIAN_BLOCKING_THREADS": "128",
    "GRANIAN_BACKPRESSURE": "128",
    # A worker that was killed is replaced, and one that does not stop is not waited for for ever.
    "GRANIAN_RESPAWN_FAILED_WORKERS": "true",
    "GRANIAN_WORKERS_KILL_TIMEOUT": "30",
}
# In memory, where there is such a place. The counters are mapped files, and whoever writes to one on
# a full disk is killed: instead of a 503, no answer at all.
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is ours alone
HERE = Path(__file__).resolve().parent.parent / ".metrics"
METRICS = MEMORY / f"realmate-{os.getuid()}" if MEMORY.is_dir() else HERE


def main(application: str = "realmate.wsgi:application") -> None:
    read_the_env_file()
    os.umask(0o077)
    environ = SETTINGS | os.environ
    place = environ.get("GRANIAN_UDS", environ["GRANIAN_PORT"]).replace("/", "-")
    make_folder_of_our_own(METRICS)
    lock = lock_of(place)  # noqa: F841 - kept open, here and in the workers, until all of them end
    if "GRANIAN_UDS" not in environ:
        refuse_a_taken_port(environ["GRANIAN_HOST"], environ["GRANIAN_PORT"])
    environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(counters_of(place)))
    os.environ.update(environ)
    let_workers_stop()
    os.register_at_fork(after_in_child=stopping.watch_signals)
    cli([application], auto_envvar_prefix="GRANIAN")


def read_the_env_file() -> None:
    """Read it before the workers do, because it may have GRANIAN_* variables. Exit if it is unreadable."""
    try:
        environment.load()
    except ImproperlyConfigured as error:
        sys.exit(str(error))


def make_folder_of_our_own(folder: Path) -> None:
    """Make the folder, or refuse one that somebody else made or may write to."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        sys.exit(f"Not started. {folder} must be a folder of this user alone, with mode 0700.")


def lock_of(place: str) -> TextIO:
    """Return the locked file of a port or socket. Two servers that start at the same time meet here."""
    lock = (METRICS / f"{place}.lock").open("a")
    try:
        flock(lock, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        sys.exit(f"Not started. Another server of this user runs on {place}.")
    return lock


def refuse_a_taken_port(host: str, port: str) -> None:
    """Exit if another program listens there. granian would share the port with it: SO_REUSEPORT."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, int(port)), family=family).close()
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        sys.exit(f"Not started. Cannot listen on {host}:{port}: {reason}.")


def counters_of(place: str) -> Path:
    """Where the workers sum what they count: empty again at each start, as Prometheus expects."""
    folder = METRICS / place
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def let_workers_stop() -> None:
    """Let a stop signal end every worker at once, also one that has not loaded the application yet.

    A worker is forked with the signal handlers of its parent, and has its own only once it has
    loaded the application. The parent's handler does nothing in the worker, so granian would wait for
    GRANIAN_WORKERS_KILL_TIMEOUT. A worker that dies while it loads loses no request: it listens later.

    Ctrl-C reaches the workers too, and their parent then sends SIGTERM. granian's handler hangs
    when a second signal interrupts it, so SIGINT stays blocked in the workers.
    """
    stops = [signal.SIGINT, signal.SIGTERM]

    def die_of_a_stop() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    os.register_at_fork(
        # A signal that comes between the fork and die_of_a_stop() waits for it.
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stops),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stops),
        after_in_child=die_of_a_stop,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
