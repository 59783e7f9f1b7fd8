"""A disk under SQLite without writes: at the start of the server, and after an error of the disk."""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.missing import missing
from tests.servers import running, serving, set_up
from tests.test_faults import (
    PATIENCE,
    a_session,
    a_small_disk,
    at_once,
    bodies,
    is_ready_again,
    retried,
)

pytestmark = pytest.mark.sqlite


@contextmanager
def read_only_disk(folder):
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


class WhileWorkersStart:
    """Posts to a server. A refused connection counts as a 503: no worker listens for a moment."""

    def __init__(self, server):
        self._server = server

    def post(self, body):
        try:
            return self._server.post(body)
        except OSError:
            return SimpleNamespace(status_code=503)


def test_a_server_that_starts_on_a_read_only_disk_writes_as_soon_as_the_disk_does(tmp_path):
    """A process's connections share an index of the WAL. Once read-only, the index stays read-only."""
    folder, log = tmp_path / "disk", tmp_path / "log"
    folder.mkdir()
    with a_small_disk(folder):
        own = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "LOG": str(log), "DEBUG": "true"}
        environ = set_up("granian", folder, **own)
        with a_session(folder / "granian.sqlite3") as session:
            session.execute("PRAGMA journal_mode = WAL")
            session.execute("CREATE TABLE elsewhere (n)")  # this WAL outlives its writers
            for suffix in ("-wal", "-shm"):
                shutil.copy(folder / f"granian.sqlite3{suffix}", tmp_path / suffix)
        for suffix in ("-wal", "-shm"):
            shutil.move(tmp_path / suffix, folder / f"granian.sqlite3{suffix}")
        sent = bodies()
        with ExitStack() as until_writable:
            until_writable.enter_context(read_only_disk(folder))
            with running("granian", environ) as server:
                assert {answer.status_code for answer in at_once(server, sent)[0]} == {503}
                assert server.ask("GET", "/conversations").status_code == 200
                assert "Not ready: The database's folder" in log.read_text()
                until_writable.close()
                assert {
                    answer.status_code for answer in retried(WhileWorkersStart(server), sent)
                } <= {201, 200}  # a worker may end before its answer is read
                assert is_ready_again(server)


@pytest.mark.by_hand("needs root, a loop device, ext4, and an error of the disk on purpose")
def test_a_disk_that_the_kernel_has_made_read_only_is_not_ready(tmp_path):
    """After an error of ext4 the files can still be opened for writing, and each write fails."""
    folder, image = tmp_path / "disk", tmp_path / "image"
    folder.mkdir()
    subprocess.run(["truncate", "-s", "100M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    mount = ["mount", "-o", "loop,errors=remount-ro", str(image), str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        missing("mounting an image is not allowed here")
    try:
        own = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "LOG": str(tmp_path / "log")}
        with serving("granian", folder, **own) as server:
            assert server.post(bodies(1)[0]).status_code == 201
            device = Path(os.path.realpath(f"/sys/dev/block/{device_of(folder)}")).name
            Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")
            until = time.monotonic() + PATIENCE
            while (answer := server.ask("GET", "/readyz")).status_code == 200:
                assert time.monotonic() < until
            assert [each["code"] for each in answer.json()["errors"]] == ["database_read_only"]
            assert server.ask("GET", "/conversations").status_code == 200
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def device_of(path):
    device = path.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"
