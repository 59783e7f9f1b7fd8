"""The statistics."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat.cards import cards_of, now_of
from chat.forms import StatsForm
from chat.statistics import statistics_of
from chat.views.page import page


@never_cache
@require_safe
def stats(request: HttpRequest) -> HttpResponse:
    """A bad period is a 400 that still shows the form."""
    form = StatsForm.asked(request.GET)
    context: dict[str, Any] = {"form": form, "section": "stats", "status": 400}
    if form.is_valid():
        found = statistics_of(form.cleaned_data["days"])
        figures = {"stats": found, "now": now_of(found), "cards": cards_of(found)}
        context |= figures | {"status": 200}
    return page(request, "chat/stats.html", context)
