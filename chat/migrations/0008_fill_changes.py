from django.db import migrations, transaction
from django.db.models import Count, F, Max, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Greatest
from tqdm import tqdm

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
    with tqdm(total=total, unit=" conversations", desc="chat.0008") as bar:
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


class Migration(migrations.Migration):
    atomic = False  # other writers and readers go on; the progress stays

    dependencies = [("chat", "0007_changes")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
