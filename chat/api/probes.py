"""Addresses for monitoring: alive, ready, and what Prometheus scrapes."""

from django.db import transaction
from django.http import HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api.base import JSONView
from chat.api.reads import Read
from chat.database.migrated import wrong_schema
from chat.metrics import exposition
from chat.refusals import NotMigrated


class Probe(JSONView):
    """GET and HEAD for everyone. No session and no token is looked up."""

    authentication_classes = []
    permission_classes = [AllowAny]
    http_method_names = ["get", "head"]


class Healthz(Probe):
    """Whether the process answers. Asks nothing of the database."""

    def get(self, request: Request) -> HttpResponse:
        return Response({"status": "ok"})


class Readyz(Probe):
    """Whether the database takes writes and has every migration. If not, 503, and the log says why."""

    def get(self, request: Request) -> HttpResponse:
        with transaction.atomic():
            pass  # SQLite: the file exists, is the same as ever, and may be written to
        if wrong_schema():
            raise NotMigrated
        return Response({"status": "ready"})


class Metrics(Read):
    """Counters and durations for Prometheus."""

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)
