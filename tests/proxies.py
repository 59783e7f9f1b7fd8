"""The proxies of deploy/, as Debian packages them, on ports and paths of a test."""

import getpass
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from tests.missing import missing
from tests.servers import ROOT, Answer, answer_of, free_port

HOST = "inbox.example"
CERTIFICATE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=inbox.example"
    " -keyout privkey.pem -out fullchain.pem"
)


@dataclass(frozen=True)
class Proxy:
    """A running proxy on the loopback interface."""

    http: int
    https: int
    log: Path

    def connected(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Return a connection by TLS. `source` is the client's address, anything in 127.0.0.0/8."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = socket.create_connection(("127.0.0.1", self.https), 30, (source, 0))
        # Otherwise a body in a second packet would wait 40 ms for the ACK of the head.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(raw, server_hostname=HOST)

    def ask(self, method, path, body=None, *, source="127.0.0.1", **headers) -> Answer:
        """Return the answer to one request by https. Header names are sent as they are."""
        connection = HTTPConnection("127.0.0.1", self.https, timeout=60)
        connection.sock = self.connected(source)
        try:
            given = {"Host": f"{HOST}:{self.https}", "Content-Type": "application/json"}
            connection.request(method, path, body, given | headers)
            return answer_of(connection.getresponse())
        finally:
            connection.close()

    def ask_before_the_body(self, path: str, *, size: int) -> Answer:
        """Send the head of a request and no byte of the body. Return the answer."""
        with self.connected() as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
            return read_answer(connection, "POST")

    def ask_plainly(self, method, path) -> Answer:
        """Return the answer to one request by plain http."""
        with socket.create_connection(("127.0.0.1", self.http), 30) as plain:
            plain.sendall(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            return read_answer(plain, method)


def read_answer(connection: socket.socket, method: str) -> Answer:
    response = HTTPResponse(connection, method=method)
    response.begin()
    return answer_of(response)


def nginx(text: str, proxy: Proxy, folder: Path) -> str:
    text = re.sub(r"listen \[::\].*", "", text)
    text = text.replace("user www-data", f"user {getpass.getuser()}")
    text = text.replace("/run/nginx.pid", f"{folder}/pid").replace("/var/log/nginx", str(folder))
    text = text.replace("/etc/ssl/realmate", str(folder))
    text = text.replace("access.log", proxy.log.name)
    return text.replace("listen 80", f"listen 127.0.0.1:{proxy.http}").replace(
        "listen 443", f"listen 127.0.0.1:{proxy.https}"
    )


def haproxy(text: str, proxy: Proxy, folder: Path) -> str:
    text = re.sub(r"\n    (user|group) haproxy", "", text)
    text = text.replace("log /dev/log local0", "log stdout format raw local0")
    text = text.replace("/etc/ssl/realmate", str(folder))
    return text.replace(":80\n", f"127.0.0.1:{proxy.http}\n").replace(
        ":443 ", f"127.0.0.1:{proxy.https} "
    )


def caddy(text: str, proxy: Proxy, folder: Path) -> str:
    ports = f"admin off\n\thttp_port {proxy.http}\n\thttps_port {proxy.https}\n"
    text = text.replace("\n{\n", f"\n{{\n\t{ports}", 1)
    certificate = f"\ttls {folder}/fullchain.pem {folder}/privkey.pem\n"
    return text.replace(f"\n{HOST} {{\n", f"\n{HOST} {{\n{certificate}")


# The shipped file, its changes for a test, and the commands to check and run the file.
PROXIES = {
    "nginx": ("nginx.conf", nginx, "nginx -t -c", "nginx -g daemon\\soff; -c"),
    "haproxy": ("haproxy.cfg", haproxy, "haproxy -c -f", "haproxy -db -f"),
    "caddy": (
        "Caddyfile",
        caddy,
        "caddy validate --adapter caddyfile --config",
        "caddy run --adapter caddyfile --config",
    ),
}


@contextmanager
def fronting(name: str, folder: Path, port: int, *, socket: str = "") -> Iterator[Proxy]:
    """Run a shipped proxy in front of the server on a port, or nginx on a Unix socket, after the proxy's own check of the file."""
    if shutil.which(name) is None:
        missing(f"no {name} on this machine (Debian: apt-get install nginx-light haproxy caddy)")
    file, adapt, check, run = PROXIES[name]
    proxy = Proxy(free_port(), free_port(), folder / "proxy.log")
    subprocess.run(CERTIFICATE.split(), cwd=folder, check=True, capture_output=True)
    both = (folder / "fullchain.pem").read_text() + (folder / "privkey.pem").read_text()
    (folder / "haproxy.pem").write_text(both)
    text = (ROOT / "deploy" / file).read_text()
    place = f"unix:{socket}" if socket else f"127.0.0.1:{port}"
    text = text.replace("127.0.0.1:8000", place)
    written = folder / file
    written.write_text(adapt(text, proxy, folder))
    subprocess.run([*check.split(), written], check=True, capture_output=True)
    command = [word.replace("\\s", " ") for word in run.split()]
    environ = os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (
        proxy.log.open("ab") as log,
        subprocess.Popen([*command, written], stdout=log, stderr=log, env=environ) as process,
    ):
        try:
            wait_for(proxy, process)
            yield proxy
        finally:
            process.terminate()


def wait_for(proxy: Proxy, process: subprocess.Popen, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            proxy.connected().close()
        except OSError:
            assert process.poll() is None, proxy.log.read_text()
            assert time.monotonic() < deadline, "the proxy did not start"
            time.sleep(0.1)
        else:
            return
