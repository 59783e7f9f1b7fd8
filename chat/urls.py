"""The map of all addresses: JSON for machines, HTML for people."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from django.urls import URLPattern, path, re_path
from django.views.decorators.http import require_http_methods

from chat.api import probes, reads
from chat.api.changes import Changes
from chat.api.deliveries import DeliveryDetail, DeliveryList, Replay
from chat.api.docs import OpenAPI
from chat.api.exports import MessageExport
from chat.api.messages import MessageDetail, MessageSearch
from chat.api.webhook import Webhook
from chat.problems import unknown_path
from chat.views import (
    account,
    after_closing,
    deliveries,
    docs,
    inbox,
    list_csv,
    page,
    seen,
    stats,
    status,
)

View = Callable[..., HttpResponseBase]

READ = ("GET", "HEAD")
POST = ("POST",)
FORM = (*READ, *POST)


def both(route: str, view: View, name: str | None = None) -> list[URLPattern]:
    """Serve a path with and without its slash. A redirect would lose the body of a POST."""
    options: dict[str, Any] = {"name": name}
    return [path(f"{route}/", view, **options), path(route, view)]


def api(route: str, view: View, name: str | None = None) -> list[URLPattern]:
    """Serve a REST framework view. The view itself checks methods, readers and CSRF."""
    return both(route, view, name)


def ui(
    route: str,
    view: View,
    name: str | None = None,
    *,
    methods: tuple[str, ...] = READ,
    is_open: bool = False,
) -> list[URLPattern]:
    """Serve a page or a fragment: `methods` only, and only to people with a login unless open."""
    return both(route, declared(require_http_methods(methods)(view), methods, is_open), name)


def declared(view: View, methods: tuple[str, ...], is_open: bool) -> View:
    """Declare a view's methods for CsrfForAllowedMethods, and its need of a login for LoginForPages."""
    view.methods = methods  # type: ignore[attr-defined]
    view.login_required = not is_open  # type: ignore[attr-defined]
    return view


# The busiest addresses stand first.
urlpatterns = [
    *api("webhook", Webhook.as_view()),
    *ui("ui/fragments/poll", inbox.poll, "poll"),
    path("", declared(require_http_methods(READ)(page.home), READ, is_open=True)),
    *api("conversations", reads.ConversationList.as_view()),
    *api("conversations/<str:id>", reads.ConversationDetail.as_view(), "conversation"),
    *api("conversations/<str:id>/messages", reads.MessagePage.as_view()),
    *api("conversations/<str:id>/transcript.txt", reads.Transcript.as_view(), "transcript-txt"),
    *api("conversations/<str:id>/transcript.csv", reads.TranscriptCSV.as_view(), "transcript-csv"),
    *api(
        "conversations/<str:id>/transcript.xlsx", reads.TranscriptXLSX.as_view(), "transcript-xlsx"
    ),
    *api("schema", OpenAPI.as_view()),
    *ui("docs", docs.docs, "docs"),
    *api("healthz", probes.Healthz.as_view()),
    *api("readyz", probes.Readyz.as_view()),
    *ui("ui", inbox.inbox, "inbox"),
    *ui("ui/search", inbox.search, "search"),
    *ui("ui/list.csv", list_csv.list_csv, "list-csv"),
    *ui("ui/fragments/list", inbox.list_rows, "list-rows"),
    *ui("ui/fragments/thread/<str:id>", inbox.thread_messages, "thread-messages"),
    *ui("ui/fragments/message/<str:id>", inbox.message_text, "message-text"),
    *ui("ui/fragments/message/<str:id>/source", inbox.message_source, "message-source"),
    *ui("ui/fragments/seen", seen.note, "seen", methods=POST),
    *ui("ui/<str:id>/print", inbox.print_thread, "print"),
    *ui("ui/<str:id>/dealt-with", after_closing.deal_with, "deal-with", methods=POST),
    *ui("ui/<str:id>/dealt-with/undo", after_closing.undo, "undo-dealing", methods=POST),
    *api("messages", MessageSearch.as_view()),
    *api("messages/<str:id>", MessageDetail.as_view()),
    *api("changes", Changes.as_view()),
    *api("export/messages.jsonl", MessageExport.as_view()),
    *api("deliveries", DeliveryList.as_view()),
    *api("deliveries/<str:number>", DeliveryDetail.as_view()),
    *api("deliveries/<str:number>/replay", Replay.as_view()),
    *api("stats", reads.Stats.as_view()),
    *api("metrics", probes.Metrics.as_view()),
    *ui("ui/stats", stats.stats, "stats"),
    *ui("ui/status", status.status, "status"),
    *ui("ui/deliveries", deliveries.deliveries, "deliveries"),
    *ui("ui/deliveries/<str:number>", deliveries.delivery, "delivery"),
    *ui("ui/deliveries/<str:number>/apply", deliveries.apply_again, "apply-again", methods=POST),
    *ui("ui/login", account.log_in, "login", methods=FORM, is_open=True),
    *ui("ui/logout", account.log_out, "logout", methods=POST, is_open=True),
    *ui("ui/account", account.account, "account", methods=FORM),
    *ui("ui/<str:id>", inbox.inbox, "thread"),
    # Nothing is here for any method, so no method needs a CSRF token.
    re_path(r"^ui/", declared(page.nothing_here, (), is_open=False)),
    re_path(r"", declared(unknown_path, (), is_open=True)),
]
