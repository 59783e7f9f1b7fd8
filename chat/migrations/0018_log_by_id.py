from django.db import migrations, models

from chat.database.indexes import AddIndexBesideWriters, RemoveIndexBesideWriters


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL builds an index beside writers only outside a transaction

    dependencies = [("chat", "0017_last_digits")]

    operations = [
        AddIndexBesideWriters(
            model_name="delivery",
            index=models.Index(fields=["request_id", "id"], name="delivery_by_request"),
        ),
        AddIndexBesideWriters(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("caller_request_id__isnull", False)),
                fields=["caller_request_id", "id"],
                name="delivery_by_caller",
            ),
        ),
        AddIndexBesideWriters(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("webhook_id", ""), _negated=True),
                fields=["webhook_id", "id"],
                name="delivery_by_webhook",
            ),
        ),
        AddIndexBesideWriters(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("message_id__isnull", False)),
                fields=["message_id", "id"],
                name="delivery_by_message",
            ),
        ),
        AddIndexBesideWriters(
            model_name="delivery",
            index=models.Index(fields=["received_at", "id"], name="delivery_by_arrival"),
        ),
        RemoveIndexBesideWriters(model_name="delivery", name="delivery_by_time"),
    ]
