from secrets import token_hex

from django.db import migrations, models
from django.utils import timezone

# PostgreSQL only: SQLite's rows have their place from the start.
WITHOUT_A_PLACE = "CREATE INDEX change_without_place ON chat_change (id) WHERE position IS NULL"


def index_changes_without_a_place(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(WITHOUT_A_PLACE)


def begin_the_first_generation(apps, schema_editor):
    generations = apps.get_model("chat", "Generation").objects.using(schema_editor.connection.alias)
    generations.create(key=token_hex(4), began_at=timezone.now())


class Migration(migrations.Migration):
    """What later steps fill and need. 0008 fills the columns of existing conversations."""

    dependencies = [("chat", "0006_tokens")]

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "position",
                    models.PositiveBigIntegerField(
                        help_text="PostgreSQL: the place in the order of all changes, given afterwards.",
                        null=True,
                    ),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("opened", "Opened"),
                            ("message", "Message"),
                            ("closed", "Closed"),
                            ("wrote_after_closing", "Wrote After Closing"),
                            ("dealt_with", "Dealt With"),
                            ("erased", "Erased"),
                        ],
                        max_length=19,
                    ),
                ),
                ("conversation_id", models.UUIDField()),
                ("message_id", models.UUIDField(null=True)),
                ("at", models.DateTimeField(help_text="When it was stored here, by our clock.")),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("position__isnull", False)),
                        fields=["position"],
                        name="change_by_position",
                    )
                ],
            },
        ),
        migrations.RunPython(index_changes_without_a_place, migrations.RunPython.noop),
        migrations.CreateModel(
            name="Generation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=8, unique=True)),
                ("began_at", models.DateTimeField()),
            ],
        ),
        migrations.RunPython(begin_the_first_generation, migrations.RunPython.noop),
        migrations.AddField(
            model_name="conversation",
            name="received_count",
            field=models.PositiveIntegerField(
                default=0, help_text="How many of its messages are RECEIVED."
            ),
        ),
        migrations.AddField(
            model_name="conversation",
            name="updated_at",
            field=models.DateTimeField(
                help_text="When it last changed here, by our clock.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("outcome", "refused")),
                fields=["message_id", "id"],
                name="delivery_refused_message",
            ),
        ),
    ]
