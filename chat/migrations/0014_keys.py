from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0013_early_events")]

    operations = [
        migrations.AddField(
            model_name="token",
            name="scopes",
            field=models.CharField(
                default="read deliveries metrics", help_text="Separated by spaces.", max_length=100
            ),
        ),
        migrations.AddField(
            model_name="token",
            name="expires_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="delivery",
            name="caller_request_id",
            field=models.CharField(
                help_text="The sender's own X-Request-Id.", max_length=64, null=True
            ),
        ),
    ]
