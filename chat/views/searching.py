"""The form of the search: its filters, read from an address."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from chat.events.payloads import parse_id
from chat.models import Direction, HitFilters

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)
# Django's own messages repeat the value of the request.
NOT_LISTED = {"invalid_choice": _("Choose one from the list.")}
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


def choice_field(label: Any, choices: Any) -> forms.ChoiceField:
    listed = [("", _("Any")), *choices]
    return forms.ChoiceField(label=label, required=False, choices=listed, error_messages=NOT_LISTED)


class SearchForm(forms.Form):
    """The filters of a search. Validation needs no database. Days are of DISPLAY_TIME_ZONE."""

    direction = choice_field(_("Direction"), [("RECEIVED", _("Received")), ("SENT", _("Sent"))])
    state = choice_field(
        _("State of the conversation"), [("OPEN", _("Open")), ("CLOSED", _("Closed"))]
    )
    conversation = forms.CharField(
        label=_("In this conversation"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    exact = forms.BooleanField(label=_("Exact phrase"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["from"] = day_field(_("From"))  # "from" is a word of Python
        self.fields["to"] = day_field(_("To"))
        self.order_fields(["from", "to", "direction", "state", "conversation", "exact"])

    def clean_conversation(self) -> UUID | None:
        given = self.cleaned_data["conversation"]
        id = parse_id(given)
        if given and id is None:
            raise forms.ValidationError(
                _("Give the whole id, in the form 8-4-4-4-12."), code="invalid_id"
            )
        return id

    def clean(self) -> None:
        first, last = self.cleaned_data.get("from"), self.cleaned_data.get("to")
        if first and last and first > last:
            self.add_error("to", _("The last day is before the first."))

    @property
    def filters(self) -> HitFilters:
        """The filters of a valid form."""
        given = self.cleaned_data
        return HitFilters(
            since=given["from"] and start_of(given["from"]),
            until=given["to"] and start_of(given["to"] + timedelta(days=1)),
            direction=given["direction"] and Direction(given["direction"]),
            state=given["state"],
            conversation=given["conversation"],
            is_exact=given["exact"],
        )

    @property
    def given(self) -> dict[str, str]:
        """The filters as the address has them, without empty ones."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(settings.DISPLAY_TIME_ZONE))
