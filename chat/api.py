"""JSON for machines: the webhook, a conversation, and the probes."""

from collections.abc import Callable, Iterator
from io import BufferedIOBase
from itertools import chain
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import (
    HttpRequest,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from chat.events import ConversationNotFound, Outcome, Result, ingest
from chat.keyset import BadCursor, Page, page_of
from chat.metrics import DELIVERIES, exposition
from chat.models import (
    SIDES,
    Conversation,
    Delivery,
    MessageWords,
    ThreadPage,
)
from chat.parameters import (
    INVALID_CURSOR,
    BadParameters,
    ConversationParameters,
    DeliveryParameters,
    MessageParameters,
    StatsParameters,
)
from chat.payloads import FieldError, Refusal, Subject, parse_id
from chat.problems import problem, request_id
from chat.schema import schema
from chat.serializers import (
    conversation_json,
    conversations_json,
    deliveries_json,
    message_page_json,
)
from chat.signatures import is_from_a_sender, webhook_id
from chat.statistics import statistics_of
from chat.transcripts import csv_of, text_of

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


class UnsupportedMediaType(Refusal):
    """Not JSON, or encoded in a way that would have to be undone first."""

    code = "unsupported_media_type"


class InvalidSignature(Refusal):
    """Not signed by a sender of ours, or not lately."""

    code = "invalid_signature"


@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Not a REST framework view: the answer depends on no Accept, Authorization or cookie."""
    try:
        result = receive(request)
    except Refusal as refusal:
        result = Result(Outcome.REFUSED, Subject(), refusal)
    DELIVERIES.labels(result.code or result.outcome).inc()
    return answer(request, result)


def receive(request: HttpRequest) -> Result:
    """Raises the refusals that leave no row in the log: what is not a sender's is not read."""
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise UnsupportedMediaType
    body = read_body(request)
    if not is_from_a_sender(body, request.headers):
        raise InvalidSignature
    return ingest(
        body,
        received_at=timezone.now(),
        request_id=request_id(request),
        webhook_id=webhook_id(request.headers),
    )


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


@method_decorator(cache_control(private=True, no_cache=True), name="dispatch")
class Read(APIView):
    """GET and HEAD of what only its reader may keep, and must ask for again."""

    content_negotiation_class = AlwaysJSON
    http_method_names = ["get", "head"]


class ConversationList(Read):
    """Conversations, filtered, searched and in one of four orders, by pages."""

    def get(self, request: Request) -> HttpResponse:
        asked = ConversationParameters.read(request.query_params)
        try:
            page = conversations_page(asked)
        except BadCursor:
            raise BadParameters(INVALID_CURSOR) from None
        return HttpResponse(conversations_json(page), content_type="application/json")


def conversations_page(asked: ConversationParameters) -> Page[Conversation]:
    rows, ordering = Conversation.objects.narrowed(
        state=asked.state, needs_reply=asked.needs_reply, sort=asked.ordering
    )
    bounds: Any = {"size": asked.limit, "cursor": asked.cursor}
    if asked.q:
        return MessageWords.objects.conversations(asked.q, among=rows, **bounds)
    return page_of(rows, ordering, **bounds)


class ConversationDetail(Read):
    """One conversation with all its messages."""

    def get(self, request: Request, id: str) -> HttpResponse:
        conversation = find_conversation(id)
        etag = f'"{FORMAT}-{conversation.revision}"'
        response = get_conditional_response(request, etag=etag)
        if response is None:
            content = conversation_json(conversation)
            response = HttpResponse(content, content_type="application/json")
        response["ETag"] = etag
        return response


class MessagePage(Read):
    """A stretch of a conversation's messages: the newest, or those at one of them."""

    def get(self, request: Request, id: str) -> HttpResponse:
        asked = MessageParameters.read(request.query_params)
        page = message_page(find_conversation(id), asked)
        return HttpResponse(message_page_json(page), content_type="application/json")


def message_page(conversation: Conversation, asked: MessageParameters) -> ThreadPage:
    thread = conversation.messages.all()
    for side in SIDES:
        if id := getattr(asked, side):
            page = thread.page_at(side, id, asked.limit)
            if page is None:
                raise BadParameters(FieldError(f"/{side}", "unknown_message", NOT_OF_THE_THREAD))
            return page
    return thread.newest(asked.limit)


NOT_OF_THE_THREAD = "No message of this conversation has this id."


class Transcript(Read):
    """A conversation as a file, streamed while it is read."""

    write: Callable[[Conversation], Iterator[str]] = staticmethod(text_of)
    content_type = "text/plain; charset=utf-8"
    suffix = "txt"

    def get(self, request: Request, id: str) -> StreamingHttpResponse:
        conversation = find_conversation(id)
        text = self.write(conversation) if request.method == "GET" else iter(())
        response = StreamingHttpResponse(begun(text), content_type=self.content_type)
        name = f"conversation-{conversation.id}.{self.suffix}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


class TranscriptCSV(Transcript):
    """The same for spreadsheets."""

    write = staticmethod(csv_of)
    content_type = "text/csv; charset=utf-8"
    suffix = "csv"


def begun(chunks: Iterator[str]) -> Iterator[str]:
    """With the first two at hand: a database that cannot be read is a 503 and not a torn file."""
    return chain([next(chunks, ""), next(chunks, "")], chunks)


def find_conversation(id: str) -> Conversation:
    conversation = Conversation.objects.find(parse_id(id))
    if conversation is None:
        raise ConversationNotFound
    return conversation


class Deliveries(Read):
    """The log, the newest first, by pages and without the bodies."""

    def get(self, request: Request) -> HttpResponse:
        asked = DeliveryParameters.read(request.query_params)
        rows = Delivery.objects.for_list().matching(
            outcome=asked.outcome, type=asked.type, code=asked.code, conversation=asked.conversation
        )
        try:
            page = page_of(rows, ("-id",), size=asked.limit, cursor=asked.cursor)
        except BadCursor:
            raise BadParameters(INVALID_CURSOR) from None
        return HttpResponse(deliveries_json(page), content_type="application/json")


class Stats(Read):
    """The figures that the statistics page shows."""

    def get(self, request: Request) -> HttpResponse:
        asked = StatsParameters.read(request.query_params)
        content = statistics_of(asked.days).model_dump_json()
        return HttpResponse(content, content_type="application/json")


class Metrics(Read):
    """For Prometheus."""

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


# Probes, and what describes it all


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """All of the above as OpenAPI has it."""
    return JsonResponse(schema())


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
