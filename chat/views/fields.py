"""Fields shared by the filters of several pages. Validation needs no database."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from chat.database import YEARS
from chat.events.payloads import parse_id
from chat.views.pasted import spellings_of

# Django's own messages repeat the value of the request.
NOT_LISTED = {"invalid_choice": _("Choose one from the list.")}

FIRST_TIME, LAST_TIME = (
    datetime(YEARS[0], 1, 1, tzinfo=UTC),
    datetime(YEARS[-1], 12, 31, tzinfo=UTC),
)
NOT_A_TIME = _("Give a date from 1970 on, and a time, in the form 2026-12-31 23:59.")
# The longest webhook id kept in the log; and a length with room for an address with two ids.
PRINTABLE = re.compile("[ -~]{1,255}")
LONGEST_ADDRESS = 1000


def choice_field(label: Any, choices: Any) -> forms.ChoiceField:
    """Return the field of one choice, or of any."""
    listed = [("", _("Any")), *choices]
    return forms.ChoiceField(label=label, required=False, choices=listed, error_messages=NOT_LISTED)


def time_field(label: Any) -> forms.DateTimeField:
    """Return the field of a date and time, in DISPLAY_TIME_ZONE unless it has an offset."""
    bounds = [MinValueValidator(FIRST_TIME, NOT_A_TIME), MaxValueValidator(LAST_TIME, NOT_A_TIME)]
    return forms.DateTimeField(
        label=label,
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
        help_text=settings.DISPLAY_TIME_ZONE,  # the page shows times in the zone of the browser
        error_messages={"invalid": NOT_A_TIME},
        validators=bounds,
    )


class IdField(forms.CharField):
    """Any id, as people paste ids. The cleaned value is a tuple of spellings: one may be stored."""

    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_ADDRESS, **options)

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return the spellings. Raises ValidationError for a text impossible as an id, ours or a sender's."""
        text = super().clean(value)
        ids = tuple(id for id in spellings_of(text) if PRINTABLE.fullmatch(id))
        if text and not ids:
            raise forms.ValidationError(
                _("This is no id. Paste one id alone, or the address of a page."), code="invalid_id"
            )
        return ids


class ConversationField(forms.CharField):
    """The id of a conversation. An empty field is None."""

    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})

    def clean(self, value: Any) -> UUID | None:
        """Return the id, or None. Raises ValidationError for anything but a whole id."""
        text = super().clean(value)
        id = parse_id(text)
        if text and id is None:
            raise forms.ValidationError(
                _("Give the whole id, in the form 8-4-4-4-12."), code="invalid_id"
            )
        return id
