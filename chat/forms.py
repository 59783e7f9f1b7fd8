"""What a page's form asks for, checked: a bad value is an error and never ignored."""

from typing import Any
from uuid import UUID

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from chat.keyset import BadCursor, Page, decoded, page_of
from chat.models import Delivery
from chat.payloads import parse_id
from chat.reasons import REASONS
from chat.statistics import DEFAULT_PERIOD, PERIODS

NEWEST_FIRST = ("-id",)
DELIVERIES_PAGE = 50
# None of them repeats what was sent.
NOT_LISTED = {"invalid_choice": _("Choose one from the list.")}


def any_or(choices: Any) -> list[tuple[str, Any]]:
    return [("", _("Any")), *choices]


class DeliveriesForm(forms.Form):
    """Which deliveries, and after which. Asks no database."""

    outcome = forms.ChoiceField(
        label=_("Outcome"),
        required=False,
        choices=any_or(Delivery.Outcome.choices),
        error_messages=NOT_LISTED,
    )
    code = forms.ChoiceField(
        label=_("Reason"),
        required=False,
        choices=any_or(REASONS.items()),
        error_messages=NOT_LISTED,
    )
    type = forms.ChoiceField(
        label=_("Type"),
        required=False,
        choices=any_or(Delivery.Type.choices),
        error_messages=NOT_LISTED,
    )
    conversation = forms.CharField(
        label=_("Conversation"),
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)

    FILTERS = ("outcome", "code", "type", "conversation")

    def clean_conversation(self) -> UUID | None:
        given = self.cleaned_data["conversation"]
        id = parse_id(given)
        if given and id is None:
            raise forms.ValidationError(
                _("Give the whole id, in the form 8-4-4-4-12."), code="invalid_id"
            )
        return id

    def clean_cursor(self) -> str:
        cursor: str = self.cleaned_data["cursor"]
        try:
            if cursor:
                decoded(cursor, Delivery, NEWEST_FIRST)
        except BadCursor:
            raise forms.ValidationError(
                _("This page cannot be found. Start from the newest."), code="invalid_cursor"
            ) from None
        return cursor

    def page(self) -> Page[Delivery]:
        """Of a valid form: the deliveries that it asks for, the newest first."""
        asked = {name: self.cleaned_data[name] for name in self.FILTERS}
        return page_of(
            Delivery.objects.for_list().matching(**asked),
            NEWEST_FIRST,
            size=DELIVERIES_PAGE,
            cursor=self.cleaned_data["cursor"],
        )

    @property
    def narrows(self) -> bool:
        """Whether anything is asked for but the newest of all."""
        return any(self.data.get(name) for name in (*self.FILTERS, "cursor"))


NAMES = _("Last 7 days"), _("Last 30 days"), _("Last 90 days")


class StatsForm(forms.Form):
    """The period of the statistics; a missing one is the default, any other value an error."""

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
    def asked(cls, query: QueryDict) -> "StatsForm":
        return cls({"days": query.get("days", DEFAULT_PERIOD)})
