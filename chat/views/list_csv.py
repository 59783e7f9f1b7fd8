"""The list of conversations as a CSV file, a row a conversation."""

from dataclasses import replace
from datetime import datetime

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache

from chat.bodies import streamed
from chat.csv_tables import CSV, harmless, table, utc
from chat.models import Conversation
from chat.views.listing import Listing

COLUMNS = (
    "id",
    "state",
    "opened_at",
    "closed_at",
    "activity_at",
    "waiting_since",
    "message_count",
    "received_count",
    "last_message_direction",
    "last_message_preview",
    "wrote_after_closing_at",
    "erased_at",
)


@never_cache
def list_csv(request: HttpRequest) -> HttpResponseBase:
    """Stream the whole list of a filter in the order of its sort. HEAD reads nothing.

    An unknown filter or sort is a 400. Raises TooManyReads.
    """
    try:
        listing = replace(Listing.of(request.GET), cursor="")
    except ValueError:
        return HttpResponse(status=400)
    if request.method == "HEAD":
        response = StreamingHttpResponse((), content_type=CSV)
    else:
        chunks = (map(row_of, conversations) for conversations in listing.in_chunks())
        response = streamed(table(COLUMNS, chunks), CSV)
    name = f"conversations-{listing.filter.value}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def row_of(conversation: Conversation) -> tuple[str, ...]:
    return (
        str(conversation.id),
        conversation.state,
        utc(conversation.opened_at),
        utc_or_empty(conversation.closed_at),
        utc(conversation.activity_at),
        utc_or_empty(conversation.waiting_since),
        str(conversation.message_count),
        str(conversation.received_count),
        conversation.last_message_direction,
        harmless(conversation.last_message_preview),
        utc_or_empty(conversation.wrote_after_closing_at),
        utc_or_empty(conversation.erased_at),
    )


def utc_or_empty(at: datetime | None) -> str:
    return utc(at) if at else ""
