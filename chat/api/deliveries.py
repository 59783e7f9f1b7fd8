"""The delivery log for machines: its pages, one delivery, and its replay."""

from functools import partial
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api import examples
from chat.api.authentication import IsReader, is_staff
from chat.api.base import JSONView
from chat.api.described import Described, Tag, read
from chat.api.log_parameters import DeliveryParameters
from chat.api.reads import Read, page_of_generation, with_etag, with_next
from chat.api.serializers import deliveries_out, delivery_detail_out, outcome_out
from chat.api.webhook import OUTCOMES, has_created
from chat.database.keyset import Page
from chat.events import ingest
from chat.models import Delivery, Scope, Token
from chat.problems import request_id
from chat.refusals import NotFound


class DeliveryList(Read):
    """A page of the delivery log, newest first, without the bodies."""

    scope = Scope.DELIVERIES
    described = read(
        "listDeliveries",
        Tag.DELIVERIES,
        examples.DELIVERIES,
        codes=("bad_request", "cursor_expired"),
        parameters=DeliveryParameters,
        headers=("Link",),
        has_etag=True,
    )

    def get(self, request: Request) -> HttpResponse:
        parameters = DeliveryParameters.read(request.query_params)
        page = page_of_generation(parameters.cursor, partial(log_page, parameters))
        return with_next(request, with_etag(request, deliveries_out(page)), cursor=page.next)


def log_page(parameters: DeliveryParameters, cursor: str) -> Page[Delivery]:
    return Delivery.objects.page(parameters.filters, size=parameters.limit, cursor=cursor)


class DeliveryDetail(Read):
    """One delivery with the errors of an invalid event. Staff also get the body."""

    scope = Scope.DELIVERIES
    described = read(
        "getDelivery", Tag.DELIVERIES, examples.DELIVERY_DETAIL, codes=("bad_request", "not_found")
    )

    def get(self, request: Request, number: str) -> HttpResponse:
        delivery = find_delivery(number)
        return Response(delivery_detail_out(delivery, with_body=is_staff(request)))


class MayReplay(BasePermission):
    """Allow staff with a session, and any token: IsReader has judged its scope."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, Token) or is_staff(request)


class Replay(JSONView):
    """Apply a refused delivery again, with its original time of arrival. Answers as the webhook does.

    Needs a token with the scope replay, or the session of staff with its X-CSRFToken.
    """

    scope = Scope.REPLAY
    described = Described(
        "replayDelivery",
        Tag.DELIVERIES,
        OUTCOMES,
        codes=(
            "bad_request",
            "forbidden",
            "not_found",
            "replay_cannot_help",
            "invalid_json",
            "invalid_event",
            "conversation_closed",
            "conversation_not_found",
            "id_conflict",
        ),
        headers=("X-CSRFToken",),
    )
    permission_classes = [IsReader, MayReplay]
    http_method_names = ["post"]

    def post(self, request: Request, number: str) -> Response:
        """Apply the delivery again. Raises NotFound, ReplayCannotHelp, and the refusal of the event."""
        delivery = find_delivery(number)
        result = ingest.apply_again(delivery, at=timezone.now(), request_id=request_id(request))
        if result.refusal:
            raise result.refusal
        return Response(outcome_out(result), status=201 if has_created(result) else 200)


def find_delivery(number: str) -> Delivery:
    """Return the delivery. Raises NotFound, also for a malformed number."""
    delivery = Delivery.objects.numbered(number)
    if delivery is None:
        raise NotFound
    return delivery
