"""The number of messages seen by a user in each conversation, the same in all the user's browsers."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers

from chat.events.payloads import parse_id
from chat.models import Conversation, Seen, User, note_seen
from chat.views.page import nothing_here, number

MOST_SEEN = 2**31 - 1
MOST_PLACE = 2**63 - 1


def user_of(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def seen_by(user: User | None, ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return the number seen by the user in each conversation. Empty without a login."""
    return Seen.objects.counts(user, ids) if user else {}


def seen_context(request: HttpRequest, rows: Iterable[Conversation]) -> dict[str, Any]:
    """Return the numbers seen by the user in the listed conversations. One query, none without a login."""
    return {"seen": seen_by(user_of(request), [row.pk for row in rows])}


def note(request: HttpRequest) -> HttpResponse:
    """Store the number of messages seen by the user. `unread` may lower the number: "mark as unread".

    Answer 204, also in a service without logins, because there the browser keeps the number. A number
    beyond the conversation's messages counts as all of these.
    """
    conversation = Conversation.objects.find(parse_id(request.POST.get("conversation")))
    if conversation is None:
        return nothing_here(request)
    try:
        count = number(request.POST.get("count", ""), most=MOST_SEEN)
    except ValueError:
        return HttpResponse(status=400)
    if user := user_of(request):
        note_seen(
            user=user,
            conversation=conversation.pk,
            count=min(count or 0, conversation.from_customer_count),
            may_lower="unread" in request.POST,
        )
    response = HttpResponse(status=204)
    add_never_cache_headers(response)
    return response
