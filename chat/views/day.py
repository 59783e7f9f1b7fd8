"""The jump to a day of a thread."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest

from chat.models import Conversation
from chat.views.searching import day_field, start_of

# The parameters of a thread's address replaced by a jump.
REPLACED = "date", "message", "before", "after", "full"


class NotADay(ValueError):
    """The `date` of the address is not a date, or not of our years."""


def address_of_day(request: HttpRequest, conversation: Conversation) -> str | None:
    """Return the address of the first message of the day in `date`, or of a later day. None without `date`.

    Without such a message, return the address of the thread at its end. Raises NotADay.
    """
    try:
        day = day_field("").clean(request.GET.get("date", ""))
    except ValidationError as error:
        raise NotADay from error
    if day is None:
        return None
    parameters = request.GET.copy()
    for name in REPLACED:
        parameters.pop(name, None)
    if message := conversation.messages.first_from(start_of(day)):
        parameters["message"] = str(message.id)
    return f"{request.path}?{parameters.urlencode()}"
