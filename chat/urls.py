"""The map of both: JSON for machines, HTML for people. Every path stands with its slash and without."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt

from chat import api
from chat.views import account, deliveries, docs, inbox, page, stats

View = Callable[..., HttpResponseBase]


def place(
    route: str, view: View, name: str | None = None, *, is_open: bool = False
) -> list[URLPattern]:
    """Both forms of a path, as one place: a redirect would lose the body of a POST.

    A wrong method is a 405 and a wrong path a 404, which Django's CSRF check would answer with a 403
    first. So its middleware checks none of them, and a view that takes a form checks for itself:
    csrf_protect, inside the check of the method.
    """
    options: dict[str, Any] = {"name": name}
    ours = answering(view, is_open=is_open)
    return [path(f"{route}/", ours, **options), path(route, ours)]


def answering(view: View, *, is_open: bool) -> View:
    """Only what is said to be open answers those who are not logged in."""
    ours = csrf_exempt(view)
    ours.login_required = not is_open  # type: ignore[attr-defined]
    return ours


# What is asked most stands first.
urlpatterns = [
    *place("webhook", api.webhook, is_open=True),
    *place("ui/fragments/poll", inbox.poll, "poll"),
    path("", answering(page.home, is_open=True)),
    *place("conversations", api.ConversationList.as_view()),
    *place("conversations/<str:id>", api.ConversationDetail.as_view(), "conversation"),
    *place("conversations/<str:id>/messages", api.MessagePage.as_view()),
    *place("conversations/<str:id>/transcript.txt", api.Transcript.as_view(), "transcript-txt"),
    *place("conversations/<str:id>/transcript.csv", api.TranscriptCSV.as_view(), "transcript-csv"),
    *place("schema", api.openapi),
    *place("docs", docs.docs, "docs"),
    *place("healthz", api.healthz, is_open=True),
    *place("readyz", api.readyz, is_open=True),
    *place("ui", inbox.inbox, "inbox"),
    *place("ui/search", inbox.search, "search"),
    *place("ui/fragments/list", inbox.list_rows, "list-rows"),
    *place("ui/fragments/thread/<str:id>", inbox.thread_messages, "thread-messages"),
    *place("ui/<str:id>/print", inbox.print_thread, "print"),
    *place("deliveries", api.Deliveries.as_view()),
    *place("stats", api.Stats.as_view()),
    *place("metrics", api.Metrics.as_view()),
    *place("ui/stats", stats.stats, "stats"),
    *place("ui/deliveries", deliveries.deliveries, "deliveries"),
    *place("ui/deliveries/<str:number>", deliveries.delivery, "delivery"),
    *place("ui/deliveries/<str:number>/apply", deliveries.apply_again, "apply-again"),
    *place("ui/login", account.log_in, "login", is_open=True),
    *place("ui/logout", account.log_out, "logout", is_open=True),
    *place("ui/account", account.account, "account"),
    *place("ui/<str:id>", inbox.inbox, "thread"),
    re_path(r"^ui/", answering(page.nothing_here, is_open=False)),
    re_path(r"", answering(api.nothing_here, is_open=True)),
]
