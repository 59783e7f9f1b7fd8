"""Places of what users have seen, and of their first logins."""

from django.db import migrations, models


def fill(apps, schema_editor):
    """Let what comes from now on be unread for all users who have logged in.

    What they have seen before gets places in the order of the rows.
    """
    alias = schema_editor.connection.alias
    field = "id" if schema_editor.connection.vendor == "sqlite" else "position"
    changes = apps.get_model("chat", "Change").objects.using(alias)
    last = changes.aggregate(last=models.Max(field))["last"] or 0
    users = apps.get_model("chat", "User").objects.using(alias)
    users.filter(last_login__isnull=False).update(first_place=last)
    apps.get_model("chat", "Seen").objects.using(alias).update(place=models.F("id"))


class Migration(migrations.Migration):
    dependencies = [("chat", "0018_log_by_id")]

    operations = [
        migrations.AddField(
            model_name="seen",
            name="place",
            field=models.PositiveBigIntegerField(
                default=0, help_text="Grows with each change of a row of this user. No clock is asked."
            ),
        ),
        migrations.AddIndex(
            model_name="seen",
            index=models.Index(fields=["user", "place"], name="seen_by_place"),
        ),
        migrations.AddField(
            model_name="user",
            name="first_place",
            field=models.PositiveBigIntegerField(
                editable=False,
                help_text="The place of the newest change when the user first logged in.",
                null=True,
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
