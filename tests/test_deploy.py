"""The proxy files of deploy/: their promises, and the Debian packages, which keep the promises.

The quick tests read the files. `make proofs` runs the packages: apt-get install nginx-light haproxy caddy.
"""

import json
import re
import socket
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from tests.conftest import make_event
from tests.proxies import HOST, PROXIES, fronting
from tests.servers import ROOT, serving
from tests.test_headers import BEHIND

by_hand = pytest.mark.by_hand("needs the Debian packages of three proxies")

# The lines required in each file, by their purpose.
PROMISES = {
    "nginx.conf": {
        "speaks TLS 1.2 and later": r"ssl_protocols TLSv1\.2 TLSv1\.3;",
        "drops names with an underscore": r"underscores_in_headers off;",
        "overwrites the client's claim": r"proxy_set_header X-Forwarded-For \$remote_addr;",
        "says whether it was https": r"proxy_set_header X-Forwarded-Proto \$scheme;",
        "keeps the port": r"proxy_set_header Host \$http_host;",
        "ends slow headers": r"client_header_timeout 10s;",
        "ends silent bodies": r"client_body_timeout 10s;",
        "has recommended ciphers": r"ssl_ciphers (ECDHE-[\w-]+:?)+;",
        "ends silent readers": r"send_timeout 30s;",
        "limits bodies": r"client_max_body_size 4m;",
        "limits connections": r"limit_conn clients 100;",
        "limits logins": r"limit_req zone=logins burst=10 nodelay;",
        "holds bodies back": r"proxy_request_buffering on;",
        "waits longer than 25 s": r"proxy_read_timeout 60s;",
        "logs no query": r"access_log \S+ no_query;",
    },
    "haproxy.cfg": {
        "speaks TLS 1.2 and later": r"ssl-default-bind-options ssl-min-ver TLSv1\.2",
        "has recommended ciphers": r"ssl-default-bind-ciphers (ECDHE-[\w-]+:?)+\n",
        "drops names with an underscore": r"option http-restrict-req-hdr-names delete",
        "overwrites the client's claim": r"http-request set-header X-Forwarded-For %\[src\]",
        "says whether it was https": r"http-request set-header X-Forwarded-Proto https",
        "ends slow headers": r"timeout http-request 10s",
        "ends silent bodies and readers": r"timeout client 30s",
        "limits bodies": r"http-request return status 413 .* \{ req.hdr_val\(content-length\) gt 4194304 \}",
        "limits connections": r"reject if \{ sc_conn_cur\(0\) gt 100 \}",
        "limits logins": r"deny_status 429 if login \{ method POST \} \{ sc_http_req_rate\(1\) gt 20 \}",
        "holds bodies back": r"http-request wait-for-body time 10s",
        "waits longer than 25 s": r"timeout server 60s",
        "logs no query": r"%HM %HPO",
    },
    "Caddyfile": {
        "drops names with an underscore": r"request_header -\*_\*",
        "ends slow headers": r"read_header 10s",
        "ends slow bodies": r"read_body 60s",
        "ends slow readers": r"write 10m",
        "limits bodies": r"int\(\{http.request.header.Content-Length\}\) > 4194304",
        "limits logins": r"import realmate 4",
        "holds bodies back": r"buffer_requests",
        "waits longer than 25 s": r"response_header_timeout 60s",
        "logs no query": r'request>uri regexp \\\?\.\* ""',
    },
}
each_promise = pytest.mark.parametrize(
    ("file", "promise"), [(file, promise) for file in PROMISES for promise in PROMISES[file]]
)


@each_promise
def test_a_shipped_file_has_its_promised_line(file, promise):
    lines = (ROOT / "deploy" / file).read_text().splitlines()
    active = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    assert re.search(PROMISES[file][promise], active)


@pytest.mark.parametrize(
    "file",
    ["docs/operations.md", "docs/reference.pt-BR.md", "docs/install.md", "SECURITY.md"],
)
def test_the_documents_lead_to_the_shipped_files(file):
    assert "deploy/nginx.conf" in (ROOT / file).read_text()


# With the packages


class Echo(BaseHTTPRequestHandler):
    """Answers with the request's headers, by their WSGI names, and keeps the paths."""

    protocol_version = "HTTP/1.1"
    paths: list[str] = []

    def do_GET(self):
        self.paths.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        named = [(name.upper().replace("-", "_"), value) for name, value in self.headers.items()]
        body = json.dumps(named).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.do_GET()

    def do_GGET(self):
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def echo():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request, echo, tmp_path_factory):
    """A proxy in front of a server that answers with the headers of each request."""
    with fronting(request.param, tmp_path_factory.mktemp(request.param), echo) as running:
        yield running


@pytest.fixture(scope="module", params=PROXIES)
def realmate(request, tmp_path_factory):
    """A proxy in front of the production server."""
    folder = tmp_path_factory.mktemp(request.param)
    given = {name: value for name, value in BEHIND.items() if name != "WEBHOOK_SECRETS"}
    given |= {"TRUSTED_PROXIES": "127.0.0.1", "WEBHOOK_ALLOW_UNSIGNED": "true"}
    with (
        serving("granian", folder, **given) as server,
        fronting(request.param, folder, server.port) as running,
    ):
        yield running


def values(answer, name):
    return [value for found, value in json.loads(answer.content) if found == name]


CLAIMS = ["X-Forwarded-For", "X_Forwarded_For", "x_forwarded-for", "X-Forwarded_For"]


