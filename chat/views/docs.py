"""What machines can ask, as a page."""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chat.schema import schema


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The schema, in English as all that machines get, and without any script."""
    described = schema()
    bodies = described["components"]["schemas"].items()
    written = {name: json.dumps(body, indent=2, ensure_ascii=False) for name, body in bodies}
    return render(request, "chat/docs.html", {"schema": described, "bodies": written})
