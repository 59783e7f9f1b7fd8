"""Compare production servers: speed, slow clients, chunked bodies, and a stop under load.

    .venv/bin/python -m bench.servers [--seconds 6] [--slow 50]

Each server runs the whole application on a new SQLite file, under messages from sixteen
connections. Then many clients send a body byte by byte, while one client sends whole bodies. Skips
servers that are not installed: `.venv/bin/pip install gunicorn waitress` adds two. The project
itself does not need these two. Needs wrk.
"""

import argparse
import importlib.util
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench import webhook
from bench.report import Figure, table
from bench.service import Service, need_wrk, serving, set_up

GRANIAN = "realmate.server realmate.wsgi:application"
GUNICORN = "gunicorn -k gthread -w2 --threads 64 -b 127.0.0.1:{port} realmate.wsgi:application"
WAITRESS = "waitress --threads=64 --listen=127.0.0.1:{port} realmate.wsgi:application"
# Commands by name, with processes and threads. Only granian reads these two from outside the command.
SERVERS = {
    "granian, 2 × 1": (GRANIAN, 2, 1),
    "granian, 2 × 16": (GRANIAN, 2, 16),
    "granian, 2 × 64": (GRANIAN, 2, 64),
    "granian, 2 × 128": (GRANIAN, 2, 128),
    "granian, 1 × 128": (GRANIAN, 1, 128),
    "gunicorn gthread, 2 × 64": (GUNICORN, 2, 64),
    "waitress, 1 × 64": (WAITRESS, 1, 64),
}


def main() -> None:
    options = parse_options()
    print(table(figure for name in installed() for figure in figures(name, options)))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--slow", type=int, default=50, help="clients that send byte by byte")
    need_wrk(parser)
    return parser.parse_args()


def installed() -> Iterator[str]:
    for name, (command, *_) in SERVERS.items():
        if importlib.util.find_spec(command.split()[0]) is None:
            print(f"{name}: not installed", file=sys.stderr)
        else:
            yield name


def figures(name: str, options: argparse.Namespace) -> Iterator[Figure]:
    command, processes, threads = SERVERS[name]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.sqlite3'}"
        set_up(url)
        with serving(url, command=command, processes=processes, threads=threads) as service:
            webhook.open_conversations(service.address)
            load = webhook.wrk(service.address, 16, options.seconds)
            yield Figure(
                name,
                f"{load['answered'] / load['seconds']:,.0f}/s; "
                f"p99 {load['p99_ms']:.0f}, max {load['max_ms']:.0f} ms",
            )
            chunked = status_of(service.port, iter([message()]))
            yield Figure("- a chunked body", f"status {chunked}")
            with dripping(service.port, options.slow):
                answered = seconds_to_answer(service.port)
            yield Figure(f"- beside {options.slow} slow clients", answered)
            yield Figure("- when it is stopped", stopped_under_load(service))


def message() -> bytes:
    data = {
        "id": str(uuid4()),
        "direction": "SENT",
        "content": "Olá",
        "conversation_id": f"00000000-0000-4000-8000-{1:012x}",
    }
    event = {"type": "NEW_MESSAGE", "timestamp": "2025-02-21T10:20:42", "data": data}
    return json.dumps(event).encode()


def status_of(port: int, body: Any) -> int:
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("POST", "/webhook/", body, {"Content-Type": "application/json"})
        return connection.getresponse().status


@contextmanager
def dripping(port: int, clients: int) -> Iterator[None]:
    """Connect slow clients. Each has sent its headers, and sends a byte of its body every half second."""
    body = message()
    head = (
        "POST /webhook/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    stop = threading.Event()

    def drip(connections: list[socket.socket]) -> None:
        for byte in body[:-1]:
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(bytes([byte]))
            if stop.wait(0.5):
                return

    with ExitStack() as opened:
        connections = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(clients)
        ]
        for connection in connections:
            connection.sendall(head.encode())
        drips = threading.Thread(target=drip, args=[connections])
        drips.start()
        try:
            time.sleep(1)
            yield
        finally:
            stop.set()
            drips.join()


def seconds_to_answer(port: int) -> str:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        try:
            assert status_of(port, message()) == 201
        except OSError:
            return "not answered in 10 s"
        times.append(time.perf_counter() - started)
    return f"{statistics.median(times) * 1e3:.0f} ms, at most {max(times) * 1e3:.0f}"


def stopped_under_load(service: Service) -> str:
    """Stop the server under load. A broken request was accepted and got no answer."""
    outcomes: list[str] = []

    def send() -> None:
        while not outcomes.count("refused"):
            try:
                status_of(service.port, message())
                outcomes.append("answered")
            except ConnectionRefusedError:
                outcomes.append("refused")
            except (OSError, HTTPException):
                outcomes.append("broken")

    with ThreadPoolExecutor(8) as senders:
        for _ in range(8):
            senders.submit(send)
        time.sleep(1)
        service.process.terminate()
        started = time.perf_counter()
        with suppress(subprocess.TimeoutExpired):
            service.process.wait(20)
        took = time.perf_counter() - started
        outcomes.append("refused")
    return f"ends in {took:.1f} s, {outcomes.count('broken')} of {len(outcomes)} requests broken"


if __name__ == "__main__":
    main()
