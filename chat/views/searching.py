"""The search: its filters, its hits, and pasted ids."""

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from chat.database import YEARS
from chat.database.keyset import BadCursor
from chat.events.payloads import parse_id
from chat.models import Conversation, Direction, HitFilters, Message, find_messages
from chat.text.expressions import expression_of, has_signs, has_words, terms_of
from chat.text.snippets import snippet
from chat.views.fields import ConversationField, choice_field
from chat.views.markup import OVERRIDES
from chat.views.pasted import pasted_ids

SEARCH_PAGE = 30
FIRST_DAY, LAST_DAY = date(YEARS[0], 1, 1), date(YEARS[-1], 12, 31)
NOT_A_DAY = _("Give a date from 1970 on, in the form 2026-12-31.")


def day_field(label: Any) -> forms.DateField:
    bounds = [MinValueValidator(FIRST_DAY, NOT_A_DAY), MaxValueValidator(LAST_DAY, NOT_A_DAY)]
    return forms.DateField(
        label=label,
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"invalid": NOT_A_DAY},
        validators=bounds,
    )


class SearchForm(forms.Form):
    """The filters of a search. Validation needs no database. Days are of DISPLAY_TIME_ZONE."""

    direction = choice_field(_("Direction"), [("RECEIVED", _("Received")), ("SENT", _("Sent"))])
    state = choice_field(
        _("State of the conversation"), [("OPEN", _("Open")), ("CLOSED", _("Closed"))]
    )
    conversation = ConversationField(label=_("In this conversation"), required=False)
    exact = forms.BooleanField(label=_("Exact phrase"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["from"] = day_field(_("From"))  # "from" is a word of Python
        self.fields["to"] = day_field(_("To"))
        self.order_fields(["from", "to", "direction", "state", "conversation", "exact"])

    def clean(self) -> None:
        first, last = self.cleaned_data.get("from"), self.cleaned_data.get("to")
        if first and last and first > last:
            self.add_error("to", _("The last day is before the first."))

    @property
    def filters(self) -> HitFilters:
        """The filters of a valid form."""
        values = self.cleaned_data
        return HitFilters(
            since=values["from"] and start_of(values["from"]),
            until=values["to"] and start_of(values["to"] + timedelta(days=1)),
            direction=values["direction"] and Direction(values["direction"]),
            state=values["state"],
            conversation=values["conversation"],
            is_exact=values["exact"],
        )

    @property
    def parameters(self) -> dict[str, str]:
        """The filters as the address has them, without empty ones."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(settings.DISPLAY_TIME_ZONE))


# Hits


def search_context(request: HttpRequest, query: str) -> dict[str, Any]:
    """Return a page of hits with their snippets. `is_bad_page` if the cursor or a filter is invalid."""
    form = SearchForm(request.GET)
    context: dict[str, Any] = {"is_search": True, "is_bad_page": True, "search_form": form}
    context["search_filters"] = form.parameters
    cursor = request.GET.get("hits_cursor", "")
    try:
        if not form.is_valid():
            return context
        page = find_messages(query, form.filters, size=SEARCH_PAGE, cursor=cursor)
    except BadCursor:
        return context
    terms = terms_of(expression_of(query))
    return context | {
        "is_bad_page": False,
        "hits": [
            (message, snippet(message.beginning.translate(OVERRIDES), terms))
            for message in page.rows
        ],
        "next_hits": page.next,
        "next_query": urlencode({"q": query} | form.parameters | {"hits_cursor": page.next}),
        "has_words": has_words(query),
        "has_signs": has_signs(query),
    }


# Pasted ids


def address_of_pasted_id(query: str) -> str | None:
    """Return the address of the message or conversation with this id, short id or address, or None.

    The id may be in quotes, brackets or a sentence's end, a URN, or without its hyphens.
    """
    ids = pasted_ids(query)
    for text in ids:
        if conversation := Conversation.objects.find_short(text):
            return reverse("thread", args=[conversation.pk])
        id = parse_id(text)
        if id is None:
            continue
        if message := Message.objects.filter(id=id).only("id", "conversation_id").first():
            return message.get_absolute_url()
        if Conversation.objects.filter(pk=id).exists():
            return reverse("thread", args=[id])
    return None
