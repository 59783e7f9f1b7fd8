"""The inbox with its thread, the fragments of both, and the poll for their changes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers
from django.utils.translation import override
from django.views.decorators.cache import never_cache

from chat.bodies import streamed
from chat.events.payloads import parse_id
from chat.health.silence import silent_since
from chat.models import (
    Conversation,
    Delivery,
    Filter,
    Message,
    Side,
    Sort,
    ThreadPage,
    latest_cursor,
)
from chat.views.after_closing import after_closing_context
from chat.views.day import NotADay, address_of_day
from chat.views.heard import heard_after
from chat.views.listing import INBOX_PAGE, Listing
from chat.views.markup import piece
from chat.views.page import number, page
from chat.views.searching import address_of_pasted_id, search_context
from chat.views.seen import seen_context, user_of
from chat.views.thread import entries

THREAD_PAGE = 50
MOST_ROWS = 500
MOST_NEWS = 200
MOST_ARRIVAL = 2**63 - 1
MOST_HISTORY = 50
MOST_READINGS = 3
# "Needs reply" stands first.
SHOWN_FILTERS = sorted(Filter, key=Filter.NEEDS_REPLY.__ne__)
PLACE_OF_MESSAGES = "<!-- messages -->"
# The parameters with a message's id, and the side of the message for each.
SIDE_OF_PARAMETER: dict[str, Side] = {"message": "around", "before": "before", "after": "after"}


# Pages


@never_cache
def inbox(request: HttpRequest, id: str = "") -> HttpResponse:
    """Answer with both panes.

    A bad list or day is a 400, an unknown conversation or message a 404. Each shows the other pane.
    A day leads to the address of its first message.
    """
    query, conversation_id = request.GET.get("q", ""), parse_id(id)
    # Cursor and stamp first, so a change before the other reads is sent twice and never missed.
    after = latest_cursor()
    stamp, left, is_good = left_pane(request, query, conversation_id)
    conversation = Conversation.objects.find(conversation_id)
    try:
        if conversation and (address := address_of_day(request, conversation)):
            return redirect(address)
        right, is_found = thread_pane(request, id, conversation)
    except NotADay:
        right, is_good = {"selected": conversation, "is_bad_day": True}, False
    context = left | right
    context |= {"query": query, "section": "inbox", "after": after, "stamp": stamp}
    if not id and context.get("waiting_count"):
        context["longest_waiting"] = Conversation.objects.longest_waiting()
    status = 400 if not is_good else 200 if is_found else 404
    return page(request, "chat/inbox.html", context, status=status)


def left_pane(
    request: HttpRequest, query: str, id: UUID | None
) -> tuple[str, dict[str, Any], bool]:
    """Return the stamp and the context of the list or the search, and whether the address is valid."""
    if query:
        stamp = Listing().stamp(0, id)
        context = search_context(request, query)
        return stamp, context, not context["is_bad_page"]
    try:
        listing = Listing.of(request.GET)
        stamp = listing.stamp(INBOX_PAGE, id)
        return stamp, list_context(request, listing), True
    except ValueError:
        return "", list_context(request, Listing()) | {"is_bad_list": True}, False


def thread_pane(
    request: HttpRequest, id: str, conversation: Conversation | None
) -> tuple[dict[str, Any], bool]:
    """Return the context of the thread, and whether its conversation and message exist."""
    if conversation is None:
        return {"is_missing": bool(id)}, not id
    conversation, thread_page = steady_page_of(request, conversation)
    context = thread_context(conversation, thread_page or ThreadPage([]))
    context |= history_context(conversation) | after_closing_context(conversation)
    context |= {
        "selected_id": conversation.pk,
        "highlighted": parse_id(request.GET.get("message")),
        "full": parse_id(request.GET.get("full")),
        "is_missing": thread_page is None,
    }
    return context, thread_page is not None


@never_cache
def search(request: HttpRequest) -> HttpResponse:
    """Answer with the hits. A pasted id leads straight to its conversation or message."""
    query = request.GET.get("q", "")
    if address := address_of_pasted_id(query.strip()):
        return redirect(address)
    context = {"query": query, "section": "inbox"} | search_context(request, query)
    status = 400 if context["is_bad_page"] else 200
    return page(request, "chat/inbox.html", context, status=status)


@never_cache
def print_thread(request: HttpRequest, id: str) -> StreamingHttpResponse:
    """Stream all messages of a thread, without panes. HEAD reads none of them."""
    conversation = conversation_or_404(id)
    if request.method == "HEAD":
        return StreamingHttpResponse(())
    return streamed(printed(request, conversation), messages=conversation.message_count)


def printed(request: HttpRequest, conversation: Conversation) -> Iterator[str]:
    """Yield the page around the messages, and the messages of one query at a time in between."""
    context = thread_context(conversation, ThreadPage([])) | {"is_whole": True}
    context |= after_closing_context(conversation)
    head, tail = rendered(request, "chat/print.html", context).split(PLACE_OF_MESSAGES)
    yield head
    above = None
    for messages in conversation.messages.in_chunks():
        context["entries"] = entries(messages, below=above)
        yield rendered(request, "chat/bubbles.html", context)
        above = messages[-1] if messages else None
    yield tail


def rendered(request: HttpRequest, template: str, context: dict[str, Any]) -> str:
    """Render in the reader's language: other requests in this thread may have activated another one."""
    with override(getattr(request, "LANGUAGE_CODE", None)):
        return render_to_string(template, context, request)


