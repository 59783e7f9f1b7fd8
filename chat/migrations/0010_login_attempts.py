from django.db import migrations, models

from chat.models.users import fold_name

# django-axes kept names and addresses here. Its rows are forgotten with it.
AXES = (
    "axes_accessattemptexpiration",
    "axes_accessattempt",
    "axes_accessfailurelog",
    "axes_accesslog",
)


def fold_names(apps, schema_editor):
    """Of users whose names differ by case only, the first one gets the folded name.

    The others log in with their exact names, as before.
    """
    users = apps.get_model("chat", "User").objects.using(schema_editor.connection.alias)
    taken = set()
    for user in users.order_by("pk").only("username"):
        folded = fold_name(user.username)
        if folded not in taken:
            taken.add(folded)
            users.filter(pk=user.pk).update(folded_name=folded)


class Migration(migrations.Migration):
    dependencies = [("chat", "0009_changes_filled")]

    operations = [
        migrations.AlterModelManagers(name="user", managers=[]),
        migrations.AddField(
            model_name="user",
            name="folded_name",
            field=models.CharField(
                editable=False,
                help_text="The username without case. NULL if an older user had the name first.",
                max_length=450,
                null=True,
                unique=True,
            ),
        ),
        migrations.RunPython(fold_names, migrations.RunPython.noop, elidable=True),
        migrations.CreateModel(
            name="LoginAttempts",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(help_text="Folded, known or not.", max_length=450)),
                ("address", models.CharField(help_text="An IPv4 address, or an IPv6 /64.", max_length=43)),
                ("count", models.PositiveIntegerField(default=0)),
                ("last_at", models.DateTimeField(db_index=True, help_text="When the last one was counted.")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("name", "address"), name="attempts_one_row_a_pair")
                ],
            },
        ),
        migrations.RunSQL(
            [f"DROP TABLE IF EXISTS {table}" for table in AXES]
            + ["DELETE FROM django_migrations WHERE app = 'axes'"],
            migrations.RunSQL.noop,
        ),
    ]
