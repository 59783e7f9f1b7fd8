"""The app to receive, keep and show conversations."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"
