"""Addresses for monitoring: alive, ready, and the metrics for Prometheus."""

from collections.abc import Iterator
from typing import Literal

from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.files.storage import storages
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api import examples
from chat.api.authentication import ScrapeToken
from chat.api.base import JSONView
from chat.api.described import Tag, read
from chat.api.reads import Read
from chat.database import readiness
from chat.health.vitals import Gauges
from chat.metrics import exposition
from chat.models import Scope
from chat.refusals import FieldError, NotReady


class Probe(JSONView):
    """GET and HEAD for everyone. No session and no token is looked up."""

    authentication_classes = []
    permission_classes = [AllowAny]
    ignores_parameters = True
    http_method_names = ["get", "head"]


class StatusOut(BaseModel):
    """The answer of a probe when all is well."""

    status: Literal["ok", "ready"]


class Healthz(Probe):
    """Whether the process answers. Asks nothing of the database."""

    described = read("getHealth", Tag.SERVICE, StatusOut(status="ok"))

    def get(self, request: Request) -> HttpResponse:
        return Response({"status": "ok"})


class Readyz(Probe):
    """Whether this process can take events. If not, 503 with every reason. Writes nothing."""

    described = read("getReadiness", Tag.SERVICE, StatusOut(status="ready"))

    def get(self, request: Request) -> HttpResponse:
        if faults := [*readiness.faults(), *faults_of_the_static_files()]:
            raise NotReady(
                tuple(FieldError(f"/{part}", code, detail) for part, code, detail in faults)
            )
        return Response({"status": "ready"})


def faults_of_the_static_files() -> Iterator[readiness.Fault]:
    """Yield a fault without the names of `collectstatic`: pages need them, and a process reads them once."""
    storage = storages["staticfiles"]
    if not isinstance(storage, ManifestFilesMixin):
        return
    if not storage.hashed_files or not storage.manifest_storage.exists(storage.manifest_name):
        yield readiness.Fault(
            "static_files", "static_files_missing", "The static files are not collected."
        )


class Metrics(Read):
    """Counters and durations for Prometheus, also while the database is away."""

    authentication_classes = [ScrapeToken, SessionAuthentication]

    scope = Scope.METRICS
    described = read("getMetrics", Tag.FIGURES, examples.METRICS, media_type=CONTENT_TYPE_LATEST)

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(exposition(Gauges()), content_type=CONTENT_TYPE_LATEST)
