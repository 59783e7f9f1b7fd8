"""Conversations, messages, deliveries and statistics for machines: GET and HEAD."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api.base import JSONView
from chat.api.parameters import (
    INVALID_CURSOR,
    ConversationParameters,
    DeliveryParameters,
    MessageParameters,
    StatsParameters,
)
from chat.api.serializers import (
    conversation_json,
    conversations_out,
    deliveries_out,
    message_page_out,
)
from chat.api.transcripts import csv_of, text_of
from chat.database.keyset import BadCursor, Page, page_of
from chat.events.payloads import parse_id
from chat.models import (
    SIDES,
    Conversation,
    Delivery,
    MessageWords,
    ThreadPage,
)
from chat.refusals import BadParameters, ConversationNotFound, FieldError
from chat.statistics import statistics_of

# Part of every ETag: raise it whenever the JSON of an unchanged conversation changes.
FORMAT = 1


@method_decorator(cache_control(private=True, no_cache=True), name="dispatch")
class Read(JSONView):
    """GET and HEAD for readers. Only the reader's own cache may keep the answer, and must revalidate."""

    http_method_names = ["get", "head"]


class ConversationList(Read):
    """A page of conversations, filtered, searched and ordered."""

    def get(self, request: Request) -> HttpResponse:
        parameters = ConversationParameters.read(request.query_params)
        try:
            page = conversations_page(parameters)
        except BadCursor:
            raise BadParameters(INVALID_CURSOR) from None
        return Response(conversations_out(page))


def conversations_page(parameters: ConversationParameters) -> Page[Conversation]:
    rows, ordering = Conversation.objects.filtered_by(
        state=parameters.state, needs_reply=parameters.needs_reply, sort=parameters.ordering
    )
    bounds: Any = {"size": parameters.limit, "cursor": parameters.cursor}
    if parameters.q:
        return MessageWords.objects.conversations(parameters.q, among=rows, **bounds)
    return page_of(rows, ordering, **bounds)


class ConversationDetail(Read):
    """One conversation with all its messages."""

    def get(self, request: Request, id: str) -> HttpResponse:
        conversation = find_conversation(id)
        etag = f'"{FORMAT}-{conversation.revision}"'
        response = get_conditional_response(request, etag=etag)
        if response is None:
            response = Response(conversation_json(conversation))
        response["ETag"] = etag
        return response


class MessagePage(Read):
    """A page of a conversation's messages: the newest, or the ones at a given message."""

    def get(self, request: Request, id: str) -> HttpResponse:
        parameters = MessageParameters.read(request.query_params)
        return Response(message_page_out(message_page(find_conversation(id), parameters)))


def message_page(conversation: Conversation, parameters: MessageParameters) -> ThreadPage:
    thread = conversation.messages.all()
    for side in SIDES:
        if id := getattr(parameters, side):
            page = thread.page_at(side, id, parameters.limit)
            if page is None:
                raise BadParameters(FieldError(f"/{side}", "unknown_message", NOT_OF_THE_THREAD))
            return page
    return thread.newest(parameters.limit)


NOT_OF_THE_THREAD = "No message of this conversation has this id."


class Transcript(Read):
    """A conversation as a text file, streamed while it is read."""

    write: Callable[[Conversation], Iterator[str]] = staticmethod(text_of)
    content_type = "text/plain; charset=utf-8"
    suffix = "txt"

    def get(self, request: Request, id: str) -> StreamingHttpResponse:
        conversation = find_conversation(id)
        text = self.write(conversation) if request.method == "GET" else iter(())
        response = StreamingHttpResponse(with_first_chunks(text), content_type=self.content_type)
        name = f"conversation-{conversation.id}.{self.suffix}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


class TranscriptCSV(Transcript):
    """A conversation as a CSV file for spreadsheets."""

    write = staticmethod(csv_of)
    content_type = "text/csv; charset=utf-8"
    suffix = "csv"


def with_first_chunks(chunks: Iterator[str]) -> Iterator[str]:
    """Read two chunks before the answer begins: a failing database gives a 503, not a torn file."""
    return chain([next(chunks, ""), next(chunks, "")], chunks)


def find_conversation(id: str) -> Conversation:
    """Raises ConversationNotFound, for a malformed id too."""
    conversation = Conversation.objects.find(parse_id(id))
    if conversation is None:
        raise ConversationNotFound
    return conversation


class DeliveryList(Read):
    """A page of the delivery log, newest first, without the bodies."""

    def get(self, request: Request) -> HttpResponse:
        parameters = DeliveryParameters.read(request.query_params)
        rows = Delivery.objects.for_list().filtered_by(
            outcome=parameters.outcome,
            type=parameters.type,
            code=parameters.code,
            conversation=parameters.conversation,
        )
        try:
            page = page_of(rows, ("-id",), size=parameters.limit, cursor=parameters.cursor)
        except BadCursor:
            raise BadParameters(INVALID_CURSOR) from None
        return Response(deliveries_out(page))


class Stats(Read):
    """The figures of the statistics page."""

    def get(self, request: Request) -> HttpResponse:
        parameters = StatsParameters.read(request.query_params)
        return Response(statistics_of(parameters.days))
