"""Conversations, messages and statistics for machines: GET and HEAD."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any, NoReturn, TypeVar

from django.db.models import Model
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from pydantic import BaseModel
from rest_framework.request import Request
from rest_framework.response import Response

from chat.api import examples
from chat.api.base import JSONView
from chat.api.described import Described, Tag, read
from chat.api.parameters import INVALID_CURSOR
from chat.api.query_parameters import (
    COUNTED_UP_TO,
    ConversationParameters,
    MessageParameters,
    StatsParameters,
)
from chat.api.serializers import (
    conversation_json,
    conversation_pieces,
    conversations_out,
    message_page_out,
)
from chat.api.spreadsheets import XLSX, xlsx_of
from chat.api.throttles import ByAddress, ByToken
from chat.api.transcripts import csv_of, text_of
from chat.bodies import streamed
from chat.database.keyset import BadCursor, Ordering, Page, page_of
from chat.events.payloads import parse_id
from chat.heavy.reading import are_many, turn_to_read
from chat.models import (
    SIDES,
    Conversation,
    ConversationQuerySet,
    MessageWords,
    Scope,
    ThreadPage,
    current_generation,
)
from chat.refusals import (
    BadParameters,
    ConversationNotFound,
    CursorExpired,
    FieldError,
    RateLimited,
)
from chat.statistics import statistics_of

# Part of a conversation's ETag. Raise the number if the JSON of unchanged conversations changes.
FORMAT = 2

# A longer conversation is streamed, in bounded memory.
MOST_AT_ONCE = 10_000

OF_A_GENERATION = re.compile(r"[0-9a-f]{8}\.")
Row = TypeVar("Row", bound=Model)


class Read(JSONView):
    """GET and HEAD for readers. Only a program's own cache may keep the answer, and must revalidate.

    A browser keeps nothing, because a later erased text would survive in its cache.
    """

    http_method_names = ["get", "head"]
    scope = Scope.READ
    throttle_classes = [ByToken, ByAddress]

    def perform_authentication(self, request: Request) -> None:
        """Count the read before judging its reader, so reads without credentials count too."""
        super().perform_authentication(request)
        super().check_throttles(request)

    def check_throttles(self, request: Request) -> None:
        """Do nothing: REST framework would count here, after the reader is judged."""

    def throttled(self, request: Request, wait: float | None) -> NoReturn:
        raise RateLimited(wait)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        # Not after an error: the database may have failed, and this would read the session again.
        has_session = response.status_code < 400 and request.user.is_authenticated
        kept = "no_store" if has_session else "no_cache"
        patch_cache_control(response, private=True, **{kept: True})
        patch_vary_headers(response, ("Accept-Encoding",))
        return response


class ConversationList(Read):
    """A page of conversations, filtered, searched and ordered."""

    described = read(
        "listConversations",
        Tag.CONVERSATIONS,
        examples.CONVERSATIONS,
        codes=("bad_request", "cursor_expired"),
        parameters=ConversationParameters,
        headers=("Link",),
        has_etag=True,
    )

    def get(self, request: Request) -> HttpResponse:
        parameters = ConversationParameters.read(request.query_params)
        rows, ordering = listed_by(parameters)
        page = page_of_generation(
            parameters.cursor, partial(conversations_page, parameters, rows, ordering)
        )
        counted = rows.count_up_to(COUNTED_UP_TO) if parameters.count else None
        response = with_etag(request, conversations_out(page, counted))
        return with_next(request, response, cursor=page.next)


def listed_by(parameters: ConversationParameters) -> tuple[ConversationQuerySet, Ordering]:
    return Conversation.objects.filtered_with_order(
        state=parameters.state,
        needs_reply=parameters.needs_reply,
        sort=parameters.sort,
        updated_since=parameters.updated_since,
        wrote_after_closing=bool(parameters.wrote_after_closing),
        within=parameters.within,
    )


def conversations_page(
    parameters: ConversationParameters, rows: ConversationQuerySet, ordering: Ordering, cursor: str
) -> Page[Conversation]:
    bounds: Any = {"size": parameters.limit, "cursor": cursor}
    if parameters.q:
        return MessageWords.objects.conversations(parameters.q, among=rows, **bounds)
    return page_of(rows, ordering, **bounds)


class ConversationDetail(Read):
    """One conversation with all its messages."""

    described = read(
        "getConversation",
        Tag.CONVERSATIONS,
        examples.CONVERSATION,
        codes=("conversation_not_found", "too_many_reads"),
        has_etag=True,
    )

    def get(self, request: Request, id: str) -> HttpResponseBase:
        conversation = find_conversation(id)
        etag = etag_of(conversation)
        response: HttpResponseBase | None = get_conditional_response(request, etag=etag)
        if response is None and request.method == "HEAD" and are_many(conversation.message_count):
            response = without_a_body()
        if response is None and conversation.message_count > MOST_AT_ONCE:
            return streamed_whole(conversation)
        response = response or Response(whole(conversation))
        response["ETag"] = etag
        return response


def etag_of(conversation: Conversation) -> str:
    """Return a weak ETag, as for all JSON, because the bytes differ by Content-Encoding."""
    return f'W/"{FORMAT}-{current_generation()}-{conversation.revision}"'


def streamed_whole(conversation: Conversation) -> StreamingHttpResponse:
    """Answer with the state of one moment, however long the answer takes.

    A later event is left out, because its message has a later arrival. Only a later erasure shows.
    """
    now: Any = Conversation.objects.with_last_arrival().get(pk=conversation.pk)
    pieces = conversation_pieces(now, last_arrival=now.last_arrival)
    response = streamed(pieces, "application/json", messages=now.message_count)
    response["ETag"] = etag_of(now)
    return response


def without_a_body() -> StreamingHttpResponse:
    """Answer HEAD where GET does heavy work. A stream, because its Content-Length is not known."""
    return StreamingHttpResponse((), content_type="application/json")


def whole(conversation: Conversation) -> bytes:
    with turn_to_read(messages=conversation.message_count):
        return conversation_json(conversation)


class MessagePage(Read):
    """A page of a conversation's messages: the newest, or the ones at a given message."""

    described = read(
        "listMessages",
        Tag.CONVERSATIONS,
        examples.MESSAGES,
        codes=("bad_request", "conversation_not_found"),
        parameters=MessageParameters,
    )

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


