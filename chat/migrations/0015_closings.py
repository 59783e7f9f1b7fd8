"""An index for lists of conversations by their closing."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0014_keys")]

    operations = [
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("closed_at__isnull", False)),
                fields=["closed_at", "id"],
                name="conversation_by_closing",
            ),
        ),
    ]
