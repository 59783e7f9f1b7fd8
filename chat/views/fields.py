"""Fields that the filters of several pages share. Validation needs no database."""

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from chat.events.payloads import parse_id

# Django's own messages repeat the value of the request.
NOT_LISTED = {"invalid_choice": _("Choose one from the list.")}


def choice_field(label: Any, choices: Any) -> forms.ChoiceField:
    """Return the field of one choice, or of any."""
    listed = [("", _("Any")), *choices]
    return forms.ChoiceField(label=label, required=False, choices=listed, error_messages=NOT_LISTED)


class ConversationField(forms.CharField):
    """The id of a conversation. An empty field is None."""

    widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})

    def clean(self, value: Any) -> UUID | None:
        """Raises ValidationError for anything but a whole id."""
        given = super().clean(value)
        id = parse_id(given)
        if given and id is None:
            raise forms.ValidationError(
                _("Give the whole id, in the form 8-4-4-4-12."), code="invalid_id"
            )
        return id
