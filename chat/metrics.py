"""Counters and durations for operators, in the format of Prometheus."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from realmate.environment import STARTED_AT

LOADED_AT = time.time()

DELIVERIES = Counter(
    "realmate_deliveries",
    "Bodies posted to the webhook, by answer: applied, duplicate, or the code of the refusal.",
    ["code"],
)
SIGNATURES_REFUSED = Counter(
    "realmate_signatures_refused",
    "Deliveries refused for their signature, by what is wrong.",
    ["why"],
)
LOGINS = Counter("realmate_logins", "Attempts to log in, by outcome.", ["outcome"])
LOGIN_OUTCOMES = ("logged_in", "wrong_password", "locked_out", "too_many_logins")
# Restarts of workers are starts beyond the number of workers: a start of the server empties this.
WORKER_STARTS = Counter("realmate_worker_starts", "Worker processes that have loaded the service.")

DURATIONS = Histogram(
    "realmate_request_duration_seconds",
    "Requests, by route and status.",
    ["route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EVENT_LAG = Histogram(
    "realmate_event_lag_seconds",
    "From the timestamp of an applied event to its arrival; 0 if the timestamp is later.",
    buckets=(1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 24 * 3600),
)
WRITER_WAIT = Histogram(
    "realmate_sqlite_writer_wait_seconds",
    "Waits for the turn to write to SQLite, over all processes.",
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
GROUP_SIZE = Histogram(
    "realmate_sqlite_group_size",
    "Events that shared one commit to SQLite.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
POOL_WAIT = Histogram(
    "realmate_pool_wait_seconds",
    "Waits for a session of PostgreSQL from the pool.",
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)

# Created at the start, because an alarm on the increase would miss the first one otherwise.
for outcome in LOGIN_OUTCOMES:
    LOGINS.labels(outcome)


def observe(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Record a request, by route: by path, anybody could make any number of labels."""
    match = request.resolver_match
    route = f"/{match.route.rstrip('/')}" if match else ""
    DURATIONS.labels(route, response.status_code).observe(seconds)


def running_since() -> datetime:
    """Return when the production server started. A reload and a replaced worker leave this time as it is.

    Elsewhere, as in the development server: when this process loaded the service.
    """
    return datetime.fromtimestamp(float(os.environ.get(STARTED_AT) or LOADED_AT), UTC)


class ServerStart(Collector):
    """What prometheus_client leaves out where several processes are counted together."""

    def collect(self) -> Iterator[Metric]:
        words = "Start time of the server since unix epoch in seconds."
        started = running_since().timestamp()
        yield GaugeMetricFamily("process_start_time_seconds", words, started)


def exposition(gauges: Collector) -> bytes:
    """Return the metrics of all processes if they began with PROMETHEUS_MULTIPROC_DIR, else of this one.

    The gauges are read once, by this process, and never summed.
    """
    single, registry = "PROMETHEUS_MULTIPROC_DIR" not in os.environ, CollectorRegistry()
    if not single:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(ServerStart())
    registry.register(gauges)
    return (generate_latest(REGISTRY) if single else b"") + generate_latest(registry)
