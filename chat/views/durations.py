"""Durations in words."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def in_words(seconds: float) -> str:
    """Return the two largest units, in the reader's language: "2 min 5 s", "3 days 4 h"."""
    seconds = rounded(seconds)
    if seconds < MINUTE:
        return in_seconds(seconds)
    if seconds < HOUR:
        return joined(in_minutes(seconds // MINUTE), in_seconds(seconds % MINUTE), seconds % MINUTE)
    if seconds < DAY:
        minutes = seconds % HOUR // MINUTE
        return joined(in_hours(seconds // HOUR), in_minutes(minutes), minutes)
    hours = seconds % DAY // HOUR
    return joined(in_days(seconds // DAY), in_hours(hours), hours)


def rounded(seconds: float) -> int:
    """Round to the smallest unit on display, before the split into units: 59 min 60 s is an hour."""
    for limit, unit in ((HOUR, 1), (DAY, MINUTE)):
        if (whole := round(seconds / unit) * unit) < limit:
            return whole
    return round(seconds / HOUR) * HOUR


def joined(larger: str, smaller: str, rest: int) -> str:
    return f"{larger} {smaller}" if rest else larger


def in_seconds(number: int) -> str:
    return _("%(number)d s") % {"number": number}


def in_minutes(number: int) -> str:
    return _("%(number)d min") % {"number": number}


def in_hours(number: int) -> str:
    return _("%(number)d h") % {"number": number}


def in_days(number: int) -> str:
    return ngettext("%(number)d day", "%(number)d days", number) % {"number": number}
