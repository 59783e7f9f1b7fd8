"""The log of deliveries, and applying one of them again."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from chat import events
from chat.bodies import readable
from chat.forms import DeliveriesForm
from chat.models import SHOWN_OF_BODY, Delivery
from chat.problems import request_id
from chat.reasons import notice
from chat.views.page import nothing_here, page


@never_cache
@require_safe
def deliveries(request: HttpRequest) -> HttpResponse:
    """The log. A bad filter is a 400 with the form, which says what is wrong."""
    form = DeliveriesForm(request.GET)
    listed = form.page() if form.is_valid() else None
    context: dict[str, Any] = {"form": form, "page": listed, "section": "deliveries"}
    if listed and request.user.is_staff:
        worth = Delivery.objects.worth_applying_again()
        ids = [delivery.pk for delivery in listed.rows]
        context["worth_applying_again"] = set(worth.filter(pk__in=ids).values_list("pk", flat=True))
    return page(request, "chat/deliveries.html", context | {"status": 200 if listed else 400})


@never_cache
@require_safe
def delivery(request: HttpRequest, number: str) -> HttpResponse:
    found = Delivery.objects.numbered(number)
    if found is None:
        return nothing_here(request)
    context: dict[str, Any] = {
        "section": "deliveries",
        "delivery": found,
        "replayed_by": found.replayed_by.order_by("id").defer("body"),
        "body_limit": SHOWN_OF_BODY,
    }
    if request.user.is_staff:
        context["body"] = readable(found.body_start())
    return page(request, "chat/delivery.html", context)


@require_POST
@csrf_protect
def apply_again(request: HttpRequest, number: str) -> HttpResponse:
    if not request.user.is_staff:
        raise PermissionDenied
    found = Delivery.objects.numbered(number)
    if found is None:
        return nothing_here(request)
    if not found.is_worth_applying_again:
        messages.warning(request, _("Nothing was done: applying this again cannot help."))
        return redirect("delivery", number)
    result = events.apply_again(found, at=timezone.now(), request_id=request_id(request))
    level = messages.WARNING if result.refusal else messages.SUCCESS
    messages.add_message(request, level, notice(result.outcome, result.code))
    return redirect("delivery", number)
