"""The description of the JSON addresses: as OpenAPI, and as a page."""

import json

from django.http import HttpResponse
from django.shortcuts import render
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api.described import Tag, read
from chat.api.reads import Read
from chat.api.schema import schema


class OpenAPI(Read):
    """Every address of the API, as OpenAPI 3.1."""

    described = read("getSchema", Tag.SERVICE, {"openapi": "3.1.0"})

    def get(self, request: Request) -> HttpResponse:
        return Response(schema())


class Docs(Read):
    """The same as a page, in English like every answer to machines, and without scripts."""

    described = read(
        "getDocs", Tag.SERVICE, "<!doctype html>", media_type="text/html; charset=utf-8"
    )

    def get(self, request: Request) -> HttpResponse:
        described = schema()
        bodies = described["components"]["schemas"].items()
        written = {name: json.dumps(body, indent=2, ensure_ascii=False) for name, body in bodies}
        return render(request, "chat/docs.html", {"schema": described, "bodies": written})
