"""Delete old deliveries from the log."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from time import monotonic, sleep

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from chat.models import EARLY, Delivery

AT_ONCE = 500
MOST_DAYS = 36_500


def outdated(*, now: datetime, days: int) -> models.QuerySet[Delivery]:
    """Return old deliveries, except waiting early events and originals whose replay is kept."""
    before = now - timedelta(days=days)
    waits_since = now - timedelta(hours=settings.EARLY_EVENTS_HOURS)
    old = Delivery.objects.filter(received_at__lt=before)
    stays = Delivery.objects.filter(replays=OuterRef("pk"), received_at__gte=before)
    return old.exclude(Q(code=EARLY, received_at__gte=waits_since)).exclude(Exists(stays))


def prune(*, now: datetime, days: int) -> Iterator[int]:
    """Delete the oldest first. Yield the size of each batch; other writers get in between.

    A replay goes before its original, because a replay alone would look like a delivery.
    """
    replays = Delivery.objects.filter(replays=OuterRef("pk"))
    rows = outdated(now=now, days=days).exclude(Exists(replays)).order_by("received_at", "id")
    while True:
        began = monotonic()
        with transaction.atomic(durable=True):
            ids = list(rows.values_list("pk", flat=True)[:AT_ONCE])
            Delivery.objects.filter(pk__in=ids).only("pk").delete()
        if not ids:
            return
        yield len(ids)
        sleep(monotonic() - began)
