"""The WSGI door, for runserver and for production servers alike."""

import ctypes
import gc
import logging
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import Error, connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_resolver

from chat import metrics
from chat.bodies import BYTES_A_READ
from chat.database import group_commit, readiness
from chat.database.migrated import migrations_of_the_code
from realmate import stopping
from realmate.forwarded import behind_proxies
from realmate.postgresql import base as postgresql
from realmate.postgresql.base import a_request
from realmate.sqlite import base as sqlite

# M_MMAP_THRESHOLD of malloc.h, and its default. glibc adapts the threshold unless a program sets it.
M_MMAP_THRESHOLD = -3
LARGE = 128 * 1024

log = logging.getLogger(__name__)


class Request(WSGIRequest):
    """A request safe from any Content-Type header, because it ignores the header's parameters.

    Django parses the header before any middleware runs. A hostile parameter raises there, and
    `charset` chooses the codec of the query string.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type = meta.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        self.content_params = {}


class Application(WSGIHandler):
    """Django's handler, with a time limit for PostgreSQL. A refusal leaves the connection usable."""

    request_class = Request

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with a_request(seconds=settings.DATABASE_SECONDS):
            response = super().__call__(environ, start_response)
        return Stream(response) if getattr(response, "streaming", False) else response

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response = super().get_response(request)
        if response.status_code >= 300:
            read_to_the_end(request.META)
        return response


def read_to_the_end(environ: dict[str, Any]) -> None:
    """Read the rest of a body refused unread, if the body has at most MAX_BODY_BYTES.

    granian closes the connection of a request not read to the end, mostly without a notice in
    the answer. The client's next request on this connection would meet a broken pipe.
    Django's runserver reads to the end by itself, and does not set wsgi.input_terminated.
    """
    declared = environ.get("CONTENT_LENGTH") or "0"
    left = settings.MAX_BODY_BYTES
    if not environ.get("wsgi.input_terminated") or not declared.isdecimal() or int(declared) > left:
        return
    with suppress(OSError):  # the client has hung up
        while left > 0 and (piece := environ["wsgi.input"].read(min(left, BYTES_A_READ))):
            left -= len(piece)


class Stream:
    """The body of a streamed answer. Each piece has the time limit of a whole answer."""

    def __init__(self, response: Any) -> None:
        self.close = response.close
        self._pieces = iter(response)

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Any:
        while True:
            with a_request(seconds=settings.DATABASE_SECONDS):
                piece = next(self._pieces)
            if piece:  # an empty piece is a sign of progress, and would end a chunked body
                return piece


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "realmate.settings")
django.setup(set_prefix=False)
# Nothing else looks at X-Forwarded headers.
application = behind_proxies(Application(), settings.TRUSTED_PROXIES)


def load_all_for_good() -> None:
    """Load what every request needs, and freeze it for the garbage collector.

    Each full collection would scan these objects, and stall every request for some 60 ms.
    """
    get_resolver().url_patterns  # noqa: B018 - Django would load them with the first request
    migrations_of_the_code()
    gc.collect()
    gc.freeze()


def count_waits() -> None:
    """Turn on the counters of the service only: a command's counters would belong to its user."""
    sqlite.note_wait = metrics.WRITER_WAIT.observe
    postgresql.note_wait = metrics.POOL_WAIT.observe
    group_commit.note_size = metrics.GROUP_SIZE.observe


def hold_the_database() -> None:
    """Keep one connection to SQLite's file open: `manage.py restore` recognizes a running server by it."""
    if connection.vendor != "sqlite":
        return
    with suppress(Error, OSError):  # /readyz names the fault
        if Path(connection.settings_dict["NAME"]).exists():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()


def say_why_not_ready() -> None:
    """Log what /readyz says, a line for each reason, so that the log of a start explains itself."""
    for fault in readiness.faults():
        log.warning("Not ready: %s", fault.detail, extra={"code": fault.code})
    if connection.vendor == "postgresql":  # the session goes back into the pool
        connection.close()


def start_anew_when_the_disk_is_writable() -> None:
    """Replace a worker that began on a read-only disk, because it could never write."""

    @cache  # many threads may try to write before the end
    def end() -> None:
        log.warning("The database can be written again: this worker ends, and another one starts.")
        stopping.end_this_worker()

    sqlite.note_read_only_for_good = end


def map_large_bodies_apart() -> None:
    """Let glibc map each large body apart. Otherwise each freed block would raise this threshold.

    After a flood a worker keeps most of its memory elsewhere: docs/decisions.md has the figures.
    """
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


map_large_bodies_apart()
count_waits()
if stopping.is_watching():
    metrics.WORKER_STARTS.inc()
    hold_the_database()
    start_anew_when_the_disk_is_writable()
    say_why_not_ready()
load_all_for_good()
