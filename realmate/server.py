"""The production server: `python -m realmate.server`, and `--check` before a reload.

The settings were chosen by measurement. Any GRANIAN_* variable of the environment or the env file wins over them; `granian --help` has all.
"""

import os
import re
import shutil
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from granian.cli import cli

from realmate import environment, stopping

if TYPE_CHECKING:
    from chat.database.readiness import Fault

SETTINGS = {
    # The address where the server listens: an IP address, no name. The proxy connects to it.
    "GRANIAN_HOST": "127.0.0.1",
    "GRANIAN_PORT": "8000",
    # A Unix socket instead of the address and the port: the path of the socket, in an existing folder.
    "GRANIAN_UDS": "",
    # Users allowed to connect to the Unix socket, in octal with its leading zero. 0660: the server's
    # user and the group of the socket. The proxy's user must be in this group.
    "GRANIAN_UDS_PERMISSIONS": "0660",
    # Processes. Each has its own memory, and its own room for large bodies.
    "GRANIAN_WORKERS": "2",
    # Threads of a process, made when they are needed, and requests served by a process at one time.
    # A slow client holds one of each. Keep the two equal, and more than the proxy's connections.
    "GRANIAN_BLOCKING_THREADS": "128",
    "GRANIAN_BACKPRESSURE": "128",
}
# An operator has no reason to change these.
FIXED = {
    "GRANIAN_INTERFACE": "wsgi",
    # A killed worker is replaced. A worker that does not stop is killed after these seconds.
    "GRANIAN_RESPAWN_FAILED_WORKERS": "true",
    "GRANIAN_WORKERS_KILL_TIMEOUT": str(stopping.SECONDS_TO_END),
    # The server writes log lines in the format of the application.
    "GRANIAN_LOG_CONFIG": str(Path(__file__).with_name("server_log.json")),
}
# In memory, if the machine has this folder. The counters are mapped files. The kernel kills a process
# that writes to a mapped file on a full disk: the client gets no answer instead of a 503.
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made here is private
HERE = Path(__file__).resolve().parent.parent / ".metrics"
METRICS = MEMORY / f"realmate-{os.getuid()}" if MEMORY.is_dir() else HERE


def main(application: str = "realmate.wsgi:application") -> None:
    read_the_env_file()
    os.umask(0o077)
    environ = FIXED | SETTINGS | os.environ
    refuse_wrong_settings()
    make_folder_of_our_own(METRICS)
    with ExitStack() as locks:  # kept open, here and in the workers, until all of them end
        place = take_the_place(environ, locks)
        environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters_for(environ, place))
        environ[environment.STARTED_AT] = str(time.time())
        os.environ.update(environ)
        let_workers_stop()
        os.register_at_fork(after_in_child=stopping.watch_signals)
        cli([application], auto_envvar_prefix="GRANIAN")


def check(application: str = "realmate.wsgi:application") -> None:
    """Say in one line whether workers of this code could serve, and exit with 1 if not.

    Loads the application as a worker does, and makes the checks of /readyz. Writes nothing: the
    counters of this process go into a temporary folder.
    """
    read_the_env_file()
    with TemporaryDirectory() as counters:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        try:
            wrong = " ".join(fault.detail for fault in faults_of(application))
        except Exception as error:  # broken code raises anything
            cause = broken_code_behind(error)
            wrong = f"{type(cause).__name__}: {cause}"
    if wrong:
        sys.exit(f"Not fit to serve. {' '.join(wrong.split())}")
    print("Fit to serve.")


def broken_code_behind(error: BaseException) -> BaseException:
    """Return the error of broken code behind one of logging or Django, which names no file. Or the error.

    No other cause is shown, because it may quote a setting.
    """
    cause = error
    while cause.__cause__:
        cause = cause.__cause__
    return cause if isinstance(cause, SyntaxError | ImportError) else error


def faults_of(application: str) -> "list[Fault]":
    """Load the application. Return the reasons why it could not take events."""
    module, _, name = application.partition(":")
    getattr(import_module(module), name)
    probes = import_module("chat.api.probes")
    return [*probes.readiness.faults(), *probes.faults_of_the_static_files()]


def read_the_env_file() -> None:
    """Load the env file before granian reads its GRANIAN_* variables. Exit if the file is unreadable."""
    os.environ[environment.SERVES] = "true"
    try:
        environment.load()
    except ImproperlyConfigured as error:
        sys.exit(str(error))


def refuse_wrong_settings() -> None:
    """Exit with one line if the settings are wrong. Otherwise each worker would leave a traceback.

    A child process reads the settings. A module loaded here would stay as old as the server: a
    reload forks new workers, and does not read the module again.
    """
    child = os.fork()
    if child == 0:
        try:
            import_module(os.environ.get("DJANGO_SETTINGS_MODULE", "realmate.settings"))
        except ImproperlyConfigured as error:
            print(" ".join(str(error).split()), file=sys.stderr, flush=True)
            os._exit(1)
        finally:  # after a bug too: the workers say where
            os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(1)


