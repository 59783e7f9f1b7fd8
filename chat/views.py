"""HTML for people: the inbox with its thread, and the poll that keeps both live."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.models import Conversation, ConversationQuerySet, stamp_of
from chat.payloads import parse_id

INBOX_PAGE = 50
THREAD_PAGE = 50


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("inbox")


@never_cache
@require_safe
def inbox(request: HttpRequest, id: str = "") -> HttpResponse:
    """Both panes. An unknown id is a 404 that still shows the list."""
    conversation = Conversation.objects.find(parse_id(id))
    status = 404 if id and conversation is None else 200
    context = inbox_context() | thread_context(conversation) | {"status": status}
    response = render(request, "chat/inbox.html", context, status=status)
    response.for_people = True  # type: ignore[attr-defined]
    return response


@never_cache
@require_safe
def poll(request: HttpRequest) -> HttpResponse:
    """What has changed since the stamps that the page holds; 204 when nothing has."""
    conversation = Conversation.objects.find(parse_id(request.GET.get("conversation")))
    context: dict[str, Any] = {"selected": conversation}
    if inbox_rows().stamp() != request.GET.get("inbox"):
        context |= inbox_context() | {"inbox_changed": True}
    if conversation and str(conversation.revision) != request.GET.get("revision"):
        context |= thread_context(conversation) | {"thread_changed": True}
    if len(context) == 1:
        return HttpResponse(status=204)
    return render(request, "chat/poll.html", context)


def inbox_rows() -> ConversationQuerySet:
    return Conversation.objects.for_inbox()[:INBOX_PAGE]


def inbox_context() -> dict[str, Any]:
    rows = list(inbox_rows())
    return {"conversations": rows, "stamp": stamp_of(rows)}


def thread_context(conversation: Conversation | None) -> dict[str, Any]:
    if conversation is None:
        return {"selected": None}
    return {
        "selected": conversation,
        "thread_messages": conversation.messages.latest_page(THREAD_PAGE),
        "has_older": conversation.message_count > THREAD_PAGE,
    }


def nothing_here(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=404)  # the edge puts the error page in its place
