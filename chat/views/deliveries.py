"""The log of deliveries, and the button to apply a delivery again."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from chat.database.keyset import BadCursor, Page, decoded
from chat.events import ingest
from chat.models import LOOKED_AT, SHOWN_OF_BODY, Conversation, Delivery, LogFilters
from chat.problems import request_id
from chat.refusals import OF_EVENTS, ReplayCannotHelp, reason_of
from chat.views.fields import IdField, choice_field, time_field
from chat.views.page import nothing_here, page
from chat.views.shown_bodies import readable

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

DELIVERIES_PAGE = 50


class DeliveriesForm(forms.Form):
    """The filters and the cursor of the log. Validation needs no database."""

    id = IdField(
        label=_("Request, webhook, message or conversation id"),
        required=False,
    )
    received_from = time_field(_("Received from"))
    received_to = time_field(_("Received before"))
    outcome = choice_field(_("Outcome"), Delivery.Outcome.choices)
    code = choice_field(_("Reason"), [(refusal.code, refusal.reason) for refusal in OF_EVENTS])
    type = choice_field(_("Type"), Delivery.Type.choices)
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean(self) -> None:
        since, until = (self.cleaned_data.get(f"received_{end}") for end in ("from", "to"))
        if since and until and since >= until:
            self.add_error("received_to", _("The end is not after the start."))
        try:
            if not self.errors and (cursor := self.cleaned_data["cursor"]):
                decoded(cursor, Delivery, self.filters().ordering)
        except BadCursor:
            self.add_error("cursor", _("This page cannot be found. Start from the newest."))

    def filters(self, *ids: str) -> LogFilters:
        """Return the filters of a valid form. Each of `ids` is another spelling of its id."""
        values = {name: value for name, value in self.cleaned_data.items() if name != "cursor"}
        return LogFilters(ids=(*values.pop("id"), *ids), **values)

    def page(self) -> Page[Delivery]:
        """Return the page of a valid form, the newest deliveries first."""
        ids, cursor = self.cleaned_data["id"], self.cleaned_data["cursor"]
        conversations = [Conversation.objects.find_short(id) for id in ids]
        filters = self.filters(*(str(each.pk) for each in conversations if each))
        return Delivery.objects.page(filters, size=DELIVERIES_PAGE, cursor=cursor)

    @property
    def is_filtered(self) -> bool:
        """Whether the form has a filter or a cursor."""
        return any(self.data.get(name) for name in self.fields)


@never_cache
def deliveries(request: HttpRequest) -> HttpResponse:
    """Answer with a page of the log. A bad filter is a 400 with the error in the form."""
    form = DeliveriesForm(parameters_of(request))
    listed = form.page() if form.is_valid() else None
    context: dict[str, Any] = {"form": form, "page": listed, "section": "deliveries"}
    context["looked_at"] = LOOKED_AT
    if listed and request.user.is_staff:
        worth = Delivery.objects.worth_applying_again()
        ids = [delivery.pk for delivery in listed.rows]
        context["worth_applying_again"] = set(worth.filter(pk__in=ids).values_list("pk", flat=True))
    return page(request, "chat/deliveries.html", context, status=200 if listed else 400)


def parameters_of(request: HttpRequest) -> QueryDict:
    """Return the filters of the address. An address of 0.1.0 has the id as `conversation`."""
    parameters = request.GET.copy()
    parameters.setdefault("id", parameters.get("conversation", ""))
    return parameters


@never_cache
def delivery(request: HttpRequest, number: str) -> HttpResponse:
    row = Delivery.objects.numbered(number)
    if row is None:
        return nothing_here(request)
    context: dict[str, Any] = {
        "section": "deliveries",
        "delivery": row,
        "replayed_by": row.replayed_by.order_by("id").defer("body"),
        "body_limit": SHOWN_OF_BODY,
    }
    if request.user.is_staff:
        context["body"] = readable(row.body_start())
    return page(request, "chat/delivery.html", context)


def apply_again(request: HttpRequest, number: str) -> HttpResponse:
    if not request.user.is_staff:
        raise PermissionDenied
    row = Delivery.objects.numbered(number)
    if row is None:
        return nothing_here(request)
    try:
        result = ingest.apply_again(row, at=timezone.now(), request_id=request_id(request))
    except ReplayCannotHelp as refusal:
        messages.warning(request, str(refusal.reason))
        return redirect("delivery", number)
    level = messages.WARNING if result.refusal else messages.SUCCESS
    messages.add_message(request, level, notice(result.outcome, result.code))
    return redirect("delivery", number)


NOTICES: dict[str, "StrPromise"] = {
    Delivery.Outcome.APPLIED: _("Applied: it has taken effect now."),
    Delivery.Outcome.DUPLICATE: _("It had taken effect already; nothing has changed."),
}


def notice(outcome: str, code: str) -> str:
    """Return the notice after the button has applied a delivery again."""
    if code:
        return gettext("Refused again: %(reason)s") % {"reason": reason_of(code)}
    return str(NOTICES[outcome])