# Fragments


def poll(request: HttpRequest) -> HttpResponse:
    """Answer with all changes since the page's stamp, or 204 if nothing has changed.

    The page sends `counts` now and then, because the stamp does not cover the filters' numbers.
    A header tells of an unusual silence of the sender, because then the answers have no body.
    """
    response = changes_since(request)
    if "after" in request.GET and (since := silent_since()):
        response["X-Silent-Since"] = since.isoformat()
    return response


def changes_since(request: HttpRequest) -> HttpResponse:
    try:
        listing, rows = Listing.of(request.GET), number(request.GET.get("rows"), most=MOST_ROWS)
        arrival = number(request.GET.get("arrival"), most=MOST_ARRIVAL)
        id = parse_id(request.GET.get("conversation"))
        stamp = listing.stamp(rows or 0, id)
    except ValueError:
        return HttpResponse(status=400)
    counts = request.GET.get("counts")
    are_counts_right = counts is None or counts == counts_in_short(Conversation.objects.counts())
    is_same = are_counts_right and stamp == request.GET.get("stamp")
    heard = heard_after(request.GET, user_of(request))
    if is_same and heard is None:
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    if is_same:
        return poll_answer(request, {"heard": heard, "stamp": stamp})
    conversation = Conversation.objects.find(id)
    news = news_of(conversation, arrival) if conversation else []
    context: dict[str, Any] = {
        "selected": conversation,
        "selected_id": id,
        "heard": heard,
        "arrival": news[-1].arrival if news else arrival,
        "news": entries(news),
        # There may be more messages: without a stamp the next poll asks for them.
        "stamp": stamp if len(news) < MOST_NEWS else "",
    }
    if rows:
        context |= list_context(request, listing, rows=rows)
        if id is None and context["waiting_count"]:
            context["longest_waiting"] = Conversation.objects.longest_waiting()
    if conversation:
        context |= after_closing_context(conversation)
    return poll_answer(request, context)


def poll_answer(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    response = render(request, "chat/poll.html", context | {"is_poll": True})
    add_never_cache_headers(response)
    return response


@never_cache
def list_rows(request: HttpRequest) -> HttpResponse:
    """Answer with the next rows. Their addresses keep `begins`, the cursor of the list's first row."""
    try:
        listing = Listing.of(request.GET)
        list_on_screen = replace(listing, cursor=request.GET.get("begins", ""))
        listed = listing.page()
    except ValueError:
        return HttpResponse(status=400)
    context = {"listing": list_on_screen, "page": listed, **seen_context(request, listed.rows)}
    context["selected_id"] = parse_id(request.GET.get("selected"))
    return render(request, "chat/rows.html", context)


@never_cache
def thread_messages(request: HttpRequest, id: str) -> HttpResponse:
    """Answer with the messages before or after one message, and the link to the next page."""
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
            "entries": list(entries(thread_page.messages, below=thread_page.above)),
        }
    return render(request, "chat/messages.html", context)


@never_cache
def message_text(request: HttpRequest, id: str) -> HttpResponse:
    """Answer with the piece of a message's text from the character `from` on."""
    message = message_or_404(id)
    try:
        begin = number(request.GET.get("from", ""), most=len(message.content) - 1)
    except ValueError:
        raise Http404 from None
    context = {"message": message, "piece": piece(message.content, begin or 0)}
    return page(request, "chat/piece.html", context)


