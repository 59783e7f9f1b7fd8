"""The OpenAPI 3.1 document, made from the models that validate and serialize."""

from functools import cache
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from chat.api.exports import JSON_LINES
from chat.api.parameters import (
    ChangeParameters,
    ConversationParameters,
    DeliveryParameters,
    ExportParameters,
    MessageParameters,
    Parameters,
    StatsParameters,
)
from chat.api.serializers import (
    ChangesOut,
    ConversationListOut,
    ConversationOut,
    DeliveriesOut,
    DeliveryDetailOut,
    MessagePageOut,
    OutcomeOut,
)
from chat.api.spreadsheets import XLSX
from chat.events.payloads import EVENTS
from chat.models import Scope
from chat.problems import MEDIA_TYPE
from chat.refusals import REFUSALS, FieldError
from chat.statistics import Statistics
from realmate import __version__

Schema = dict[str, Any]


class ProblemOut(BaseModel):
    """RFC 9457 problem details. `code` names the problem. `errors` lists wrong members of the body
    (pointers of RFC 6901) or wrong query parameters (`/` and the name).
    """

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str
    code: str
    request_id: UUID
    errors: list[FieldError] = []


class StatusOut(BaseModel):
    """The answer of a probe when all is well."""

    status: Literal["ok", "ready"]


