"""A customer's texts after closing: their bubbles under the thread, and the button "Dealt with"."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models.functions import Length
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext

from chat.events import dealing
from chat.events.payloads import NewMessage, parse, parse_id
from chat.models import MOST_OF_BODY, Conversation, Dealing, Delivery, preview_of
from chat.refusals import InvalidPayload
from chat.views.listing import Listing
from chat.views.page import nothing_here
from chat.views.seen import user_of

MOST_TEXTS = 50


@dataclass(frozen=True, slots=True)
class RefusedText:
    """A text refused after closing. `content` is empty if the text is too large to show here."""

    delivery: Delivery
    content: str

    @property
    def timestamp(self) -> datetime | None:
        return self.delivery.timestamp


def after_closing_context(conversation: Conversation) -> dict[str, Any]:
    """Return the newest texts, the number of older ones, and the mark "Dealt with" if set."""
    if not conversation.wrote_after_closing_count:
        return {}
    texts = refused_texts(conversation)
    return {
        "refused_texts": texts,
        "older_texts": max(0, conversation.wrote_after_closing_count - len(texts)),
        "dealing": dealing_of(conversation),
    }


def refused_texts(conversation: Conversation) -> list[RefusedText]:
    log = Delivery.objects.written_after_closing(conversation.pk)
    sizes = log.reverse().annotate(size=Length("body")).values_list("pk", "size")[:MOST_TEXTS]
    small = [pk for pk, size in sizes if size <= MOST_OF_BODY]
    bodies = dict(log.filter(pk__in=small).values_list("pk", "body"))
    rows = log.filter(pk__in=[pk for pk, _ in sizes]).defer("body")
    return [RefusedText(row, content_in(bytes(bodies.get(row.pk, b"")))) for row in rows]


def content_in(body: bytes) -> str:
    """Return the text of a NEW_MESSAGE. Empty for other bodies, and if today's rules refuse the event."""
    try:
        event = parse(body)
    except InvalidPayload:
        return ""
    return event.data.content if isinstance(event, NewMessage) else ""


def words_of_row(conversation: Conversation) -> str:
    """Return the beginning of the customer's last text after closing, until somebody has dealt with it.

    Empty if its row was read without `refused_body`, or the body is too large for a row.
    """
    body = getattr(conversation, "refused_body", None)
    return preview_of(content_in(bytes(body))) if body else ""


def dealing_of(conversation: Conversation) -> Dealing | None:
    """Return the mark "Dealt with": its user and its time. None if nobody has dealt with the texts."""
    if conversation.dealt_with_at is None:
        return None
    held = conversation.dealings.filter(undone_at=None).select_related("by")
    return held.order_by("id").last()


# The buttons


def deal_with(request: HttpRequest, id: str) -> HttpResponse:
    """Mark the texts shown with the form as dealt with. htmx gets 204, or 409 if the customer wrote again."""
    conversation = Conversation.objects.find(parse_id(id))
    if conversation is None:
        return nothing_here(request)
    done = dealing.deal_with(
        conversation.pk,
        by=user_of(request),
        seen=number_of_texts(request.POST.get("seen", "")),
        at=timezone.now(),
    )
    return answered(request, conversation, is_done=done)


def number_of_texts(text: str) -> int:
    """Return the number of texts shown with the form. 0 for anything else, so nothing is marked."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def undo(request: HttpRequest, id: str) -> HttpResponse:
    conversation = Conversation.objects.find(parse_id(id))
    if conversation is None:
        return nothing_here(request)
    done = dealing.undo(conversation.pk, by=user_of(request), at=timezone.now())
    return answered(request, conversation, is_done=done)


def answered(request: HttpRequest, conversation: Conversation, *, is_done: bool) -> HttpResponse:
    if "HX-Request" in request.headers:
        response = HttpResponse(status=204 if is_done else 409)
        response.for_people = True  # type: ignore[attr-defined] # no error page for a script
        add_never_cache_headers(response)
        return response
    if not is_done:
        messages.warning(
            request, gettext("Nothing was marked, because something has changed. Look again.")
        )
    return redirect(address_to_go_on(request, conversation))


def address_to_go_on(request: HttpRequest, conversation: Conversation) -> str:
    """Return the address of the list named in the form, or of the thread beside the list."""
    try:
        query = Listing.of(request.POST).query()
    except ValueError:
        query = ""
    if request.POST.get("from") == "list":
        return f"{reverse('inbox')}{query}"
    if text := request.POST.get("q"):
        query = f"?{urlencode({'q': text})}"
    return f"{reverse('thread', args=[conversation.pk])}{query}"
