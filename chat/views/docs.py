"""The description of the JSON addresses, as a page for people."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from chat.views.page import page


def docs(request: HttpRequest) -> HttpResponse:
    """Answer in English, like everything for programs. Swagger UI reads /schema."""
    response = page(request, "chat/docs.html", {})
    response["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY_OF_DOCS
    return response
