"""JSON for machines: the webhook, a conversation, and the probes."""

from io import BufferedIOBase
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_POST, require_safe
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from chat.events import Outcome, Result, ingest
from chat.models import Conversation, Delivery
from chat.payloads import Refusal, parse_id
from chat.problems import problem, request_id
from chat.serializers import conversation_json

# Part of every ETag: raise it whenever the JSON of an unchanged conversation changes.
FORMAT = 1


class AlwaysJSON(BaseContentNegotiation):
    """Whatever Accept says: there is one representation."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


# The webhook


class LengthRequired(Refusal):
    """The server hands over a body whose end cannot be told (RFC 9112, section 6.3)."""

    code = "length_required"


class BadLength(Refusal):
    """A Content-Length that is no number; the servers we know refuse it themselves."""

    code = "bad_request"


class BodyTooLarge(Refusal):
    """More than MAX_BODY_BYTES, by what was declared or by what came."""

    code = "body_too_large"


@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Not a REST framework view: the answer depends on no Accept, Authorization or cookie."""
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        return problem(request, "unsupported_media_type")
    try:
        body = read_body(request)
    except Refusal as refusal:
        return problem(request, refusal.code)
    result = ingest(body, received_at=timezone.now(), request_id=request_id(request))
    return answer(request, result)


def answer(request: HttpRequest, result: Result) -> HttpResponse:
    if refusal := result.refusal:
        return problem(request, refusal.code, detail=refusal.detail, errors=refusal.errors)
    subject = result.subject
    created = result.outcome == Outcome.APPLIED and subject.type != Delivery.Type.CLOSE_CONVERSATION
    return JsonResponse(
        {"outcome": result.outcome, "type": subject.type, "id": subject.id},
        status=201 if created else 200,
    )


def read_body(request: HttpRequest) -> bytes:
    """The body, declared or chunked. Django itself would read a chunked one as empty."""
    if "Transfer-Encoding" in request.headers:
        return read_chunked_body(request)
    try:
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        raise BadLength from None
    if declared > settings.MAX_BODY_BYTES:
        raise BodyTooLarge
    return request.body


def read_chunked_body(request: HttpRequest) -> bytes:
    if not request.META.get("wsgi.input_terminated"):
        raise LengthRequired
    stream: BufferedIOBase = request.META["wsgi.input"]
    body = stream.read(settings.MAX_BODY_BYTES + 1)
    if len(body) > settings.MAX_BODY_BYTES:
        raise BodyTooLarge
    return body


# Reading


class ConversationDetail(APIView):
    """GET and HEAD of one conversation with all its messages."""

    content_negotiation_class = AlwaysJSON
    http_method_names = ["get", "head"]

    def get(self, request: Request, id: str) -> HttpResponse:
        conversation = Conversation.objects.find(parse_id(id))
        if conversation is None:
            return problem(request, "conversation_not_found")
        etag = f'"{FORMAT}-{conversation.revision}"'
        response = get_conditional_response(request, etag=etag)
        if response is None:
            content = conversation_json(conversation)
            response = HttpResponse(content, content_type="application/json")
        response["ETag"] = etag
        patch_cache_control(response, private=True, no_cache=True)
        return response


# Probes


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing of the database."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """The database takes writes and has every migration; otherwise 503, with the reason in the log."""
    with transaction.atomic():
        pass  # SQLite: the file is there, the same as ever, and may be written to
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return problem(request, "try_again", detail="The database is not migrated.")
    return JsonResponse({"status": "ready"})


def nothing_here(request: HttpRequest) -> HttpResponse:
    """The last route: with DEBUG on, Django's own 404 would be a page about the URL map."""
    return problem(request, "not_found")
