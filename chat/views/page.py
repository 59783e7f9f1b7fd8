"""Functions that all pages share."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render


def home(request: HttpRequest) -> HttpResponse:
    return redirect("inbox")


def page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page. EdgeMiddleware leaves the page unchanged, whatever its status."""
    response = render(request, template, context, status=status)
    response.for_people = True  # type: ignore[attr-defined]
    return response


def nothing_here(request: HttpRequest, **_: Any) -> HttpResponse:
    """Answer 404. EdgeMiddleware replaces the answer with the error page."""
    return HttpResponse(status=404)
