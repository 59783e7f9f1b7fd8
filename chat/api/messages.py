"""Messages of all conversations for machines: the search, and one message."""

from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from chat.api import examples
from chat.api.described import Tag, read
from chat.api.hits import hits_out, message_detail_out
from chat.api.query_parameters import FindParameters
from chat.api.reads import Read, page_of_generation, with_etag, with_next
from chat.database.keyset import Page
from chat.events.payloads import parse_id
from chat.models import Message, find_messages
from chat.refusals import NotFound
from chat.text.expressions import expression_of, terms_of


class MessageSearch(Read):
    """A page of messages of all conversations, searched and filtered. The latest arrival comes first."""

    described = read(
        "searchMessages",
        Tag.MESSAGES,
        examples.HITS,
        codes=("bad_request", "cursor_expired"),
        parameters=FindParameters,
        headers=("Link",),
        has_etag=True,
    )

    def get(self, request: Request) -> HttpResponse:
        parameters = FindParameters.read(request.query_params)
        page = page_of_generation(parameters.cursor, partial(page_of_hits, parameters))
        terms = terms_of(expression_of(parameters.q))
        out = hits_out(page, terms, request.build_absolute_uri)
        return with_next(request, with_etag(request, out), cursor=page.next)


def page_of_hits(parameters: FindParameters, cursor: str) -> Page[Message]:
    query = parameters.q or None
    return find_messages(query, parameters.filters, size=parameters.limit, cursor=cursor)


class MessageDetail(Read):
    """One message."""

    described = read(
        "getMessage",
        Tag.MESSAGES,
        examples.MESSAGE,
        codes=("bad_request", "not_found"),
        has_etag=True,
    )

    def get(self, request: Request, id: str) -> HttpResponse:
        out = message_detail_out(find_message(id), request.build_absolute_uri)
        return with_etag(request, out)


def find_message(id: str) -> Message:
    """Return the message. Raises NotFound, also for a malformed id."""
    known = parse_id(id)
    message = Message.objects.filter(id=known).first() if known else None
    if message is None:
        raise NotFound
    return message
