"""The app that receives, keeps and shows conversations."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"
