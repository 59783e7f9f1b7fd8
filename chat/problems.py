"""What an error looks like (RFC 9457), and the one map from code to status."""

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException

from chat.payloads import FieldError, Refusal

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

STATUS = {
    "bad_request": 400,
    "invalid_json": 400,
    "invalid_event": 400,
    "conversation_closed": 400,
    "invalid_signature": 401,
    "not_authenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conversation_not_found": 404,
    "method_not_allowed": 405,
    "id_conflict": 409,
    "length_required": 411,
    "precondition_failed": 412,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "too_many_attempts": 429,
    "try_again": 503,
}

DETAIL = {
    "bad_request": "The request cannot be understood.",
    "forbidden": "This is not allowed.",
    "invalid_signature": "The signature is missing or wrong, or its time is more than five minutes off.",
    "not_authenticated": "Log in, or send a token: Authorization: Bearer.",
    "not_found": "There is nothing at this address.",
    "conversation_not_found": "No conversation has this id.",
    "method_not_allowed": "This address does not take that method; Allow names those it takes.",
    "length_required": "This server cannot read a body without a Content-Length.",
    "precondition_failed": "The conversation is not in the state that the request asks for.",
    "body_too_large": "The body is larger than 4 MiB.",
    "unsupported_media_type": "Send application/json, without a Content-Encoding.",
    "range_not_satisfiable": "There is no such range of this file.",
    "too_many_attempts": "There were too many attempts; Retry-After says when to go on.",
    "try_again": "Nothing was stored. Send the request again after a while.",
}

# Two codes share 401, and two 404: only the webhook asks for a signature, and what Django did not
# find is an address.
CODE_OF_STATUS = {status: code for code, status in STATUS.items() if code in DETAIL} | {
    401: "not_authenticated",
    404: "not_found",
}
CHALLENGE = "Bearer"


REQUEST_ID = "realmate.request_id"


def request_id(request: HttpRequest) -> UUID:
    """The id that the edge gave this request."""
    id: UUID = request.META[REQUEST_ID]
    return id


def problem(
    request: HttpRequest, code: str, *, detail: str = "", errors: Sequence[FieldError] = ()
) -> HttpResponse:
    """The answer for a code. Says nothing of what was sent, so nothing of it can come back."""
    status = STATUS[code]
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or DETAIL[code],
        "code": code,
        "request_id": str(request_id(request)),
    }
    if errors:
        members["errors"] = [asdict(error) for error in errors]
    response = JsonResponse(members, status=status, content_type=MEDIA_TYPE)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        is_a_sender = code == "invalid_signature"
        response["WWW-Authenticate"] = "Webhook-Signature" if is_a_sender else CHALLENGE
    response.code = code  # type: ignore[attr-defined]
    return response


def code_for(status: int) -> str:
    """The code of an answer that Django or a library made."""
    return CODE_OF_STATUS.get(status) or ("try_again" if status >= 500 else "bad_request")


def problem_for(exception: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """REST framework's exception handler; None leaves the exception to the last resort."""
    if isinstance(exception, Refusal):
        return problem(
            context["request"], exception.code, detail=exception.detail, errors=exception.errors
        )
    if not isinstance(exception, APIException):
        return None
    return problem(context["request"], code_for(exception.status_code))
