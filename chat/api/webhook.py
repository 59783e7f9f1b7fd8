"""`POST /webhook/`: one event a request, answered after its durable commit."""

from contextlib import ExitStack
from datetime import datetime
from io import BufferedIOBase
from ipaddress import ip_address, ip_network
from typing import Any, NoReturn

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api import examples
from chat.api.authentication import IsSender, SenderSignature, address_of, body_of
from chat.api.base import JSONView
from chat.api.body_memory import ROOM, SMALL
from chat.api.described import Answer, Described, Tag
from chat.api.serializers import outcome_out
from chat.bodies import declared_length, is_chunked, read_up_to
from chat.events.ingest import Result, ingest
from chat.events.payloads import EVENTS
from chat.metrics import DELIVERIES, EVENT_LAG, SIGNATURES_REFUSED
from chat.models import Delivery
from chat.problems import caller_request_id, request_id
from chat.refusals import (
    REFUSALS,
    BodyTooLarge,
    InvalidSignature,
    Refusal,
    SenderNotAllowed,
    TryAgain,
    UnsupportedMediaType,
    refusal_for,
)
from chat.signatures import FAULTS, NO_HEADERS, Hub, Standard, kept_id


class RawBody(BaseParser):
    """The body as bytes: signatures and the log need the exact bytes received."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the body. Raises TooManyBodies, BodyTooSlow, and BodyTooLarge for a chunked body over MAX_BODY_BYTES."""
        request: HttpRequest = stream
        room: ExitStack = parser_context["view"].room
        if is_chunked(request):
            return read_chunked(request.META["wsgi.input"], room)
        length = declared_length(request)
        if length <= SMALL:
            return read_up_to(length, request)
        return room.enter_context(ROOM.reserved(length)).read(length, request)


def read_chunked(chunked: BufferedIOBase, room: ExitStack) -> bytes:
    """Return a chunked body. Reserve room for the largest body once the body is not small."""
    body = read_up_to(SMALL + 1, chunked)
    if len(body) <= SMALL:
        return body
    place = room.enter_context(ROOM.reserved(settings.MAX_BODY_BYTES))
    body += place.read(settings.MAX_BODY_BYTES + 1 - len(body), chunked)
    if len(body) > settings.MAX_BODY_BYTES:
        raise BodyTooLarge
    return body


class WebhookRequest(Request):
    """Gives every body to the parser. REST framework would ignore a body without Content-Length."""

    @property
    def stream(self) -> Any:
        return self._request

    @property
    def content_type(self) -> str:  # type: ignore[override] # an attribute in the stubs
        """The content type without its parameters."""
        return self._request.content_type or ""


OUTCOMES = {
    200: Answer(
        examples.DUPLICATE, description="A closing applied, or a duplicate of what is stored"
    ),
    201: Answer(examples.APPLIED, description="A conversation or a message applied"),
}


class Webhook(JSONView):
    """Deliver one event. Deliver at least once, in any order. A 2xx follows a durable commit.

    The code of a problem names the reason. The answer does not depend on Accept, Authorization or
    cookies.
    """

    described = Described(
        "deliverEvent",
        Tag.EVENTS,
        OUTCOMES,
        codes=(
            "bad_request",
            "invalid_signature",
            "forbidden",
            "invalid_json",
            "invalid_event",
            "conversation_closed",
            "conversation_not_found",
            "id_conflict",
            "length_required",
            "body_too_large",
            "unsupported_media_type",
            "too_many_bodies",
        ),
        headers=(*Standard.NAMES, Hub.NAME),
        body=dict(EVENTS),
        has_slash=True,
    )

    authentication_classes = [SenderSignature]
    permission_classes = [IsSender]
    parser_classes = [RawBody]
    ignores_parameters = True
    http_method_names = ["post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with ExitStack() as self.room:
            return super().dispatch(request, *args, **kwargs)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return WebhookRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def perform_authentication(self, request: Request) -> None:
        """Judge the address and the headers before the body is read for its signature."""
        refuse_strangers(address_of(request))
        refuse_unreadable(request._request)
        super().perform_authentication(request)

    def post(self, request: Request) -> HttpResponse:
        received_at = timezone.now()
        result = ingest(
            body_of(request),
            received_at=received_at,
            request_id=request_id(request),
            caller_request_id=caller_request_id(request),
            webhook_id=kept_id(request.META.get("HTTP_WEBHOOK_ID", "")),
        )
        if result.refusal:
            raise result.refusal
        count(result, received_at)
        return Response(outcome_out(result), status=201 if has_created(result) else 200)

    def handle_exception(self, exc: Exception) -> Any:
        DELIVERIES.labels(code_of(exc)).inc()
        if isinstance(exc, InvalidSignature):
            SIGNATURES_REFUSED.labels(exc.why).inc()
        return super().handle_exception(exc)

    def permission_denied(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise InvalidSignature(NO_HEADERS, address=address_of(request))


# Each counter begins at 0. Otherwise an alarm on the increase would miss the first refusal.
for code in (Delivery.Outcome.APPLIED, Delivery.Outcome.DUPLICATE, *REFUSALS):
    DELIVERIES.labels(code)
for why in FAULTS:
    SIGNATURES_REFUSED.labels(why)


def count(result: Result, received_at: datetime) -> None:
    DELIVERIES.labels(result.outcome).inc()
    if result.outcome == Delivery.Outcome.APPLIED and result.subject.timestamp:
        EVENT_LAG.observe(max(0, (received_at - result.subject.timestamp).total_seconds()))


def code_of(exception: Exception) -> str:
    """Return the code of the exception's answer."""
    if isinstance(exception, Refusal):
        return exception.code
    is_answered = isinstance(exception, APIException)
    return refusal_for(exception.status_code).code if is_answered else TryAgain.code  # type: ignore[attr-defined]


def refuse_strangers(address: str) -> None:
    """Raise SenderNotAllowed for an unknown address, or one outside WEBHOOK_ALLOWED_NETWORKS."""
    allowed = settings.WEBHOOK_ALLOWED_NETWORKS
    if allowed and not (
        address and any(ip_address(address) in ip_network(network) for network in allowed)
    ):
        raise SenderNotAllowed(address=address)


def refuse_unreadable(request: HttpRequest) -> None:
    """Raise a refusal if the headers of the body are enough to decide on one."""
    if request.content_type != "application/json" or "HTTP_CONTENT_ENCODING" in request.META:
        raise UnsupportedMediaType
    if declared_length(request) > settings.MAX_BODY_BYTES:
        raise BodyTooLarge


def has_created(result: Result) -> bool:
    is_closing = result.subject.type == Delivery.Type.CLOSE_CONVERSATION
    return result.outcome == Delivery.Outcome.APPLIED and not is_closing
