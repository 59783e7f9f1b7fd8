"""The two schemes for signing deliveries. Knows bytes and headers, not requests."""

import hmac
import re
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import NamedTuple
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

Headers = Mapping[str, str]

NO_HEADERS, MALFORMED, TIME_OFF, WRONG = "no_headers", "malformed", "time_off", "wrong_signature"
FAULTS = (NO_HEADERS, MALFORMED, TIME_OFF, WRONG)


class Fault(NamedTuple):
    """The reason to refuse a signature. Only for the operator, because the reason would help an attacker."""

    why: str
    seconds_off: int | None = None  # above 0: the sender's clock is ahead


def configured() -> "Scheme | None":
    """The scheme of WEBHOOK_SCHEME with the secrets of WEBHOOK_SECRETS; None without secrets."""
    secrets = tuple(settings.WEBHOOK_SECRETS)
    return scheme_with(settings.WEBHOOK_SCHEME, secrets) if secrets else None


@cache
def scheme_with(name: str, secrets: tuple[str, ...]) -> "Scheme":
    return SCHEMES[name](secrets)


class Scheme(ABC):
    """A way of signing. Any of its secrets is accepted; the first one signs."""

    @abstractmethod
    def __init__(self, secrets: Sequence[str]) -> None: ...

    @staticmethod
    @abstractmethod
    def complaint(secret: str) -> str:
        """Return the fault of a secret, without quoting the secret; an empty string for a good one."""

    @abstractmethod
    def fault_of_headers(self, headers: Headers) -> "Fault | None":
        """Return why no body could carry these headers, or None if one could. Never raises."""

    @abstractmethod
    def accepts(self, body: bytes, headers: Headers) -> bool:
        """Whether one of the secrets signed this body, compared in constant time. Never raises."""

    @abstractmethod
    def sign(self, body: bytes, *, id: str, at: datetime) -> dict[str, str]:
        """Return the headers of a delivery at this instant."""


class Standard(Scheme):
    """Standard Webhooks (standardwebhooks.com). The signed time may be five minutes off."""

    ENTRY = re.compile(r"v1,[A-Za-z0-9+/]{43}=")
    NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")
    # Neither has a full stop, because full stops separate the signed parts.
    ID = re.compile(r"[!-\-/-~]{1,255}")
    TIMESTAMP = re.compile(r"[0-9]{1,12}")
    TOLERANCE = timedelta(minutes=5)
    SHORTEST_KEY_BYTES = 24

    def __init__(self, secrets: Sequence[str]) -> None:
        self.keys = [base64_of(secret.partition("_")[2]) for secret in secrets]

    @staticmethod
    def complaint(secret: str) -> str:
        prefix, _, key = secret.partition("_")
        if prefix != "whsec":
            return "does not begin with whsec_"
        try:
            size = len(base64_of(key))
        except ValueError:
            return "is not base64 after whsec_"
        shortest = Standard.SHORTEST_KEY_BYTES
        return f"is shorter than {shortest} bytes" if size < shortest else ""

    def fault_of_headers(self, headers: Headers) -> "Fault | None":
        id, timestamp, signature = (headers.get(name, "") for name in self.NAMES)
        if not any(name in headers for name in self.NAMES):
            return Fault(NO_HEADERS)
        if not self.ID.fullmatch(id) or not self.TIMESTAMP.fullmatch(timestamp):
            return Fault(MALFORMED)
        if not any(map(self.ENTRY.fullmatch, signature.split(" "))):
            return Fault(MALFORMED)
        off = int(timestamp) - timezone.now().timestamp()
        return Fault(TIME_OFF, round(off)) if abs(off) > self.TOLERANCE.total_seconds() else None

    def accepts(self, body: bytes, headers: Headers) -> bool:
        id, timestamp, signature = (headers.get(name, "") for name in self.NAMES)
        signatures = [entry for entry in signature.split(" ") if self.ENTRY.fullmatch(entry)]
        right = [standard_signature(key, id, timestamp, body) for key in self.keys]
        return any(hmac.compare_digest(one, other) for one in signatures for other in right)

    def sign(self, body: bytes, *, id: str, at: datetime) -> dict[str, str]:
        timestamp = str(int(at.timestamp()))
        signature = standard_signature(self.keys[0], id, timestamp, body)
        return dict(zip(self.NAMES, (id, timestamp, signature), strict=True))


def base64_of(key: str) -> bytes:
    """Decode base64 with or without its padding. Raises ValueError."""
    return b64decode(key + "=" * (-len(key) % 4), validate=True)


def standard_signature(key: bytes, id: str, timestamp: str, body: bytes) -> str:
    """Sign `id.timestamp.body` as bytes: the body need not be text, and is not copied."""
    made = hmac.new(key, f"{id}.{timestamp}.".encode(errors="replace"), sha256)
    made.update(body)
    return f"v1,{b64encode(made.digest()).decode()}"


class Hub(Scheme):
    """`X-Hub-Signature-256: sha256=<hex>`, as Meta and GitHub sign. Without a time, a replay passes."""

    NAME = "X-Hub-Signature-256"
    SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
    SHORTEST_SECRET = 16

    def __init__(self, secrets: Sequence[str]) -> None:
        self.keys = [secret.encode() for secret in secrets]

    @staticmethod
    def complaint(secret: str) -> str:
        shortest = Hub.SHORTEST_SECRET
        return f"is shorter than {shortest} characters" if len(secret) < shortest else ""

    def fault_of_headers(self, headers: Headers) -> "Fault | None":
        if self.NAME not in headers:
            return Fault(NO_HEADERS)
        return None if self.SIGNATURE.fullmatch(headers[self.NAME]) else Fault(MALFORMED)

    def accepts(self, body: bytes, headers: Headers) -> bool:
        # As bytes: compare_digest raises for text beyond ASCII.
        signature = headers.get(self.NAME, "").encode(errors="replace")
        return any(hmac.compare_digest(hub_signature(key, body), signature) for key in self.keys)

    def sign(self, body: bytes, *, id: str, at: datetime) -> dict[str, str]:
        return {self.NAME: hub_signature(self.keys[0], body).decode()}


def hub_signature(key: bytes, body: bytes) -> bytes:
    return b"sha256=" + hmac.new(key, body, sha256).hexdigest().encode()


SCHEMES: dict[str, type[Scheme]] = {"standard": Standard, "hub": Hub}


# The sender's id of a delivery

UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
LONGEST_ID = 255


def kept_id(webhook_id: str) -> str:
    """As much of a `webhook-id` as the log keeps."""
    return UNPRINTABLE.sub("?", webhook_id)[:LONGEST_ID]


def signed(scheme: Scheme | None, body: bytes, *, id: str) -> dict[str, str]:
    """Return the headers of a delivery now; without a scheme, unsigned."""
    headers = scheme.sign(body, id=id, at=timezone.now()) if scheme else {}
    return {"Content-Type": "application/json"} | headers


def new_webhook_id() -> str:
    return f"msg_{uuid4().hex}"
