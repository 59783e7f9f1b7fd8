"""Tags and filters for conversations: texts, times, colours and addresses."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django import template
from django.template import Context
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.timezone import get_current_timezone_name, localtime, now
from django.utils.translation import get_language, gettext, pgettext

from chat.models import COUNTED_TO, short_id_of
from chat.refusals import reason_of
from chat.views.after_closing import words_of_row
from chat.views.inbox import MOST_ROWS
from chat.views.listing import Listing
from chat.views.markup import beginning, is_long, markup, rest, unformatted, unmarked
from chat.views.thread import TOGETHER

HUES = 12
NEAR = timedelta(hours=12)

register = template.Library()
register.filter(markup)
register.filter(beginning)
register.filter(is_long)
register.filter(rest)
register.filter(unformatted)
register.filter(unmarked)
register.filter("reason", reason_of)
register.filter("short", short_id_of)
register.filter("refused_words", words_of_row)


@register.filter
def utc_iso(at: datetime, precision: str = "seconds") -> str:
    """Return RFC 3339 in UTC, to the second or the microsecond. The texts sort as their times do."""
    return at.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """Return the drawing of templates/chat/icons/. Loops name it once, because an include costs more."""
    return render_to_string(f"chat/icons/{name}.svg")


@register.simple_tag
def seen_attribute(seen: dict[UUID, int], id: UUID) -> SafeString:
    """Return ` data-seen="…"` with the number seen by the user in the conversation, if known."""
    count = seen.get(id) if seen else None
    return mark_safe("" if count is None else f' data-seen="{count:d}"')  # noqa: S308 - a number


@register.simple_tag
def time(at: datetime, format: str, *, css: str = "") -> SafeString:
    """Return a `<time>` in the server's zone. static/chat/times.js rewrites it in the reader's zone."""
    kind = f' class="{css}"' if css else ""
    length = f' data-age="{unit_of_age(at)}"' if format == "age" else ""
    text = written(at, format)
    return mark_safe(  # noqa: S308 - made of our own words and a time
        f'<time{kind} datetime="{utc_iso(at)}" data-format="{format}"{length}>{text}</time>'
    )


@register.simple_tag
def printing_time() -> SafeString:
    """Return the time of this page with its zone. times.js sets it to the time of the printing."""
    return mark_safe(time(now(), "zoned").replace("<time ", "<time data-printed ", 1))  # noqa: S308


def written(at: datetime, format: str) -> str:
    """Format a time as times.js does, as closely as Django can."""
    match format:
        case "age":
            return age(at)
        case "day":
            return day(at)
        case "clock":
            form = clock_form()
        case "brief" if is_near(at):
            form = clock_form()
        case "zoned":
            return f"{written(at, 'full')} ({zone(get_current_timezone_name())})"
        case _:
            form = pgettext("a date and time, as Django's date format", "m/d/Y, g:i A")
    return date_format(localtime(at), form)


def clock_form() -> str:
    return pgettext("a time of day, as Django's date format", "g:i A")


def day(at: datetime) -> str:
    """Format a day like the start of a sentence. Only English capitalizes the names in the middle."""
    form = pgettext("a whole day, as Django's date format", "l, F j, Y")
    text = date_format(localtime(at), form)
    return text if get_language() == "en" else capfirst(text.lower())


def is_near(at: datetime) -> bool:
    """Whether the time of day is enough to name the moment: today, or in the last NEAR."""
    return localtime(at).date() == localtime().date() or timedelta(0) <= now() - at < NEAR


def age(since: datetime) -> str:
    """Return the age in its largest unit, never negative. times.js uses the same words."""
    minutes = minutes_since(since)
    match unit_of_age(since):
        case "now":
            return gettext("now")
        case "minutes":
            return gettext("%s min") % minutes
        case "hours":
            return gettext("%s h") % (minutes // 60)
    return gettext("%s d") % (minutes // (60 * 24))


def unit_of_age(since: datetime) -> str:
    """Return the name of the largest unit of an age. inbox.css has a weight for each."""
    minutes = minutes_since(since)
    if minutes < 1:
        return "now"
    if minutes < 60:
        return "minutes"
    return "hours" if minutes < 60 * 24 else "days"


def minutes_since(at: datetime) -> int:
    return max(0, int((now() - at).total_seconds() // 60))


@register.filter
def hue(id: UUID) -> int:
    """Return the number of a colour of inbox.css, always the same for one id."""
    return id.int % HUES


@register.filter
def zone(name: str) -> str:
    """Return "Brasília" for the zone of São Paulo in Portuguese, and the zone's own name otherwise."""
    is_ours = name == "America/Sao_Paulo" and get_language() == "pt-br"
    return "Brasília" if is_ours else name


@register.filter
def counted(count: int) -> str:
    return f"{COUNTED_TO}+" if count > COUNTED_TO else str(count)


@register.simple_tag
def limits() -> SafeString:
    """Return the limits shared by scripts and the server, as data attributes."""
    return format_html(
        'data-most-rows="{}" data-near-seconds="{}" data-together-seconds="{}"',
        MOST_ROWS,
        int(NEAR.total_seconds()),
        int(TOGETHER.total_seconds()),
    )


@register.simple_tag
def listing_query(listing: Listing | None, *, or_path: bool = False, **changes: Any) -> str:
    """Return the listing's query string. With `or_path`, an empty one is "?": this link clears the query."""
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
