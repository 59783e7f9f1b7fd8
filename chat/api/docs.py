"""The description of the JSON addresses, as OpenAPI."""

from django.http import HttpResponse
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
