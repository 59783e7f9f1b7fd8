from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0012_fill_after_closing")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="early_since",
            field=models.DateTimeField(
                help_text="Set while its early events, which arrived since then, wait to be applied.",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("early_since__isnull", False)),
                fields=["id"],
                name="conversation_early_events",
            ),
        ),
    ]
