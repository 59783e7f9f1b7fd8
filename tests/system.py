"""Questions to the operating system about a server, and answers forced for a test."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.missing import missing


@contextmanager
def strace(pids: Iterable[int], *options: str, log: Path) -> Iterator[None]:
    """Log the processes' system calls into a file, or let calls fail on purpose."""
    if shutil.which("strace") is None:
        missing("no strace on this machine (Debian: apt-get install strace)")
    attached = [option for pid in pids for option in ("-p", str(pid))]
    with subprocess.Popen(
        ["strace", "-f", *options, "-o", str(log), *attached], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for _ in range(len(attached) // 2):
                line = process.stderr.readline()
                assert "attached" in line, line
            yield
        finally:
            process.terminate()
            process.communicate()