def transcript(id: str, example: str | None, media_type: str) -> Described:
    return read(
        id,
        Tag.CONVERSATIONS,
        example,
        codes=("conversation_not_found", "too_many_reads"),
        media_type=media_type,
        headers=("Content-Disposition",),
    )


class Transcript(Read):
    """A conversation as a text file, streamed while the messages are read."""

    write: Callable[[Conversation], Iterator[Any]] = staticmethod(text_of)
    content_type = "text/plain; charset=utf-8"
    suffix = "txt"
    described = transcript("getTranscript", examples.TRANSCRIPT, content_type)

    def get(self, request: Request, id: str) -> StreamingHttpResponse:
        conversation = find_conversation(id)
        if request.method == "HEAD":
            response = StreamingHttpResponse((), content_type=self.content_type)
        else:
            pieces = self.write(conversation)
            response = streamed(pieces, self.content_type, messages=conversation.message_count)
        name = f"conversation-{conversation.id}.{self.suffix}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


class TranscriptCSV(Transcript):
    """A conversation as a CSV file for spreadsheets."""

    write = staticmethod(csv_of)
    content_type = "text/csv; charset=utf-8"
    suffix = "csv"
    described = transcript("getTranscriptCsv", examples.TRANSCRIPT_CSV, content_type)


class TranscriptXLSX(Transcript):
    """A conversation as an XLSX file for spreadsheets."""

    write = staticmethod(xlsx_of)
    content_type = XLSX
    suffix = "xlsx"
    described = transcript("getTranscriptXlsx", None, content_type)


def find_conversation(id: str) -> Conversation:
    """Return the conversation. Raises ConversationNotFound, also for a malformed id."""
    conversation = Conversation.objects.find(parse_id(id))
    if conversation is None:
        raise ConversationNotFound
    return conversation


def page_of_generation(cursor: str, read: Callable[[str], Page[Row]]) -> Page[Row]:
    """Read a page whose cursors belong to this generation of the database.

    After a restore other rows get the same numbers, so an older cursor would skip rows.
    Raises CursorExpired and BadParameters.
    """
    generation = current_generation()
    prefix, _, within = cursor.partition(".")
    if cursor and prefix != generation:
        raise CursorExpired if OF_A_GENERATION.match(cursor) else BadParameters(INVALID_CURSOR)
    try:
        page = read(within)
    except BadCursor:
        raise BadParameters(INVALID_CURSOR) from None
    return replace(page, next=f"{generation}.{page.next}") if page.next else page


def with_etag(request: Request, out: BaseModel) -> HttpResponse:
    """Answer with an ETag of the content, or with 304 if the reader has the same content."""
    content = out.model_dump_json(exclude_unset=True).encode()
    # Weak, like every ETag of JSON: the bytes differ by Content-Encoding.
    etag = f'W/"{blake2b(content, digest_size=16).hexdigest()}"'
    response = get_conditional_response(request, etag=etag) or Response(content)
    response["ETag"] = etag
    return response


def with_next(request: Request, response: HttpResponse, **parameter: str) -> HttpResponse:
    """Give the address of the next page in a `Link` header (RFC 8288), unless this page is the last."""
    [(name, next)] = parameter.items()
    if next:
        query = request.query_params.copy()
        query[name] = next
        address = request.build_absolute_uri(f"?{query.urlencode()}")
        response["Link"] = f'<{address}>; rel="next"'
    return response


class Stats(Read):
    """The figures of the statistics page."""

    described = read(
        "getStatistics",
        Tag.FIGURES,
        examples.STATISTICS,
        codes=("bad_request", "too_many_reads", "period_too_long"),
        parameters=StatsParameters,
    )

    def get(self, request: Request) -> HttpResponseBase:
        parameters = StatsParameters.read(request.query_params)
        if request.method == "HEAD":
            return without_a_body()
        return Response(statistics_of(parameters.days))
