import json
from hashlib import blake2b

from django.db import migrations, transaction
from django.db.models.functions import Coalesce
from chat.management.progress import progress

AT_ONCE = 100


def fill(apps, schema_editor):
    """Find the texts that customers wrote after closing, and raise their conversations.

    May be interrupted and run again: a conversation is done when it has a count.
    """
    alias = schema_editor.connection.alias
    conversations = apps.get_model("chat", "Conversation").objects.using(alias)
    waiting = conversations.filter(
        wrote_after_closing_at__isnull=False, wrote_after_closing_count=0
    )
    total = waiting.count()
    if not total:
        return
    with progress(total=total, unit=" conversations", desc="chat.0012") as bar:
        while rows := list(waiting.order_by("pk")[:AT_ONCE]):
            # Read before the transaction, because other writers wait for a transaction.
            found = [(row, texts_of(apps, alias, row.pk)) for row in rows]
            with transaction.atomic(using=alias):
                for row, texts in found:
                    store(apps, alias, row, texts)
            bar.update(len(rows))


def texts_of(apps, alias, conversation_id):
    """Return the key, the digest and the time of the first delivery of each text, in order."""
    log = apps.get_model("chat", "Delivery").objects.using(alias)
    refused = log.filter(
        conversation_id=conversation_id, type="NEW_MESSAGE", code="conversation_closed"
    )
    arrived = Coalesce("replays__received_at", "received_at")
    rows = refused.annotate(arrived=arrived).order_by("id")
    texts = {}
    fields = "pk", "message_id", "timestamp", "arrived", "body"
    for pk, message_id, timestamp, arrived_at, body in rows.values_list(*fields).iterator(20):
        content = content_in(bytes(body))
        if content is not None:
            digest = blake2b(content.encode(), digest_size=16).hexdigest()
            texts.setdefault((message_id, digest), (pk, digest, min(timestamp, arrived_at)))
    return list(texts.values())


def content_in(body):
    """Return the text of a RECEIVED message, or None of another one, and of an erased body."""
    try:
        data = json.loads(body.decode("utf-8-sig"))["data"]
    except ValueError:  # empty, or an integer that is too long for Python's parser
        return None
    return data["content"] if data["direction"] == "RECEIVED" else None


def store(apps, alias, conversation, texts):
    deliveries = apps.get_model("chat", "Delivery").objects.using(alias)
    for pk, digest, _ in texts:
        deliveries.filter(pk=pk).update(text_digest=digest)
    wrote_at = max([conversation.wrote_after_closing_at, *(at for _, _, at in texts)])
    conversations = apps.get_model("chat", "Conversation").objects.using(alias)
    conversations.filter(pk=conversation.pk).update(
        wrote_after_closing_at=wrote_at,
        # A prune may have taken the text.
        wrote_after_closing_count=max(1, len(texts)),
        activity_at=max(conversation.activity_at, wrote_at),
    )


class Migration(migrations.Migration):
    atomic = False  # other readers go on; the progress stays

    dependencies = [("chat", "0011_after_closing")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
