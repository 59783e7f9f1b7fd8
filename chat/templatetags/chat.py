"""Tags and filters for conversations: texts, times, colours and addresses."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django import template
from django.template import Context
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.timezone import localtime, now
from django.utils.translation import get_language, gettext, pgettext

from chat.models import COUNTED_TO
from chat.refusals import reason_of
from chat.views.listing import Listing
from chat.views.markup import beginning, is_long, markup, unmarked

HUES = 12

register = template.Library()
register.filter(markup)
register.filter(beginning)
register.filter(is_long)
register.filter(unmarked)
register.filter("reason", reason_of)


@register.filter
def utc_iso(at: datetime, precision: str = "seconds") -> str:
    """Return RFC 3339 in UTC, to the second or the microsecond. The texts sort as their times do."""
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


@register.simple_tag
def time(at: datetime, format: str, *, css: str = "") -> SafeString:
    """Return a `<time>` in the server's zone. static/chat/times.js rewrites it in the reader's zone."""
    kind = f' class="{css}"' if css else ""
    text = written(at, format)
    return mark_safe(  # noqa: S308 - made of our own words and a time
        f'<time{kind} datetime="{utc_iso(at)}" data-format="{format}">{text}</time>'
    )


def written(at: datetime, format: str) -> str:
    """Format a time as times.js does, as closely as Django can."""
    match format:
        case "age":
            return age(at)
        case "day":
            return day(at)
        case "clock":
            form = pgettext("a time of day, as Django's date format", "g:i A")
        case _:
            form = pgettext("a date and time, as Django's date format", "m/d/Y, g:i A")
    return date_format(localtime(at), form)


def day(at: datetime) -> str:
    """Format a day like the start of a sentence. Only English capitalizes the names in the middle."""
    form = pgettext("a whole day, as Django's date format", "l, F j, Y")
    text = date_format(localtime(at), form)
    return text if get_language() == "en" else capfirst(text.lower())


def age(since: datetime) -> str:
    """Return the age in its largest unit, never negative. times.js uses the same words."""
    minutes = max(0, int((now() - since).total_seconds() // 60))
    if minutes < 60:
        return gettext("%s min") % minutes
    if minutes < 60 * 24:
        return gettext("%s h") % (minutes // 60)
    return gettext("%s d") % (minutes // (60 * 24))


@register.filter
def hue(id: UUID) -> int:
    """Return the number of a colour of inbox.css, always the same for one id."""
    return id.int % HUES


@register.filter
def counted(count: int) -> str:
    return f"{COUNTED_TO}+" if count > COUNTED_TO else str(count)


@register.simple_tag
def listing_query(listing: Listing | None, *, or_path: bool = False, **changes: Any) -> str:
    """Return the listing's query string. With `or_path`, an empty one is "?", which clears the query."""
    query = (listing or Listing()).query(**{name: str(value) for name, value in changes.items()})
    return query or ("?" if or_path else "")


@register.simple_tag(takes_context=True)
def left_pane_query(context: Context, lead: str = "?") -> str:
    """Return the query string of the list or the search in the left pane, after `lead`."""
    if query := context.get("query"):
        cursor = context["request"].GET.get("hits_cursor", "")
        filters = context.get("search_filters") or {}
        parameters = urlencode({"q": query} | filters | ({"hits_cursor": cursor} if cursor else {}))
    else:
        parameters = listing_query(context.get("listing"))[1:]
    return f"{lead}{parameters}" if parameters else ""


@register.simple_tag(takes_context=True)
def left_pane_fields(context: Context) -> list[tuple[str, str]]:
    """Return the same as name and value, for the hidden fields of a form."""
    return parse_qsl(left_pane_query(context, ""))
