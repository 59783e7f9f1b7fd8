from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0008_fill_changes")]

    operations = [
        migrations.AlterField(
            model_name="conversation",
            name="updated_at",
            field=models.DateTimeField(help_text="When it last changed here, by our clock."),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["updated_at", "id"], name="conversation_by_update"),
        ),
    ]
