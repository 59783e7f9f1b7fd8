"""The layout of a thread: days, and groups of messages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from chat.models import Message

# The same as in static/chat/layout.js, the layout in the reader's zone.
TOGETHER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message. `is_joined` if the message continues the one above.

    `day` is set on the first message of a day, and on the first message on screen.
    """

    message: Message
    day: datetime | None
    is_joined: bool


def entries(messages: Iterable[Message], *, below: Message | None = None) -> Iterator[Entry]:
    """Yield the entries in the current time zone. `below` is the message above them on screen."""
    above = below
    for message in messages:
        is_new_day = above is None or day_of(above) != day_of(message)
        is_joined = (
            above is not None
            and not is_new_day
            and above.direction == message.direction
            and message.timestamp - above.timestamp <= TOGETHER
        )
        yield Entry(message, message.timestamp if is_new_day else None, is_joined)
        above = message


def day_of(message: Message) -> date:
    return timezone.localdate(message.timestamp)
