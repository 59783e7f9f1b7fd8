"""The status page: for staff, the installation at a glance."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.cache import never_cache

from chat.database.time_limits import TooSlow, at_most
from chat.health.diagnosis import diagnose
from chat.health.vitals import vitals
from chat.metrics import running_since
from chat.models import Delivery
from chat.views.durations import in_words
from chat.views.page import page

SECONDS = 1
# Of the newest refusals. A flood of more would take the page too long.
REFUSALS_COUNTED = 10_000

PARTS = {
    "proxy": _("Proxy"),
    "database": _("Database"),
    "files": _("Files"),
    "clock": _("Clock"),
    "search": _("Search"),
    "log": _("Log of deliveries"),
    "backup": _("Backup"),
    "upkeep": _("Upkeep"),
}
# Django's checks take too long for a page. `manage.py doctor` runs them.
NOT_HERE = ("settings",)


class Row(NamedTuple):
    """One figure: a name and a value in words, or a time."""

    name: Any
    words: str = ""
    at: datetime | None = None


class Refused(NamedTuple):
    """How often a reason refused events."""

    code: str
    in_an_hour: int
    in_a_day: int


def as_number(value: float) -> str:
    return number_format(int(value), use_l10n=True, force_grouping=True)


FIGURES: dict[str, tuple[Any, Callable[[float], str] | None]] = {
    "last_event_timestamp_seconds": (_("Last event"), None),
    "last_backup_timestamp_seconds": (_("Last backup"), None),
    "early_events_waiting": (_("Events that wait for their conversation"), as_number),
    "early_events_oldest_seconds": (_("The oldest of them waits for"), in_words),
    "conversations_open": (_("Open conversations"), as_number),
    "conversations_waiting": (_("Customers who wait for a reply"), as_number),
    "longest_wait_seconds": (_("The longest wait"), in_words),
    "sessions": (_("People logged in"), as_number),
    "lockouts": (_("Locked-out logins"), as_number),
    "database_bytes": (pgettext_lazy("size", "Database"), filesizeformat),
    "database_wal_bytes": (pgettext_lazy("size", "WAL"), filesizeformat),
    "disk_free_bytes": (_("Free on the disk"), filesizeformat),
}


@never_cache
def status(request: HttpRequest) -> HttpResponse:
    """Lead to the login without one. Raises PermissionDenied unless the reader is staff."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if not request.user.is_staff:
        raise PermissionDenied
    parts = diagnose(apart_from=NOT_HERE)
    context = {
        "section": "status",
        "parts": [(PARTS[part], findings) for part, findings in parts.items()],
        "wrong": [finding for findings in parts.values() for finding in findings],
        "rows": rows_of(vitals() or {}),
        "refused": refused(timezone.now()),
        "now": timezone.now(),
        "since": running_since(),
    }
    return page(request, "chat/status.html", context)


def rows_of(figures: dict[str, float]) -> list[Row]:
    return [row_of(name, figures[name]) for name in FIGURES if figures.get(name) is not None]


def row_of(name: str, value: float) -> Row:
    words, form = FIGURES[name]
    if form:
        return Row(words, form(value))
    return Row(words, at=datetime.fromtimestamp(value, UTC)) if value else Row(words, "–")


def refused(now: datetime) -> list[Refused] | None:
    """Return the number of refusals by reason, the most frequent first. None if counting takes too long."""
    newest = Delivery.objects.filter(outcome=Delivery.Outcome.REFUSED).order_by("-id")
    rows = newest.values_list("code", "received_at")[:REFUSALS_COUNTED]
    try:
        with at_most(SECONDS):
            recent = [(code, at) for code, at in rows if at >= now - timedelta(days=1)]
    except (Error, TooSlow):
        return None
    in_an_hour = Counter(code for code, at in recent if at >= now - timedelta(hours=1))
    in_a_day = Counter(code for code, _ in recent)
    return [Refused(code, in_an_hour[code], count) for code, count in in_a_day.most_common()]