def make_folder_of_our_own(folder: Path) -> None:
    """Make the folder. Exit unless an existing one belongs to this user alone, with no rights for others."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        sys.exit(f"Not started. {folder} must be a folder of this user alone, with mode 0700.")


def take_the_place(environ: dict[str, str], locks: ExitStack) -> str:
    """Lock the address or the socket, and return its name. Exit if somebody else listens there."""
    if path := environ["GRANIAN_UDS"]:
        refuse_unclear_permissions(environ["GRANIAN_UDS_PERMISSIONS"])
        path = str(Path(path).resolve())
        lock(path, LOCK_EX, locks, place=path)
        refuse_a_taken_socket(path)
        return path
    host, port = environ["GRANIAN_HOST"], environ["GRANIAN_PORT"]
    place = address_of(host, port)
    for name, kind in locks_of(host, port):
        lock(name, kind, locks, place=place)
    refuse_a_taken_port(host, port)
    return place


def address_of(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def locks_of(host: str, port: str) -> Iterator[tuple[str, int]]:
    """Yield the names and the kinds of the locks for an address.

    0.0.0.0 and :: are all addresses, so they exclude every server on the port: :: listens on IPv4 too.
    A single address excludes only a server on the same address.
    """
    try:
        address = ip_address(host)
    except ValueError:
        sys.exit(f"Not started. GRANIAN_HOST must be an IP address, not {host}.")
    versions = (4, 6) if host == "::" else (address.version,)
    for version in versions:
        yield f"ipv{version}:{port}", LOCK_EX if address.is_unspecified else LOCK_SH
    yield f"{address}:{port}", LOCK_EX


def lock(name: str, kind: int, locks: ExitStack, *, place: str) -> None:
    """Lock a file of this name. Exit if another server has the lock, even one that has just started."""
    file = locks.enter_context((METRICS / f"{file_name(name)}.lock").open("a"))
    try:
        flock(file, kind | LOCK_NB)
    except BlockingIOError:
        sys.exit(f"Not started. Another server of this user runs on {place}.")


def file_name(place: str) -> str:
    return quote(place, safe=":[]")


def refuse_a_taken_port(host: str, port: str) -> None:
    """Exit if another program listens on the port. granian would share the port: SO_REUSEPORT."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, int(port)), family=family, dualstack_ipv6=host == "::").close()
    except (OSError, OverflowError, ValueError) as error:
        refuse_to_listen(address_of(host, port), error)


def refuse_to_listen(place: str, error: Exception) -> NoReturn:
    reason = getattr(error, "strerror", None) or error
    sys.exit(f"Not started. Cannot listen on {place}: {reason}.")


def refuse_unclear_permissions(permissions: str) -> None:
    """Exit if granian would read the permissions as a decimal number: 660 would be 1224 in octal."""
    if not re.fullmatch("0o?[0-7]{3}", permissions):
        sys.exit("Not started. GRANIAN_UDS_PERMISSIONS must be octal, such as 0660.")


def refuse_a_taken_socket(path: str) -> None:
    """Exit if a server listens on the socket, or none can. Delete the socket of a dead server."""
    try:
        if Path(path).is_socket():
            if somebody_listens_on(path):
                sys.exit(f"Not started. Another server listens on {path}.")
            Path(path).unlink()
        with socket.socket(socket.AF_UNIX) as probe:
            probe.bind(path)
        Path(path).unlink()
    except OSError as error:
        refuse_to_listen(path, error)


def somebody_listens_on(path: str) -> bool:
    """Whether a server listens, also with a full queue. Raises OSError if this user may not connect."""
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        try:
            client.connect(path)
        except BlockingIOError:
            return True
        except ConnectionRefusedError:
            return False
    return True


def counters_for(environ: dict[str, str], place: str) -> Path:
    """Return the folder of the workers' counters. Exit if the folder cannot be written to.

    Other servers may use a folder named by the operator, so only files of dead processes are deleted.
    """
    if not (named := environ.get("PROMETHEUS_MULTIPROC_DIR")):
        return counters_of(place)
    folder = Path(named)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob("*_*.db"):
            delete_if_stale(file)
    except OSError as error:
        sys.exit(f"Not started. Cannot write to {folder}: {error.strerror}.")
    return folder


def delete_if_stale(file: Path) -> None:
    """Delete the counters of an ended process: `counter_123.db`."""
    pid = file.stem.rpartition("_")[2]
    if not pid.isdecimal():
        return
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        file.unlink(missing_ok=True)
    except (PermissionError, OverflowError):
        pass  # a process of another user, or no process id


def counters_of(place: str) -> Path:
    """Return the folder of a locked place, emptied: Prometheus expects an empty one at each start."""
    folder = METRICS / file_name(place)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def let_workers_stop() -> None:
    """Let a stop signal end every worker at once, even before the worker has loaded the application.

    A worker is forked with its parent's signal handlers, and sets its own after loading the
    application. The parent's handler does nothing in the worker, so granian would wait for
    GRANIAN_WORKERS_KILL_TIMEOUT. A loading worker loses no request, because it does not listen yet.

    Ctrl-C reaches the workers too, and their parent then sends SIGTERM. granian's handler hangs
    when a second signal interrupts the first, so SIGINT stays blocked in the workers.
    """
    stops = [signal.SIGINT, signal.SIGTERM]

    def die_of_a_stop() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    os.register_at_fork(
        # A signal between the fork and die_of_a_stop() stays pending until then.
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stops),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stops),
        after_in_child=die_of_a_stop,
    )


if __name__ == "__main__":
    arguments = [each for each in sys.argv[1:] if each != "--check"]
    (check if "--check" in sys.argv else main)(*arguments)
