"""A thread as it is laid out: days, and messages that stand together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone

from chat.models import Message, ThreadPage

# static/chat/layout.js lays out by the same rule, in the reader's zone.
TOGETHER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message; `day` when it is the first of one, `is_joined` when it goes on from the one above.

    The first that is shown tells its day, whatever stands above it on another page.
    """

    message: Message
    day: datetime | None
    is_joined: bool


def entries(page: ThreadPage, *, below: Message | None = None) -> Iterator[Entry]:
    """Laid out in the current time zone; `below` a message that is shown already."""
    above = below
    for message in page.messages:
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
