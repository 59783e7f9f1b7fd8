"""Shared parts of all benches: the production settings and server, and a migrated database."""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from realmate.server import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
# The numbers in production.
PROCESSES, THREADS = (
    int(SETTINGS[name]) for name in ("GRANIAN_WORKERS", "GRANIAN_BLOCKING_THREADS")
)
MANAGE = [sys.executable, ROOT / "manage.py"]


def need_wrk(parser: argparse.ArgumentParser) -> None:
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed (Debian: apt-get install wrk)")


def environment(database_url: str) -> dict[str, str]:
    """Return the environment of `make serve`, open to this machine only."""
    others = {name: os.environ[name] for name in os.environ if not name.startswith("WEBHOOK_")}
    return others | {
        "REALMATE_ENV_FILE": "",
        "DATABASE_URL": database_url,
        "SECRET_KEY": "only for a bench, and never for a server on a public network",
        "ALLOWED_HOSTS": "127.0.0.1",
        "WEBHOOK_ALLOW_UNSIGNED": "true",
        "SECURE_SSL_REDIRECT": "false",
    }


def manage(*arguments: str, database_url: str) -> None:
    """Run a command of manage.py. The output goes to stderr, because stdout is for figures."""
    command = [*MANAGE, *arguments]
    subprocess.run(command, env=environment(database_url), check=True, stdout=sys.stderr)


def log_in(database_url: str) -> str:
    """Log a user in, and return the cookie."""
    command = [*MANAGE, "shell", "--no-imports", "-c", LOG_IN]
    cookie = subprocess.check_output(command, env=environment(database_url), text=True).strip()
    return f"sessionid={cookie}"


LOG_IN = """
from chat.models import User
from django.test import Client
client = Client()
ana = User.objects.get_or_create(username="ana")[0]
client.force_login(ana, backend="chat.logins.Passwords")  # as a password does
print(client.cookies["sessionid"].value)
"""


def set_up(database_url: str) -> None:
    manage("migrate", "-v0", database_url=database_url)
    manage("collectstatic", "--noinput", "-v0", database_url=database_url)


@dataclass(frozen=True)
class Service:
    """A server of the application on this machine."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory_mib(self) -> float:
        """Return the resident memory of the largest worker."""
        pid = self.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        sizes = [Path(f"/proc/{worker}/status").read_text() for worker in workers]
        return max(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) for text in sizes) / 1024  # type: ignore[index]


@contextmanager
def serving(
    database_url: str,
    *,
    command: str = "realmate.server realmate.wsgi:application",
    settings: str = "realmate.settings",
    processes: int = PROCESSES,
    threads: int = THREADS,
) -> Iterator[Service]:
    """Run the production server on a free port, as `make serve` does, in a process of its own.

    `command` names another server: the words after `python -m`, with {port} for the port.
    """
    port = free_port()
    with TemporaryDirectory() as metrics:
        chosen = {
            "GRANIAN_PORT": str(port),
            "GRANIAN_WORKERS": str(processes),
            "GRANIAN_BLOCKING_THREADS": str(threads),
            "GRANIAN_LOG_LEVEL": "error",
            "PROMETHEUS_MULTIPROC_DIR": metrics,
            "DJANGO_SETTINGS_MODULE": settings,
        }
        started = [sys.executable, "-m", *command.format(port=port).split()]
        process = subprocess.Popen(started, cwd=ROOT, env=environment(database_url) | chosen)
        try:
            wait_for(port)
            yield Service(port, process)
        finally:
            process.terminate()
            process.wait(timeout=40)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Wait for any answer, because the application of the floor has no /healthz."""
    for _ in range(150):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"nothing answers on port {port}")
