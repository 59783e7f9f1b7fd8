"""A request as a trusted proxy reports it: the client's address, and http or https."""

import logging
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Lock
from typing import Any

logger = logging.getLogger(__name__)

FOR, PROTO = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"
UNKNOWN = "unknown"
# The name of a peer on a Unix socket, because it has no address. The socket's permissions protect it.
UNIX = "unix"
WITH_PORT = re.compile(r"\[([^]]*)\](?::[0-9]*)?|([0-9.]+):[0-9]*")

Application = Callable[[dict[str, Any], Any], Any]


def behind_proxies(application: Application, trusted: list[str]) -> Application:
    """Return the application with REMOTE_ADDR and the scheme as trusted proxies report them.

    REMOTE_ADDR is a plain address, or "" where the proxy does not know the client's.
    """
    # Here, because the settings need this module, and granian takes a tenth of a second to load.
    from granian.utils.proxies import wrap_wsgi_with_proxy_headers

    networks = networks_of(trusted)
    with_granian = wrap_wsgi_with_proxy_headers(with_plain_address(application), trusted)
    warning = Lock()

    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        peer = environ["REMOTE_ADDR"] = plain(environ.get("REMOTE_ADDR", "")) or UNIX
        if peer in trusted or any(is_in(network, peer) for network in networks):
            normalize(environ)
        elif looks_like_a_proxy(environ, peer) and warning.acquire(blocking=False):
            # The lock is never released, so there is one warning for each process.
            logger.warning(
                "%s sends X-Forwarded headers, which are ignored. If it is your proxy, set"
                " TRUSTED_PROXIES=%s.",
                peer,
                ",".join([*trusted, peer]),
            )
        return with_granian(environ, start_response)

    return wrapped


def networks_of(trusted: list[str]) -> list[IPv4Network | IPv6Network]:
    """Return the networks of TRUSTED_PROXIES without `unix`. Raises ValueError for anything else."""
    return [ip_network(each) for each in trusted if each != UNIX]


def is_in(network: IPv4Network | IPv6Network, peer: str) -> bool:
    return peer != UNIX and ip_address(peer) in network


def with_plain_address(application: Application) -> Application:
    """Return the application with "" for a REMOTE_ADDR that is not an address."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Any:
        environ["REMOTE_ADDR"] = plain(environ["REMOTE_ADDR"])
        return application(environ, start_response)

    return wrapped


def normalize(environ: dict[str, Any]) -> None:
    """Write the two headers as granian reads them: plain addresses, and one scheme in lower case.

    An entry without an address becomes "unknown" and keeps its place. If it were dropped, the entry
    to the left would count, although this is only the client's claim.
    """
    if FOR in environ:
        environ[FOR] = ", ".join(plain(entry) or UNKNOWN for entry in environ[FOR].split(","))
    if PROTO in environ:
        # The nearest proxy has written the last word.
        environ[PROTO] = environ[PROTO].rpartition(",")[2].strip().lower()


def plain(text: str) -> str:
    """Return the address in `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`, else "".

    An IPv4 address inside an IPv6 address is the IPv4 address. A zone (`%eth0`) is dropped, because
    a client could invent any number of zones.
    """
    text = text.strip().strip('"')
    if match := WITH_PORT.fullmatch(text):
        text = match[1] or match[2] or ""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def looks_like_a_proxy(environ: dict[str, Any], peer: str) -> bool:
    """Whether the request has X-Forwarded headers and comes from this machine or a private network."""
    is_near = peer == UNIX or not ip_address(peer).is_global
    return is_near and bool({FOR, PROTO} & environ.keys())
