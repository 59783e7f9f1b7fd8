"""What became of a delivery, and why, in the reader's language."""

from typing import TYPE_CHECKING

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.models import Delivery

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

# The code of every refusal that the log can hold.
REASONS: dict[str, "StrPromise"] = {
    "invalid_json": _("The body is not valid JSON."),
    "invalid_event": _("The body is JSON, but not a valid event."),
    "id_conflict": _("The id already stands for something else; the first stays."),
    "conversation_not_found": _("The conversation was not known."),
    "conversation_closed": _("The conversation was closed."),
}
NOTICES: dict[str, "StrPromise"] = {
    Delivery.Outcome.APPLIED: _("Applied: it has taken effect now."),
    Delivery.Outcome.DUPLICATE: _("It had taken effect already; nothing has changed."),
}


def reason(code: str) -> str:
    """A sentence; the code itself when an older version logged one that this one does not know."""
    return str(REASONS.get(code, code))


def notice(outcome: str, code: str) -> str:
    """What applying again has done."""
    if code:
        return gettext("Refused again: %(reason)s") % {"reason": reason(code)}
    return str(NOTICES[outcome])
