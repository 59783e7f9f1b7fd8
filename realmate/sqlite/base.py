"""Django's SQLite backend, with a queue before its one writer.

Writers that wait on SQLite's own lock sleep in growing steps and starve one another: at 16
connections some wait for over a second. Here they queue on an flock, within a process on a mutex
first. One deadline, the `timeout` of OPTIONS, covers every wait; past it: "database is locked".
"""

import fcntl
import os
import threading
import time
from functools import cache
from pathlib import Path

from django.db import OperationalError
from django.db.backends.sqlite3 import base

LOOK_AGAIN_SECONDS = 0.0005


class WriterQueue:
    """Who may write to one database file, among all threads and processes of this machine."""

    def __init__(self, database: Path) -> None:
        # A file of its own: closing any descriptor of the database drops SQLite's locks on it.
        self._path = f"{database}-writer"
        self._mutex = threading.Lock()
        self._file: int | None = None

    def enter(self, *, until: float) -> bool:
        """Whether it is our turn before `until` (time.monotonic). A True owes a leave()."""
        if not self._mutex.acquire(timeout=max(0, until - time.monotonic())):
            return False
        if self._lock(until=until):
            return True
        self._mutex.release()
        return False

    def leave(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._mutex.release()

    def _lock(self, *, until: float) -> bool:
        """flock waits without a limit, so it is asked again and again, by one thread a process."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(LOOK_AGAIN_SECONDS)


queue_for = cache(WriterQueue)


class DatabaseWrapper(base.DatabaseWrapper):
    _queue: WriterQueue | None = None

    def _start_transaction_under_autocommit(self) -> None:
        timeout = self.settings_dict["OPTIONS"].get("timeout", 5)
        until = time.monotonic() + timeout
        self._enter(until=until)
        try:
            self._wait_in_sqlite(until - time.monotonic())
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._leave()
            raise
        finally:
            self._wait_in_sqlite(timeout)

    def _wait_in_sqlite(self, seconds: float) -> None:
        self.connection.execute(f"PRAGMA busy_timeout = {max(0, int(seconds * 1000))}")

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            self._leave()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._leave()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._leave()

    def _enter(self, *, until: float) -> None:
        if self._queue is not None or self.is_in_memory_db():
            return
        queue = queue_for(Path(self.settings_dict["NAME"]))
        if not queue.enter(until=until):
            raise OperationalError("database is locked")
        self._queue = queue

    def _leave(self) -> None:
        if self._queue is not None:
            queue, self._queue = self._queue, None
            queue.leave()
