"""Error answers: RFC 9457 problem details, made from a refusal."""

import re
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException

from chat.database.migrated import WrongSchema
from chat.refusals import NotFound, NotMigrated, Refusal, refusal_for
from chat.signatures import kept_id

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "realmate.request_id"
PRINTABLE = re.compile(r"[ -~]{1,64}")


def request_id(request: HttpRequest) -> UUID:
    """Return the id given to this request by EdgeMiddleware."""
    id: UUID = request.META[REQUEST_ID]
    return id


def caller_request_id(request: HttpRequest) -> str | None:
    """Return the caller's own X-Request-Id, or None if it is missing or unfit for the log."""
    id: str = request.META.get("HTTP_X_REQUEST_ID", "")
    return id if PRINTABLE.fullmatch(id) else None


def ids_of(request: HttpRequest) -> dict[str, str]:
    """Return the ids in the log lines of a request and in its delivery. A sender knows at least one."""
    ids = {
        "request_id": str(request.META.get(REQUEST_ID, "")),
        "caller_request_id": caller_request_id(request),
        "webhook_id": kept_id(request.META.get("HTTP_WEBHOOK_ID", "")),
    }
    return {name: id for name, id in ids.items() if id}


def problem(request: HttpRequest, refusal: Refusal | type[Refusal]) -> HttpResponse:
    """Return the answer to a refusal. The answer quotes nothing of the request."""
    members = members_of(refusal, request_id(request))
    response = JsonResponse(
        members,
        status=refusal.status,
        content_type=MEDIA_TYPE,
        headers=dict(refusal.headers),
        json_dumps_params={"separators": (",", ":")},
    )
    response.code = refusal.code  # type: ignore[attr-defined]
    response.logged = refusal.logged  # type: ignore[attr-defined]
    return response


def problem_for(exception: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return REST framework's answer to an exception, or None to leave a bug of ours to EdgeMiddleware."""
    if isinstance(exception, Refusal):
        return problem(context["request"], exception)
    if isinstance(exception, WrongSchema):
        return problem(context["request"], NotMigrated)
    if isinstance(exception, APIException):
        return problem(context["request"], refusal_for(exception.status_code))
    return None


def members_of(refusal: Refusal | type[Refusal], id: UUID) -> dict[str, Any]:
    status = HTTPStatus(refusal.status)
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": refusal.detail,
        "code": refusal.code,
        "request_id": str(id),
    }
    if refusal.errors:
        members["errors"] = [asdict(error) for error in refusal.errors]
    return members


def unknown_path(request: HttpRequest, **_: Any) -> HttpResponse:
    """The view of unknown paths. Django's own 404 page with DEBUG on describes the URL map."""
    return problem(request, NotFound)
