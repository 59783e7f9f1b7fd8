"""Who reads here."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Someone who reads here. Agents read; staff also see raw bodies and the admin."""
