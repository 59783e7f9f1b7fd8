"""Whether this process of the production server has been told to stop.

A request waiting for news must not keep a stopping server waiting. Only the main thread runs
signal handlers, and granian installs its own. The wake-up file descriptor works beside any handler.
"""

import os
import select
import signal
import threading
import time

# A worker that has been told to end, and does not, is killed after these seconds.
SECONDS_TO_END = 30

_stopping: int | None = None


def watch_signals() -> None:
    """Make `wait` notice every later signal. Call it in the main thread of a worker process."""
    global _stopping
    _stopping, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)


def is_watching() -> bool:
    """Whether this process is a worker of the production server."""
    return _stopping is not None


def end_this_worker() -> None:
    """Let the worker finish its requests and end. The server then starts another one.

    A stalled client would keep the worker for ever, and a stopping worker takes no connections. The
    server does not know of this stop, so the worker has the server's time limit for itself.
    """
    if not is_watching():
        return
    os.kill(os.getpid(), signal.SIGTERM)
    limit = threading.Timer(SECONDS_TO_END, os.kill, (os.getpid(), signal.SIGKILL))
    limit.daemon = True
    limit.start()


def wait(seconds: float) -> bool:
    """Sleep. Return True as soon as the process is told to stop.

    Elsewhere, as in the development server, whose threads end with it, this only sleeps.
    """
    if _stopping is None:
        time.sleep(seconds)
        return False
    told = select.poll()
    told.register(_stopping, select.POLLIN)  # never read, so that every thread sees it
    return bool(told.poll(seconds * 1000))
