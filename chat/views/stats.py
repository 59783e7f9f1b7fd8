"""The statistics page."""

from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from chat.refusals import PeriodTooLong
from chat.statistics import DEFAULT_PERIOD, PERIODS, statistics_of
from chat.views.cards import cards_of, now_of
from chat.views.page import page

NAMES = _("Last 7 days"), _("Last 30 days"), _("Last 90 days")


class StatsForm(forms.Form):
    """The period of the statistics. A missing period is the default, any unknown value an error."""

    days = forms.TypedChoiceField(
        label=_("Period"),
        coerce=int,
        choices=list(zip(PERIODS, NAMES, strict=True)),
        error_messages={
            "invalid_choice": _("Choose one of the periods in the list."),
            "required": _("Choose one of the periods in the list."),
        },
    )

    @classmethod
    def of_query(cls, query: QueryDict) -> "StatsForm":
        return cls({"days": query.get("days", DEFAULT_PERIOD)})


@never_cache
def stats(request: HttpRequest) -> HttpResponseBase:
    """Answer with the statistics of the period. A bad period is a 400 with the form."""
    form = StatsForm.of_query(request.GET)
    context: dict[str, Any] = {"form": form, "section": "stats"}
    if not form.is_valid():
        return page(request, "chat/stats.html", context, status=400)
    if request.method == "HEAD":
        return StreamingHttpResponse(())
    try:
        statistics = statistics_of(form.cleaned_data["days"])
    except PeriodTooLong as refusal:
        form.add_error("days", refusal.reason)
        response = page(request, "chat/stats.html", context, status=refusal.status)
        response["Retry-After"] = refusal.headers["Retry-After"]
        return response
    context |= {"stats": statistics, "now": now_of(statistics), "cards": cards_of(statistics)}
    return page(request, "chat/stats.html", context)
