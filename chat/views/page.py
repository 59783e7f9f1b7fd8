"""What every page of ours has in common."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return redirect("inbox")


def page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """A page of ours, which the edge leaves as it is, whatever the context's `status`."""
    response = render(request, template, context, status=context.get("status"))
    response.for_people = True  # type: ignore[attr-defined]
    return response


def nothing_here(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=404)  # the edge puts the error page in its place
