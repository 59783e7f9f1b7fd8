"""The production server: `python -m realmate.server`. Its settings, which were chosen by measurement.

Any GRANIAN_* variable of the environment or the env file wins over them; `granian --help` has all.
"""

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from granian.cli import cli

from realmate import environment, stopping

SETTINGS = {
    "GRANIAN_INTERFACE": "wsgi",
    "GRANIAN_HOST": "127.0.0.1",
    "GRANIAN_PORT": "8000",
    "GRANIAN_WORKERS": "2",
    # A sender that drips its body byte by byte holds a thread for as long as it likes.
    # So there are many, made when wanted; one for each connection that is let in.
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
    environ = SETTINGS | os.environ
    environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(counters_of(environ)))
    os.environ.update(environ)
    let_starting_workers_stop()
    os.register_at_fork(after_in_child=stopping.watch_signals)
    cli([application], auto_envvar_prefix="GRANIAN")


def read_the_env_file() -> None:
    """Read it before the workers do, because it may have GRANIAN_* variables. Exit if it is unreadable."""
    try:
        environment.load()
    except ImproperlyConfigured as error:
        sys.exit(str(error))


def let_starting_workers_stop() -> None:
    """Let a stop signal end a worker that has not loaded the application yet.

    A worker is forked with the signal handlers of its parent, and has its own only once it has
    loaded the application. The parent's handler does nothing in the worker, so granian would wait for
    GRANIAN_WORKERS_KILL_TIMEOUT. A worker that dies while it loads loses no request: it listens later.
    """
    stops = [signal.SIGINT, signal.SIGTERM]

    def die_of_stops() -> None:
        for stop in stops:
            signal.signal(stop, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)

    os.register_at_fork(
        # A signal that comes between the fork and die_of_stops() waits for it.
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stops),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stops),
        after_in_child=die_of_stops,
    )


def counters_of(environ: Mapping[str, str]) -> Path:
    """Where the workers sum what they count: empty again at each start, as Prometheus expects."""
    folder = METRICS / environ["GRANIAN_PORT"]
    shutil.rmtree(folder, ignore_errors=True)
    METRICS.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main(*sys.argv[1:])
