"""The map of both: JSON for machines, HTML for people. Every path stands with its slash and without."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from django.urls import URLPattern, path, re_path

from chat import api, views


def place(
    route: str, view: Callable[..., HttpResponseBase], name: str | None = None
) -> list[URLPattern]:
    """Both forms of a path, as one place: a redirect would lose the body of a POST."""
    options: dict[str, Any] = {"name": name}
    return [path(f"{route}/", view, **options), path(route, view)]


urlpatterns = [
    path("", views.home),
    *place("webhook", api.webhook),
    *place("conversations/<str:id>", api.ConversationDetail.as_view(), "conversation"),
    *place("healthz", api.healthz),
    *place("readyz", api.readyz),
    *place("ui", views.inbox, "inbox"),
    *place("ui/fragments/poll", views.poll, "poll"),
    *place("ui/<str:id>", views.inbox, "thread"),
    re_path(r"^ui/", views.nothing_here),
    re_path(r"", api.nothing_here),
]