@by_hand
@pytest.mark.parametrize("claim", CLAIMS)
def test_no_client_chooses_its_address(proxy, claim):
    answer = proxy.ask("GET", "/", source="127.0.0.7", **{claim: "198.51.100.1"})
    assert values(answer, "X_FORWARDED_FOR") == ["127.0.0.7"]


@by_hand
@pytest.mark.parametrize("claim", [name.replace("For", "Proto") for name in CLAIMS[:2]])
def test_no_client_chooses_its_scheme(proxy, claim):
    assert values(proxy.ask("GET", "/", **{claim: "http"}), "X_FORWARDED_PROTO") == ["https"]


@by_hand
def test_no_name_with_an_underscore_passes_and_others_do(proxy):
    given = {"Webhook_Id": "forged", "a_b": "1", "_": "2", "Webhook-Id": "kept"}
    answer = proxy.ask("GET", "/", **given)
    assert values(answer, "WEBHOOK_ID") == ["kept"]
    assert values(answer, "A_B") == values(answer, "_") == []


@by_hand
def test_host_passes_with_its_port(proxy):
    assert values(proxy.ask("GET", "/"), "HOST") == [f"{HOST}:{proxy.https}"]


@by_hand
def test_pages_lead_to_https_and_posts_are_refused(proxy):
    answer = proxy.ask_plainly("GET", "/ui/?x=1")
    assert (answer.status_code, answer["Location"]) == (301, f"https://{HOST}/ui/?x=1")
    assert proxy.ask_plainly("POST", "/webhook/").status_code == 403


UNCLEAR = {
    "both": "Content-Length: 6\r\nTransfer-Encoding: chunked",
    "both, the other way": "Transfer-Encoding: chunked\r\nContent-Length: 6",
    "two lengths": "Content-Length: 5\r\nContent-Length: 6",
    "a list of lengths": "Content-Length: 5, 6",
    "a space before the colon": "Content-Length: 6\r\nTransfer-Encoding : chunked",
    "a folded header": "Content-Length: 6\r\nTransfer-Encoding:\r\n chunked",
    "a vertical tab": "Content-Length: 6\r\nTransfer-Encoding:\x0bchunked",
    "not chunked at last": "Content-Length: 6\r\nTransfer-Encoding: chunked, identity",
    "an underscore": "Content-Length: 6\r\nTransfer_Encoding: chunked",
    "a sign": "Content-Length: +6",
}


@by_hand
@pytest.mark.parametrize("unclear", UNCLEAR)
def test_a_request_whose_end_is_unclear_hides_no_other(proxy, unclear):
    hidden = f"/hidden/{uuid4()}"
    head = f"POST /seen HTTP/1.1\r\nHost: {HOST}\r\n{UNCLEAR[unclear]}\r\n\r\n"
    rest = f"GET {hidden} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    with proxy.connected() as connection:
        connection.settimeout(15)
        # By its length the body ends after G, by its chunks before G.
        connection.sendall(f"{head}0\r\n\r\nG{rest}{rest}".encode())
        with suppress(OSError):
            while connection.recv(65_536):
                pass
    assert proxy.ask("GET", "/last").status_code == 200
    assert Echo.paths.count(hidden) <= proxy.log.read_text().count(hidden)


@by_hand
def test_a_cipher_without_forward_secrecy_is_refused(proxy):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256:AES128-SHA")
    address = ("127.0.0.1", proxy.https)
    with socket.create_connection(address, 30) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname=HOST)


@by_hand
def test_the_log_has_paths_and_no_queries(proxy):
    proxy.ask("GET", "/ui/search/?q=segredo", Referer=f"https://{HOST}/ui/?q=segredo")
    proxy.ask("GET", "/last")
    said = proxy.log.read_text()
    assert "/ui/search/" in said
    assert "segredo" not in said


@by_hand
@pytest.mark.parametrize("path", ["/ui/login/", "/ui/login", "/admin/login/", "/ui/%6cogin/"])
def test_logins_of_an_address_are_limited_and_those_of_others_are_not(proxy, path):
    if proxy.log.parent.name.startswith("caddy"):
        pytest.xfail("Debian's Caddy has no rate limit")
    source = f"127.0.1.{len(path)}"
    answers = [proxy.ask("POST", path, b"x", source=source).status_code for _ in range(30)]
    assert answers[:10] == [200] * 10
    assert answers[-1] == 429
    assert proxy.ask("GET", path, source=source).status_code == 200
    assert proxy.ask("POST", path, b"x", source="127.0.2.1").status_code == 200


@by_hand
def test_a_sender_and_a_reader_get_their_answers(realmate):
    event = make_event("NEW_CONVERSATION", id=str(uuid4()))
    assert realmate.ask("POST", "/webhook/", json.dumps(event)).status_code == 201
    assert realmate.ask("GET", "/ui/")["Location"] == "/ui/login/?next=/ui/"


@by_hand
def test_a_body_of_four_mib_passes_and_a_larger_one_is_413(realmate):
    most = 4 * 1024 * 1024
    event = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).ljust(most)
    assert realmate.ask("POST", "/webhook/", event).status_code == 201
    answer = realmate.ask_before_the_body("/webhook/", size=most + 1)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json().keys() >= {"type", "title", "status", "detail"}


@by_hand
def test_a_chunked_body_passes(realmate):
    event = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()
    assert realmate.ask("POST", "/webhook/", iter([event[:9], event[9:]])).status_code == 201


@by_hand
def test_a_chunked_body_over_the_limit_is_never_accepted(realmate):
    event = json.dumps(make_event("NEW_CONVERSATION", id=str(uuid4()))).encode()
    body = iter([event, *[b" " * 65_536] * 100])
    assert realmate.ask("POST", "/webhook/", body).status_code in {400, 413}
