"""The inbox with its thread, the fragments of both, and the poll that keeps them live."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.folding import snippet, terms_of
from chat.keyset import BadCursor, page_of
from chat.listing import INBOX_PAGE, Listing
from chat.models import (
    Conversation,
    Delivery,
    Filter,
    Message,
    MessageWords,
    Side,
    Sort,
    ThreadPage,
)
from chat.payloads import parse_id
from chat.thread import entries
from chat.views.page import page

THREAD_PAGE = 50
SEARCH_PAGE = 30
MOST_ROWS = 500
MOST_NEWS = 200
MOST_ARRIVAL = 2**63 - 1
MOST_HISTORY = 50
# What an address names a message for.
SIDES: dict[str, Side] = {"message": "around", "before": "before", "after": "after"}


# Pages


@never_cache
@require_safe
def inbox(request: HttpRequest, id: str = "") -> HttpResponse:
    """Both panes. An unknown conversation or message is a 404, a bad list a 400; each shows the rest."""
    query = request.GET.get("q", "")
    conversation = Conversation.objects.find(parse_id(id))
    context: dict[str, Any] = {"query": query, "selected": conversation, "status": 200}
    context |= {"section": "inbox", "selected_id": conversation.pk if conversation else None}
    if id and conversation is None:
        context["status"] = 404
    if conversation is not None:
        thread_page = thread_page_of(request, conversation, is_whole=True)
        context["status"] = 200 if thread_page else 404
        context |= thread_context(conversation, thread_page or ThreadPage([]))
        context |= history_context(conversation)
        context["highlighted"] = parse_id(request.GET.get("message"))
    try:
        context |= left_context(request, query, conversation)
    except ValueError:
        context |= list_context(Listing()) | {"status": 400, "is_bad_list": True}
    return page(request, "chat/inbox.html", context)


def left_context(
    request: HttpRequest, query: str, conversation: Conversation | None
) -> dict[str, Any]:
    """The list, or what a search found. Raises ValueError for an address that is none of ours."""
    if query:
        return {"stamp": stamp(Listing(), 0, conversation)} | search_context(request, query)
    listing = Listing.of(request.GET)
    return {"stamp": stamp(listing, INBOX_PAGE, conversation)} | list_context(listing)


def stamp(listing: Listing, size: int, conversation: Conversation | None) -> str:
    return listing.stamp(size, conversation.pk if conversation else None)


@never_cache
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """Hits in every message. An id that was pasted goes straight to what it stands for."""
    query = request.GET.get("q", "")
    if there := place_of(query.strip()):
        return redirect(there)
    context = {"query": query, "section": "inbox", "status": 200} | search_context(request, query)
    return page(request, "chat/inbox.html", context)


@never_cache
@require_safe
def print_thread(request: HttpRequest, id: str) -> HttpResponse:
    """All messages, and nothing around them."""
    conversation = conversation_or_404(id)
    everything = ThreadPage(list(conversation.messages.in_order()))
    return page(request, "chat/print.html", thread_context(conversation, everything))


# Fragments


@require_safe
def poll(request: HttpRequest) -> HttpResponse:
    """What has changed since the stamp that the page holds; 204 when nothing has.

    `counts` is sent now and then, to ask whether they are still right.
    """
    try:
        listing, rows = Listing.of(request.GET), number(request.GET.get("rows"), most=MOST_ROWS)
        arrival = number(request.GET.get("arrival"), most=MOST_ARRIVAL)
        id = parse_id(request.GET.get("conversation"))
        stamp = listing.stamp(rows or 0, id)
    except ValueError:
        return HttpResponse(status=400)
    held = request.GET.get("counts")
    is_same = held is None or held == stamp_of_counts(Conversation.objects.counts())
    if is_same and stamp == request.GET.get("stamp"):
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    conversation = Conversation.objects.find(id)
    context: dict[str, Any] = {"selected": conversation, "selected_id": id, "stamp": stamp}
    if rows:
        context |= list_context(listing, rows=rows)
    if conversation is not None:
        context |= news_context(conversation, arrival)
    response = render(request, "chat/poll.html", context)
    add_never_cache_headers(response)
    return response


def number(text: str | None, *, most: int) -> int | None:
    """Raises ValueError for what is no number up to `most`; None for what is left out."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise ValueError("not a number, or out of range")
    return int(text)


@never_cache
@require_safe
def list_rows(request: HttpRequest) -> HttpResponse:
    """The next rows of the list; `begins` is the cursor of its first, which their addresses keep."""
    try:
        listing = Listing.of(request.GET)
        begins = replace(listing, cursor=request.GET.get("begins", ""))
        context = {"listing": begins, "page": listing.page()}
    except ValueError:
        return HttpResponse(status=400)
    context["selected_id"] = parse_id(request.GET.get("selected"))
    return render(request, "chat/rows.html", context)


