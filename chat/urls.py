"""The map of both: JSON for machines, HTML for people. Every path stands with its slash and without."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from chat import api, views


def place(
    route: str, view: Callable[..., HttpResponseBase], name: str | None = None
) -> list[URLPattern]:
    """Both forms of a path, as one place: a redirect would lose the body of a POST.

    Nothing here takes a form. A wrong method is a 405 and a wrong path a 404, which Django's CSRF
    check would answer with a 403 first.
    """
    options: dict[str, Any] = {"name": name}
    exempt = csrf_exempt(view)
    return [path(f"{route}/", exempt, **options), path(route, exempt)]


urlpatterns = [
    path("", csrf_exempt(views.home)),
    *place("webhook", api.webhook),
    *place("conversations/<str:id>", api.ConversationDetail.as_view(), "conversation"),
    *place("healthz", api.healthz),
    *place("readyz", api.readyz),
    *place("ui", views.inbox, "inbox"),
    *place("ui/fragments/poll", views.poll, "poll"),
    *place("ui/<str:id>", views.inbox, "thread"),
    re_path(r"^ui/", csrf_exempt(views.nothing_here)),
    re_path(r"", csrf_exempt(api.nothing_here)),
]
