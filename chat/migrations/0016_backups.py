from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0015_closings")]

    operations = [
        migrations.CreateModel(
            name="Backup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ended_at", models.DateTimeField()),
            ],
        ),
    ]
