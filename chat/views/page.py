"""Functions shared by all pages."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render


def home(request: HttpRequest) -> HttpResponse:
    return redirect("inbox")


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page. EdgeMiddleware leaves the page unchanged, even with the status of an error."""
    response = render(request, template, context, status=status)
    response.for_people = True  # type: ignore[attr-defined]
    return response


def nothing_here(request: HttpRequest, **_: Any) -> HttpResponse:
    """Answer 404. EdgeMiddleware replaces the answer with the error page."""
    return HttpResponse(status=404)


def number(text: str | None, *, most: int) -> int | None:
    """Return the number, or None without a text. Raises ValueError for anything but 0 to `most`."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise ValueError("not a number, or out of range")
    return int(text)
