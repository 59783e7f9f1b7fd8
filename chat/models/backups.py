"""When the database was last backed up."""

from __future__ import annotations

from datetime import datetime

from django.db import models

from chat.database.migrated import writing

ONLY = 1


class BackupQuerySet(models.QuerySet["Backup"]):
    def last_at(self) -> datetime | None:
        """Return when the last good backup ended, or None if there was none."""
        return self.filter(pk=ONLY).values_list("ended_at", flat=True).first()

    def note(self, *, at: datetime) -> None:
        """Note a verified backup. Raises Django's `Error`."""
        with writing():
            self.update_or_create(pk=ONLY, defaults={"ended_at": at})


class Backup(models.Model):
    """The last verified backup: one row. No backup holds the row about itself."""

    ended_at = models.DateTimeField()

    objects = BackupQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.ended_at:%Y-%m-%d %H:%M}"
