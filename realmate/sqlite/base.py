"""Django's SQLite backend, with a queue for SQLite's only writer.

Writers on SQLite's own lock sleep in growing steps and starve one another: at 16 connections some
wait for over a second. Here writers queue on an flock; threads of one process queue on a mutex
first. The `timeout` of OPTIONS is one deadline for all waits. Past the deadline: "database is locked".
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

from realmate.sqlite import files

LOOK_AGAIN_SECONDS = 0.0001


# Called with the seconds of each writer's wait. realmate/wsgi.py puts a histogram here; commands count nothing.
note_wait: Callable[[float], object] = lambda seconds: None  # noqa: E731


# Called in a process that could never write again. realmate/wsgi.py ends a worker with it.
note_read_only_for_good: Callable[[], object] = lambda: None  # noqa: E731
# The paths that this process has opened while they could not be written.
opened_read_only: set[Path] = set()


class WriterQueue:
    """Lets one thread at a time write to a database file, among all processes of this machine."""

    def __init__(self, database: Path) -> None:
        # A separate file, because closing any descriptor of the database drops SQLite's locks on it.
        self._path = f"{database}-writer"
        self._database = database
        self._mutex = threading.Lock()
        self._file: int | None = None

    def enter(self, *, until: float) -> bool:
        """Wait for the turn until `until` (time.monotonic). After True the caller must call `leave`."""
        if not self._mutex.acquire(timeout=max(0, until - time.monotonic())):
            return False
        entered = False
        try:
            entered = self._lock(until=until)
        except OSError as error:  # no descriptor left, no space, no permission
            raise OperationalError(f"cannot lock {self._path}: {error.strerror}") from error
        finally:
            if not entered:
                self._mutex.release()
        return entered

    def leave(self) -> None:
        try:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._mutex.release()

    def _lock(self, *, until: float) -> bool:
        """Poll the lock, because flock has no time limit. One thread a process polls."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE)
            files.own_as(self._file, self._database)
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(LOOK_AGAIN_SECONDS)


queue_for = cache(WriterQueue)
# A forked child makes new queues: a copied flock is the parent's, and a copied mutex may be held.
os.register_at_fork(after_in_child=queue_for.cache_clear)


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file at a path; None without a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


# By its path, the file opened last by this process. Readiness compares it with the file now at the path.
opened_file: dict[Path, tuple[int, int]] = {}


class DatabaseWrapper(base.DatabaseWrapper):
    _queue: WriterQueue | None = None
    _identity: tuple[int, int] | None = None
    _waits = True

    @property
    def queries_logged(self) -> bool:
        """Only tests log queries. With DEBUG Django's own property would keep thousands, with their texts."""
        return self.force_debug_cursor

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        self._refuse_to_begin_anew()
        if not self.is_in_memory_db():
            files.make(self._path)
        connection = super().get_new_connection(conn_params)
        files.take_rights_of_others(self._path)
        self._identity = identity_of(self._path)
        if self._identity:
            opened_file[self._path] = self._identity
            if not files.are_writable(self._path):
                opened_read_only.add(self._path)
        return connection

    def _start_transaction_under_autocommit(self) -> None:
        timeout = self.settings_dict["OPTIONS"].get("timeout", 5)
        until = time.monotonic() + (timeout if self._waits else 0)
        self._enter(until=until)
        try:
            self._refuse_a_replaced_file()  # after the wait, because the wait may be long
            self._refuse_to_be_read_only_for_good()
            self._wait_in_sqlite(until - time.monotonic())
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
            self._wait_in_sqlite(timeout)
        except BaseException:
            self.close()  # rolls back, and lets go of a replaced file
            self._leave()
            raise

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Fail transactions of the block at once if another writer is at work."""
        self._waits = False
        try:
            yield
        finally:
            self._waits = True

    @property
    def _path(self) -> Path:
        return Path(self.settings_dict["NAME"])

    def _refuse_to_begin_anew(self) -> None:
        """Refuse to create a database file beside a WAL, because SQLite would empty that WAL.

        The WAL holds the last acknowledged events. A moved database file needs them after its return.
        """
        if identity_of(self._path) is None and identity_of(Path(f"{self._path}-wal")):
            raise OperationalError("the database file is gone, and its WAL is not")

    def _refuse_a_replaced_file(self) -> None:
        """Refuse to write into a file moved or deleted while the connection was open."""
        if not self.is_in_memory_db() and identity_of(self._path) != self._identity:
            raise OperationalError("the database file was replaced")

    def _refuse_to_be_read_only_for_good(self) -> None:
        """Refuse to write in a process that opened the file read-only, once others can write to it.

        The connections of a process share the WAL's index. While one of them is open, an index opened
        read-only stays so, also for new connections. Only a new process is certain to write.
        """
        if self._path in opened_read_only and files.are_writable(self._path):
            note_read_only_for_good()
            raise OperationalError(
                "this process opened the database file read-only: start it again"
            )

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
        queue, began = queue_for(self._path), time.monotonic()
        entered = queue.enter(until=until)
        note_wait(time.monotonic() - began)
        if not entered:
            raise OperationalError("database is locked")
        self._queue = queue

    def _leave(self) -> None:
        if self._queue is not None:
            queue, self._queue = self._queue, None
            queue.leave()