@never_cache
@require_safe
def thread_messages(request: HttpRequest, id: str) -> HttpResponse:
    """The messages before or after one of a thread that is shown, and the way further on."""
    conversation = conversation_or_404(id)
    thread_page = thread_page_of(request, conversation)
    if thread_page is None:
        raise Http404
    context = thread_context(conversation, thread_page)
    if "before" in request.GET:
        context["newer_follow"] = True
    elif "after" in request.GET:
        context |= {
            "older_precede": True,
            "entries": list(entries(thread_page, below=thread_page.above)),
        }
    return render(request, "chat/messages.html", context)


# The list


def list_context(listing: Listing, *, rows: int = INBOX_PAGE) -> dict[str, Any]:
    listed = listing.page(rows)
    counts = Conversation.objects.counts()
    return {
        "listing": listing,
        "page": listed,
        "filters": [(filter, counts[filter]) for filter in Filter],
        "sorts": Sort,
        "counts": stamp_of_counts(counts),
    }


def stamp_of_counts(counts: dict[Filter, int]) -> str:
    return "-".join(str(counts[filter]) for filter in Filter)


# Search


def search_context(request: HttpRequest, query: str) -> dict[str, Any]:
    """Hits; a 400 where this page of them does not exist."""
    found = MessageWords.objects.search(query)
    cursor = request.GET.get("hits_cursor", "")
    try:
        hits = page_of(found, ("-message_id",), size=SEARCH_PAGE, cursor=cursor)
    except BadCursor:
        return {"is_search": True, "status": 400}
    terms = terms_of(query)
    snippets = [(hit.message, snippet(hit.message.content, terms)) for hit in hits.rows]
    return {"is_search": True, "hits": snippets, "next_hits": hits.next}


def place_of(query: str) -> str | None:
    """The page of what has this id, or of the one conversation that is shown by these eight letters."""
    if conversation := Conversation.objects.find_short(query):
        return reverse("thread", args=[conversation.pk])
    id = parse_id(query)
    if id is None:
        return None
    if message := Message.objects.filter(id=id).only("id", "conversation_id").first():
        return f"{reverse('thread', args=[message.conversation_id])}?message={message.id}"
    if Conversation.objects.filter(pk=id).exists():
        return reverse("thread", args=[id])
    return None


# The thread


def conversation_or_404(id: str) -> Conversation:
    conversation = Conversation.objects.find(parse_id(id))
    if conversation is None:
        raise Http404
    return conversation


def thread_page_of(
    request: HttpRequest, conversation: Conversation, *, is_whole: bool = False
) -> ThreadPage | None:
    """The newest messages, or those around, before or after the one that the address names.

    None where it names none of them. A whole page, which has nothing above or below it, shows the
    end of the thread where there is nothing beyond it.
    """
    messages = conversation.messages.all()
    for name, side in SIDES.items():
        if name in request.GET:
            id = parse_id(request.GET[name])
            found = messages.page_at(side, id, THREAD_PAGE)
            if is_whole and found and not found.messages:
                return messages.page_at("around", id, THREAD_PAGE)
            return found
    return messages.newest(THREAD_PAGE)


def thread_context(conversation: Conversation, thread_page: ThreadPage) -> dict[str, Any]:
    return {
        "selected": conversation,
        "thread": thread_page,
        "entries": list(entries(thread_page)),
        "arrival": latest_arrival(conversation, thread_page),
        "display_time_zone": settings.DISPLAY_TIME_ZONE,
    }


def latest_arrival(conversation: Conversation, thread_page: ThreadPage) -> int:
    """What arrives from now on has a higher one."""
    if thread_page.has_newer:
        thread_page = conversation.messages.newest(1)
    return max((message.arrival for message in thread_page.messages), default=0)


def history_context(conversation: Conversation) -> dict[str, Any]:
    """What was refused for it, the latest, and how much that is."""
    refused = list(Delivery.objects.refused_for(conversation.pk)[: MOST_HISTORY + 1])
    count = f"{MOST_HISTORY}+" if len(refused) > MOST_HISTORY else str(len(refused))
    return {"history": refused[:MOST_HISTORY], "history_count": count}


def news_context(conversation: Conversation, arrival: int | None) -> dict[str, Any]:
    """What arrived since; none where the page does not reach to the end of its thread."""
    if arrival is None:
        return {"news": []}
    news = list(conversation.messages.filter(arrival__gt=arrival).order_by("arrival")[:MOST_NEWS])
    context: dict[str, Any] = {"news": entries(ThreadPage(news))}
    if len(news) == MOST_NEWS:
        context["stamp"] = ""  # there may be more: the next poll asks again at once
    return context
