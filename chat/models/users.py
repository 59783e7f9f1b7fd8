"""The users."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A reader of the inbox. Agents read; staff also see raw bodies and the admin."""
