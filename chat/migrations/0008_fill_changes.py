import json

from django.db import migrations, transaction
from django.db.models import Count, F, Max, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Greatest
from chat.management.progress import progress

AT_ONCE = 500


def fill(apps, schema_editor):
    """Fill received_count and updated_at, some conversations a transaction.

    May be interrupted and run again: a conversation is done when it has its updated_at.
    """
    alias = schema_editor.connection.alias
    conversations = apps.get_model("chat", "Conversation").objects.using(alias)
    waiting = conversations.filter(updated_at=None)
    total = waiting.count()
    if not total:
        return
    last = None
    with progress(total=total, unit=" conversations", desc="chat.0008") as bar:
        while True:
            rest = waiting.filter(pk__gt=last) if last else waiting
            keys = list(rest.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
            if not keys:
                return
            with transaction.atomic(using=alias):
                conversations.filter(pk__in=keys).update(**values(apps))
            bar.update(len(keys))
            last = keys[-1]


def values(apps):
    """What an update of conversations sets, as far as the log still tells."""
    messages = apps.get_model("chat", "Message").objects.filter(
        conversation=OuterRef("pk"), direction="RECEIVED"
    )
    # Without `outcome` in WHERE: SQLite would read every applied delivery for each conversation.
    deliveries = apps.get_model("chat", "Delivery").objects.filter(conversation_id=OuterRef("pk"))
    received = messages.order_by().values("conversation").annotate(n=Count("pk")).values("n")
    latest = deliveries.order_by().values("conversation_id").annotate(at=Max("received_at"))
    return {
        "received_count": Coalesce(Subquery(received), Value(0)),
        "updated_at": Greatest(
            Coalesce(Subquery(latest.values("at")), F("activity_at")),
            Coalesce(F("erased_at"), F("activity_at")),
            F("activity_at"),
        ),
    }


def correct(apps, schema_editor):
    """Correct wrote_after_closing_at, which older versions stored by older rules.

    May be interrupted and run again: what is correct already stays.
    """
    alias = schema_editor.connection.alias
    noted = apps.get_model("chat", "Conversation").objects.using(alias)
    noted = noted.filter(wrote_after_closing_at__isnull=False, erased_at=None)
    total = noted.count()
    if not total:
        return
    last = None
    with progress(total=total, unit=" conversations", desc="chat.0008, after closing") as bar:
        while True:
            rest = noted.filter(pk__gt=last) if last else noted
            rows = list(rest.order_by("pk").values_list("pk", "wrote_after_closing_at")[:AT_ONCE])
            if not rows:
                return
            # Read before the transaction, because other writers wait for a transaction.
            told = {pk: (stored, wrote_after_closing(apps, alias, pk)) for pk, stored in rows}
            with transaction.atomic(using=alias):
                for pk, (stored, at) in told.items():
                    if at and at != stored:
                        unchanged = noted.filter(pk=pk, wrote_after_closing_at=stored)
                        unchanged.update(wrote_after_closing_at=at)
            bar.update(len(rows))
            last = rows[-1][0]


def wrote_after_closing(apps, alias, conversation_id):
    """Return the time by today's rule: of each message's first refusal, its timestamp or earlier arrival.

    None if the log cannot tell: a prune took the CLOSE, or an erasure emptied a refusal.
    """
    log = apps.get_model("chat", "Delivery").objects.using(alias)
    log = log.filter(conversation_id=conversation_id)
    closings = log.filter(type="CLOSE_CONVERSATION").values_list("outcome", flat=True)
    if "applied" not in closings:
        return None
    refused = log.filter(type="NEW_MESSAGE", code="conversation_closed").order_by("id")
    arrived = Coalesce("replays__received_at", "received_at")
    found, seen = [], set()
    rows = refused.annotate(arrived=arrived).values_list("message_id", "timestamp", "arrived", "body")
    for message_id, timestamp, arrived_at, body in rows.iterator(chunk_size=20):
        direction = direction_in(bytes(body))
        if direction is None:
            return None
        if message_id not in seen and direction == "RECEIVED":
            found.append(min(timestamp, arrived_at))
        seen.add(message_id)
    return max(found, default=None)


def direction_in(body):
    try:
        return json.loads(body.decode("utf-8-sig"))["data"]["direction"]
    except ValueError:  # empty, or an integer that is too long for Python's parser
        return None


class Migration(migrations.Migration):
    atomic = False  # other writers and readers go on; the progress stays

    dependencies = [("chat", "0007_changes")]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(correct, migrations.RunPython.noop, elidable=True),
    ]