@cache
def schema() -> Schema:
    """Return the whole document. Only a change of the code changes it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Realmate",
            "version": __version__,
            "description": "Every path works with and without a slash at its end. Every answer "
            "has an X-Request-Id. Times are RFC 3339 in UTC with six digits after the second, "
            "so their texts sort as the times do.",
        },
        "paths": paths(),
        "components": {"schemas": components(), "securitySchemes": SECURITY_SCHEMES},
    }


# Paths

OF_READERS = ("not_authenticated", "https_required", "insufficient_scope", "rate_limited")


def paths() -> Schema:
    id_of_conversation = parameter("id", {"type": "string", "format": "uuid"}, place="path")
    one = {"parameters": [id_of_conversation]}
    numbered = {"parameters": [parameter("id", {"type": "integer"}, place="path")]}
    unknown = "conversation_not_found"
    return {
        "/webhook/": {"post": webhook()},
        "/conversations": {
            "get": read(
                "Conversations, by pages",
                as_json(ConversationListOut),
                codes=["bad_request", "cursor_expired"],
                parameters=ConversationParameters,
            )
        },
        "/conversations/{id}": one
        | {
            "get": read(
                "A conversation with all its messages",
                as_json(ConversationOut),
                codes=["bad_request", unknown],
            )
        },
        "/conversations/{id}/messages": one
        | {
            "get": read(
                "Messages of a conversation, by pages: the newest, or at a given message",
                as_json(MessagePageOut),
                codes=["bad_request", unknown],
                parameters=MessageParameters,
            )
        },
        "/conversations/{id}/transcript.txt": one
        | {
            "get": read(
                "A conversation as text", as_text("text/plain"), codes=["bad_request", unknown]
            )
        },
        "/conversations/{id}/transcript.csv": one
        | {
            "get": read(
                "A conversation as a table", as_text("text/csv"), codes=["bad_request", unknown]
            )
        },
        "/conversations/{id}/transcript.xlsx": one
        | {
            "get": read(
                "A conversation as a table of Excel", {XLSX: {}}, codes=["bad_request", unknown]
            )
        },
        "/changes": {
            "get": read(
                "What happened to conversations, in one order",
                as_json(ChangesOut),
                codes=["bad_request", "cursor_expired"],
                parameters=ChangeParameters,
            )
        },
        "/export/messages.jsonl": {
            "get": read(
                "All messages as JSON lines, by arrival; the last line has only `next`",
                {JSON_LINES: {"schema": {"type": "string"}}},
                codes=["bad_request", "cursor_expired", "too_many_reads"],
                parameters=ExportParameters,
            )
        },
        "/deliveries": {
            "get": read(
                "The delivery log, by pages and without the bodies",
                as_json(DeliveriesOut),
                codes=["bad_request", "cursor_expired"],
                parameters=DeliveryParameters,
                scope=Scope.DELIVERIES,
            )
        },
        "/deliveries/{id}": numbered
        | {
            "get": read(
                "A delivery with the errors of an invalid event; staff also get its body",
                as_json(DeliveryDetailOut),
                codes=["bad_request", "not_found"],
                scope=Scope.DELIVERIES,
            )
        },
        "/deliveries/{id}/replay": numbered | {"post": replay()},
        "/stats": {
            "get": read(
                "Figures of the last days",
                as_json(Statistics),
                codes=["bad_request"],
                parameters=StatsParameters,
            )
        },
        "/metrics": {
            "get": read("Counters and durations, for Prometheus", METRICS, scope=Scope.METRICS)
        },
        "/healthz": {"get": read("Whether the process answers", as_json(StatusOut), is_open=True)},
        "/readyz": {
            "get": read(
                "Whether it can take events; if not, errors says why",
                as_json(StatusOut),
                is_open=True,
            )
        },
        "/docs": {"get": read("This document, as a page", as_text("text/html"))},
        "/schema": {"get": read("This document", {"application/json": {"schema": {}}})},
    }


def webhook() -> Schema:
    events = [{"$ref": ref(model)} for model in EVENTS.values()]
    types = {type: ref(model) for type, model in EVENTS.items()}
    body = {"oneOf": events, "discriminator": {"propertyName": "type", "mapping": types}}
    codes = """bad_request invalid_signature forbidden invalid_json invalid_event conversation_closed conversation_not_found
        id_conflict length_required body_too_large unsupported_media_type too_many_bodies"""
    return {
        "summary": "Deliver one event",
        "description": "Deliver at least once, in any order. A 2xx follows a durable commit. The code "
        "of a problem says what is wrong.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": answer("A closing applied, or a duplicate of what is stored", OUTCOME),
            "201": answer("A conversation or a message applied", OUTCOME),
        }
        | problems(codes.split()),
    }


def replay() -> Schema:
    codes = """bad_request not_authenticated forbidden https_required insufficient_scope not_found
        replay_cannot_help invalid_json
        invalid_event conversation_closed conversation_not_found id_conflict"""
    return {
        "summary": "Apply a refused delivery again",
        "description": "For a token with the scope replay, and for staff with a session and its "
        "X-CSRFToken. The answer is that of the webhook to this event, with its original time of "
        "arrival.",
        "security": [{"token": [Scope.REPLAY]}, {"session": []}],
        "responses": {
            "200": answer("A closing applied, or a duplicate of what is stored", OUTCOME),
            "201": answer("A conversation or a message applied", OUTCOME),
        }
        | problems(codes.split()),
    }


def read(
    summary: str,
    content: Schema,
    *,
    codes: list[str] | None = None,
    parameters: type[Parameters] | None = None,
    is_open: bool = False,
    scope: Scope = Scope.READ,
) -> Schema:
    codes = [*(codes or []), *([] if is_open else OF_READERS)]
    operation: Schema = {
        "summary": summary,
        "security": [] if is_open else [{"token": [scope]}, {"session": []}],
        "responses": {"200": answer(summary, content)} | problems(codes),
    }
    if parameters:
        operation["parameters"] = parameters_of(parameters)
    return operation


def parameters_of(model: type[Parameters]) -> list[Schema]:
    fields = model.model_json_schema(schema_generator=Plain, ref_template=REF)["properties"]
    return [parameter(name, dict(field)) for name, field in fields.items()]


def parameter(name: str, field: Schema, *, place: str = "query") -> Schema:
    """Describe one parameter. Its default of None or "" only means that it was left out."""
    description = field.pop("description", None)
    if field.get("default") in (None, ""):
        field.pop("default", None)
    field |= field.pop("anyOf", [{}])[0]
    described = {"description": description} if description else {}
    return {"name": name, "in": place, "required": place == "path", "schema": field} | described


# Answers


def answer(description: str, content: Schema) -> Schema:
    return {"description": description, "content": content}


def as_json(model: type[BaseModel]) -> Schema:
    return {"application/json": {"schema": {"$ref": ref(model)}}}


def as_text(media_type: str) -> Schema:
    return {f"{media_type}; charset=utf-8": {"schema": {"type": "string"}}}


def problems(codes: list[str]) -> Schema:
    """Return the problems of an address by status, with the problems of every address."""
    by_status: dict[int, list[str]] = {}
    for code in [*codes, "method_not_allowed", "try_again"]:
        by_status.setdefault(REFUSALS[code].status, []).append(code)
    return {str(status): problem_answer(by_status[status]) for status in sorted(by_status)}


def problem_answer(codes: list[str]) -> Schema:
    of_these = {"properties": {"code": {"enum": codes}}}
    problem = {"allOf": [{"$ref": ref(ProblemOut)}, of_these]}
    description = "\n\n".join(f"{code}: {REFUSALS[code].detail}" for code in codes)
    return answer(description, {MEDIA_TYPE: {"schema": problem}})


# A program has a token, a person's browser the session of its login.
SECURITY_SCHEMES: Schema = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "Of manage.py createtoken, with scopes.",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
}

# Components

REF = "#/components/schemas/{model}"


class Plain(GenerateJsonSchema):
    """Leaves titles out, because they repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def ref(model: type[BaseModel]) -> str:
    return REF.format(model=model.__name__)


OUTCOME = as_json(OutcomeOut)
METRICS: Schema = {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}
PARAMETERS: list[type[Parameters]] = [
    ChangeParameters,
    ConversationParameters,
    DeliveryParameters,
    ExportParameters,
    MessageParameters,
    StatsParameters,
]
TAKEN: list[type[BaseModel]] = [*EVENTS.values(), *PARAMETERS]
GIVEN: list[type[BaseModel]] = [
    OutcomeOut,
    ChangesOut,
    ConversationListOut,
    ConversationOut,
    DeliveriesOut,
    DeliveryDetailOut,
    MessagePageOut,
    ProblemOut,
    Statistics,
    StatusOut,
]


def components() -> Schema:
    taken: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in TAKEN]
    given: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "serialization") for model in GIVEN
    ]
    _, made = models_json_schema([*taken, *given], schema_generator=Plain, ref_template=REF)
    schemas: Schema = made["$defs"]
    schemas["ProblemOut"]["properties"]["code"]["enum"] = list(REFUSALS)
    for model in PARAMETERS:
        del schemas[model.__name__]
    return schemas
