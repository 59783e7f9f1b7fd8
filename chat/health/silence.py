"""Whether the sender has been silent for longer than usual at this time of the week."""

from datetime import datetime, timedelta

from django.core.cache import cache
from django.utils import timezone

from chat.models import Delivery

SHORTEST = timedelta(minutes=10)
WEEKS = [timedelta(weeks=n) for n in range(1, 5)]
LEAST_WEEKS = 3
KEPT_SECONDS = 30


def silent_since() -> datetime | None:
    """Return when the last delivery came if the silence since then is unusual, else None.

    Each process keeps its answer for half a minute, so polls do not ask the database.
    """
    since: datetime | None = cache.get_or_set("silence", lambda: look(timezone.now()), KEPT_SECONDS)
    return since


def look(now: datetime) -> datetime | None:
    """Unusual: in three of the last four weeks something came in the same minutes of the week."""
    last = Delivery.objects.order_by("-received_at").values_list("received_at", flat=True).first()
    if last is None or now - last < SHORTEST:
        return None
    # A week at most: a longer span would reach the last delivery itself.
    until = min(now, last + WEEKS[0])
    spoke = sum(came_between(last - back, until - back) for back in WEEKS)
    return last if spoke >= LEAST_WEEKS else None


def came_between(start: datetime, end: datetime) -> bool:
    return Delivery.objects.filter(received_at__gt=start, received_at__lt=end).exists()