@never_cache
def message_source(request: HttpRequest, id: str) -> HttpResponse:
    """Answer with the text of a message exactly as stored."""
    return HttpResponse(message_or_404(id).content, content_type="text/plain; charset=utf-8")


def message_or_404(id: str) -> Message:
    """Return the message. Raises Http404, also for an erased message, because its text is gone."""
    uuid = parse_id(id)
    message = Message.objects.filter(id=uuid).first() if uuid else None
    if message is None or message.is_erased:
        raise Http404
    return message


# The list


def list_context(
    request: HttpRequest, listing: Listing, *, rows: int = INBOX_PAGE
) -> dict[str, Any]:
    listed = listing.page(rows)
    counts = Conversation.objects.counts()
    return {
        "listing": listing,
        "page": listed,
        "rows": rows,
        "filters": [(filter, counts[filter]) for filter in SHOWN_FILTERS],
        "waiting_count": counts[Filter.NEEDS_REPLY],
        "sorts": Sort,
        "counts": counts_in_short(counts),
        **seen_context(request, listed.rows),
    }


def counts_in_short(counts: dict[Filter, int]) -> str:
    return "-".join(str(counts[filter]) for filter in Filter)


# The thread


def conversation_or_404(id: str) -> Conversation:
    conversation = Conversation.objects.find(parse_id(id))
    if conversation is None:
        raise Http404
    return conversation


def thread_page_of(
    request: HttpRequest, conversation: Conversation, *, is_whole: bool = False
) -> ThreadPage | None:
    """Return the newest messages, or the messages around, before or after the address's message.

    None if the conversation lacks the message. A whole page (`is_whole`) is never empty: beyond the
    thread's end, return the newest messages.
    """
    messages = conversation.messages.all()
    for name, side in SIDE_OF_PARAMETER.items():
        if name in request.GET:
            id = parse_id(request.GET[name])
            thread_page = messages.page_at(side, id, THREAD_PAGE)
            if is_whole and thread_page and not thread_page.messages:
                return messages.page_at("around", id, THREAD_PAGE)
            return thread_page
    return messages.newest(THREAD_PAGE)


def steady_page_of(
    request: HttpRequest, conversation: Conversation
) -> tuple[Conversation, ThreadPage | None]:
    """Return the row and the messages of one moment, so that the row's numbers count what is shown.

    In a thread that is written to all the time the row may be older than the messages, and never newer:
    a number of messages that nobody has seen would count as seen.
    """
    for _ in range(MOST_READINGS):
        row, thread_page = conversation, thread_page_of(request, conversation, is_whole=True)
        conversation = Conversation.objects.find(row.pk) or row
        if conversation.revision == row.revision:
            break
    return row, thread_page


def thread_context(conversation: Conversation, thread_page: ThreadPage) -> dict[str, Any]:
    return {
        "selected": conversation,
        "thread": thread_page,
        "entries": list(entries(thread_page.messages)),
        "arrival": latest_arrival(conversation, thread_page),
        "reply_url": settings.REPLY_URL.replace("{id}", str(conversation.pk)),
        "display_time_zone": settings.DISPLAY_TIME_ZONE,
    }


def latest_arrival(conversation: Conversation, thread_page: ThreadPage) -> int:
    """Return the newest message's arrival number. Every later message has a higher number."""
    if thread_page.has_newer:
        thread_page = conversation.messages.newest(1)
    return max((message.arrival for message in thread_page.messages), default=0)


def history_context(conversation: Conversation) -> dict[str, Any]:
    """Return the latest refused deliveries of this conversation, and their number."""
    refused = list(Delivery.objects.refused_for(conversation.pk)[: MOST_HISTORY + 1])
    count = f"{MOST_HISTORY}+" if len(refused) > MOST_HISTORY else str(len(refused))
    return {"history": refused[:MOST_HISTORY], "history_count": count}


def news_of(conversation: Conversation, arrival: int | None) -> list[Message]:
    """Return the messages with a later arrival, MOST_NEWS at most.

    Empty if `arrival` is None, because such a page does not show the end of the thread.
    """
    if arrival is None:
        return []
    later = conversation.messages.filter(arrival__gt=arrival)
    return list(later.order_by("arrival")[:MOST_NEWS])
