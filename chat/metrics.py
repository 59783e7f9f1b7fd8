"""Counters and durations for operators, in the format of Prometheus."""

import os

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

DELIVERIES = Counter(
    "realmate_deliveries",
    "Bodies posted to the webhook, by answer: applied, duplicate, or the code of the refusal.",
    ["code"],
)
# Created at the start, because an alarm on the increase would miss the first refusal otherwise.
DELIVERIES.labels("invalid_signature")

DURATIONS = Histogram(
    "realmate_request_duration_seconds",
    "Requests, by route and status.",
    ["route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def observe(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Record a request, by route: by path, anybody could make any number of labels."""
    match = request.resolver_match
    route = f"/{match.route.rstrip('/')}" if match else ""
    DURATIONS.labels(route, response.status_code).observe(seconds)


def exposition() -> bytes:
    """Return the metrics of all processes if they began with PROMETHEUS_MULTIPROC_DIR, else of this one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
