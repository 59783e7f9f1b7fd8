"""A PostgreSQL server for one test run, which tests may stop, freeze and fill.

`python -m tests.clusters COMMAND` runs a command with a server for each process of the tests. A test may then
wait for all transactions of its server, and need not run alone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import psycopg

from tests.__main__ import PROCESSES
from tests.missing import missing
from tests.servers import free_port

# The URLs of the servers, one for each process of the tests. tests/settings.py chooses.
SERVERS = "TEST_SERVERS"


@dataclass(frozen=True)
class Cluster:
    folder: Path
    port: int
    # On a full disk, autovacuum would free room for a few more rows.
    autovacuum: str = "off"

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def execute(self, *statements: str) -> None:
        with closing(psycopg.connect(self.url, autocommit=True)) as session:
            for statement in statements:
                session.execute(statement)

    def start(self) -> None:
        # No test cuts the power.
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
            f" -c autovacuum={self.autovacuum} -c fsync=off"
        )
        log = self.folder / "log"
        command("pg_ctl", "start", "-w", "-D", self.data, "-o", options, "-l", log)

    def stop(self, mode: str = "immediate") -> None:
        command("pg_ctl", "stop", "-D", self.data, "-m", mode)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the processes: the kernel still accepts connections, and nothing answers."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        pids = [postmaster, *map(int, children)]
        for pid in pids:
            os.kill(pid, SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, SIGCONT)

    @contextmanager
    def followed(self) -> Iterator["Cluster"]:
        """Start a standby of this server. The standby is read-only until its promotion."""
        standby = Cluster(self.folder / "standby", free_port())
        copy = ("--checkpoint=fast", "--no-sync", "--write-recovery-conf")
        command("pg_basebackup", "-d", self.url, "-D", standby.data, *copy)
        standby.start()
        try:
            yield standby
        finally:
            standby.stop()

    def promote(self) -> None:
        command("pg_ctl", "promote", "-w", "-D", self.data)

    @property
    def data(self) -> Path:
        return self.folder / "data"


@contextmanager
def a_cluster(**options: str) -> Iterator[Cluster]:
    """Run a server, and afterwards remove the server with all its files."""
    folder = Path(tempfile.mkdtemp(prefix="realmate-postgresql-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")  # PostgreSQL refuses to be run by root
    cluster = Cluster(folder, free_port(), **options)
    try:
        command("initdb", "-D", cluster.data, "-U", "postgres", "-A", "trust", "--no-sync")
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)


def command(name: str, *arguments: object) -> None:
    path = shutil.which(name) or max(
        map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None
    )
    if path is None:
        missing(f"no {name} on this machine (Debian: apt-get install postgresql)")
    subprocess.run(
        [path, *map(str, arguments)],
        user="postgres" if os.geteuid() == 0 else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def main(command: list[str]) -> int:
    with ExitStack() as stack:
        clusters = [
            stack.enter_context(a_cluster(autovacuum="on")) for _ in range(int(PROCESSES) or 1)
        ]
        environ = {
            "DATABASE_URL": clusters[0].url,
            SERVERS: " ".join(each.url for each in clusters),
        }
        return subprocess.call(command, env=os.environ | environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
