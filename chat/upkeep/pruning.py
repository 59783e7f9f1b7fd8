"""Delete old deliveries from the log, and old changes."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef

from chat.database.batches import delete_in_batches
from chat.models import EARLY, Change, Conversation, Delivery


def outdated(*, now: datetime, days: int) -> models.QuerySet[Delivery]:
    """Return old deliveries, except waiting early events and originals of kept replays.

    A customer's text after closing is kept until somebody has dealt with it.
    """
    before = now - timedelta(days=days)
    old = Delivery.objects.filter(received_at__lt=before)
    old = old.exclude(code=EARLY, received_at__gte=still_waiting_since(now))
    # Of an open conversation too: upkeep may need several nights to apply very many.
    opened = Conversation.objects.with_early_events().values("pk").order_by()
    old = old.exclude(code=EARLY, conversation_id__in=opened)
    waiting = Conversation.objects.needs_dealing().filter(pk=OuterRef("conversation_id"))
    old = old.exclude(Exists(waiting), text_digest__isnull=False)
    stays = Delivery.objects.filter(replays=OuterRef("pk"), received_at__gte=before)
    return old.exclude(Exists(stays.exclude(code=OuterRef("code"))))


def repetitions(*, now: datetime, days: int) -> models.QuerySet[Delivery]:
    """Return replays refused for the same reason as their old original: they tell nothing new.

    Each `replay --yes` of 0.1.0 logged one.
    """
    alike = Delivery.objects.filter(code=F("replays__code"))
    old = alike.filter(replays__received_at__lt=now - timedelta(days=days))
    return old.exclude(code=EARLY, replays__received_at__gte=still_waiting_since(now))


def still_waiting_since(now: datetime) -> datetime:
    """Return the earliest arrival of an early event that may still wait for its conversation."""
    return now - timedelta(hours=settings.EARLY_EVENTS_HOURS)


def how_many(*, now: datetime, days: int) -> int:
    """Return the number of rows `prune` would delete."""
    newer = repetitions(now=now, days=days).filter(received_at__gte=now - timedelta(days=days))
    return outdated(now=now, days=days).count() + newer.count()


def prune(*, now: datetime, days: int) -> Iterator[int]:
    """Delete the oldest first. Yield the size of each batch; other writers get in between.

    A replay goes before its original, because a replay alone would look like a delivery.
    """
    replays = Delivery.objects.filter(replays=OuterRef("pk"))
    yield from delete_in_batches(repetitions(now=now, days=days))
    rows = outdated(now=now, days=days).exclude(Exists(replays))
    yield from delete_in_batches(rows.order_by("received_at", "id"))


def outdated_changes(*, now: datetime, days: int) -> range:
    """Return the places of old changes, from the first one on, up to the first one to keep.

    The newest change is always kept, because places go on after it.
    """
    first, last = Change.objects.bounds()
    kept = Change.objects.placed().filter(at__gte=now - timedelta(days=days)).first()
    return range(first, kept.place or first if kept else max(first, last))


def prune_changes(places: range) -> Iterator[int]:
    """Delete the changes of these places, the oldest first. Yield the size of each batch."""
    return delete_in_batches(Change.objects.between(places.start, places.stop))
