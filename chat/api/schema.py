"""The OpenAPI 3.1 document, made from the URL map, the views' descriptions, and the models."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from inspect import getdoc
from typing import Any, cast

from django.conf import settings
from django.urls import URLPattern, get_resolver
from pydantic import BaseModel

from chat.api import examples
from chat.api.authentication import IsReader
from chat.api.base import JSONView
from chat.api.components import (
    REF,
    Plain,
    ProblemOut,
    Schema,
    models,
    ref,
    with_short_names,
)
from chat.api.described import Answer, Described, Tag
from chat.api.described_headers import HEADERS, OF_REQUESTS
from chat.api.parameters import Parameters
from chat.api.reads import Read
from chat.events.payloads import ID_PATTERN
from chat.problems import MEDIA_TYPE, members_of
from chat.refusals import REFUSALS
from realmate import __version__

View = type[JSONView]


@cache
def schema() -> Schema:
    """Return the whole document. The same code always makes the same document."""
    views = dict(addresses())
    document = {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/", "description": "The service that gives this document."}],
        "tags": [{"name": tag, "description": description} for tag, description in TAGS.items()],
        "paths": {path: path_item(path, view) for path, view in views.items()},
        "components": {
            "schemas": models([view.described for view in views.values()]),
            "headers": HEADERS,
            "examples": problem_examples(views.values()),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }
    return with_short_names(document)


INFO: Schema = {
    "title": "Realmate",
    "version": __version__,
    "summary": "Events of a customer service in, conversations out.",
    "description": "Every path works with and without a slash at its end. Every answer "
    "has an X-Request-Id. Times are RFC 3339 in UTC with six digits after the second, "
    "so their texts sort as the times do.",
    "license": {"name": "MIT", "identifier": "MIT"},
}
TAGS = {
    Tag.EVENTS: "What a sender delivers.",
    Tag.CONVERSATIONS: "Conversations, their messages, and files of them.",
    Tag.MESSAGES: "Messages of all conversations.",
    Tag.CHANGES: "What happened, for programs that follow.",
    Tag.DELIVERIES: "What senders delivered, and what became of it.",
    Tag.FIGURES: "Statistics and metrics.",
    Tag.SERVICE: "Probes, and this document.",
}

# The URL map


def addresses() -> Iterator[tuple[str, View]]:
    """Yield each address for programs once: its path as OpenAPI writes paths, and its view."""
    for pattern in patterns(get_resolver().url_patterns):
        view: View | None = getattr(pattern.callback, "cls", None)
        route = str(pattern.pattern)
        if view and issubclass(view, JSONView) and route.endswith("/") == view.described.has_slash:
            yield "/" + re.sub(r"<\w+:\w+>", "{id}", route), view


def patterns(entries: Iterable[Any]) -> Iterator[URLPattern]:
    for each in entries:
        if isinstance(each, URLPattern):
            yield each
        else:
            yield from patterns(each.url_patterns)


def path_item(path: str, view: View) -> Schema:
    """Describe every method of the view."""
    id = parameter("id", dict(IDS[view.described.tag]), place="path") if "{id}" in path else None
    common: Schema = {"parameters": [id]} if id else {}
    return common | {method: operation(view, method) for method in view.http_method_names}


def operation(view: View, method: str) -> Schema:
    described = view.described
    is_head = method == "head"
    parameters = [*in_query(described.parameters), *map(in_header, described.headers)]
    made: Schema = {
        "operationId": f"head{described.id[0].upper()}{described.id[1:]}"
        if is_head
        else described.id,
        "tags": [described.tag],
        **words_of(view),
        "security": security_of(view),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": request_body_of(described.body)} if described.body else {}),
        "responses": answers_of(view),
    }
    if is_head:
        made["summary"] += " (headers only)"
        for answer in made["responses"].values():
            answer.pop("content", None)
    return made


def words_of(view: View) -> Schema:
    """Return the first sentence of the docstring as summary, and all other words as description."""
    parameters = view.described.parameters
    texts = [getdoc(view) or "", (getdoc(parameters) or "") if parameters else ""]
    summary, *rest = SENTENCE_END.split("\n\n".join(filter(None, texts)), maxsplit=1)
    description = LINE_END.sub(" ", "".join(rest)).strip() or f"{summary}."
    return {"summary": summary, "description": description}


SENTENCE_END = re.compile(r"\.(?=\s|$)")
LINE_END = re.compile(r"(?<!\n)\n(?!\n)")


def is_for_readers(view: View) -> bool:
    return IsReader in view.permission_classes


def security_of(view: View) -> list[Schema]:
    """A program has a token with the scope of the view, a person's browser the session of its login."""
    if not is_for_readers(view):
        return []
    return [{"token": [cast(Any, view).scope]}, {"session": []}]


SECURITY_SCHEMES: Schema = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "Of manage.py createtoken, with scopes. /metrics also takes METRICS_TOKEN.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": settings.SESSION_COOKIE_NAME,
        "description": "Of the login. Behind https its name begins with __Host-.",
    },
}

# Parameters and bodies


def request_body_of(by_type: dict[str, type[BaseModel]]) -> Schema:
    refs = {type: ref(model) for type, model in by_type.items()}
    body = {
        "oneOf": [{"$ref": each} for each in refs.values()],
        "discriminator": {"propertyName": "type", "mapping": refs},
    }
    samples = {type: {"value": examples.EVENTS[type]} for type in by_type}
    return {
        "required": True,
        "content": {"application/json": {"schema": body, "examples": samples}},
    }


# By the group of the address.
IDS: dict[Tag, Schema] = {
    Tag.CONVERSATIONS: {
        "type": "string",
        "format": "uuid",
        "pattern": ID_PATTERN,
        "description": "The id of a conversation, in either case.",
        "examples": [str(examples.CONVERSATION_ID)],
    },
    Tag.MESSAGES: {
        "type": "string",
        "format": "uuid",
        "pattern": ID_PATTERN,
        "description": "The id of a message, in either case.",
        "examples": [str(examples.MESSAGE_ID)],
    },
    Tag.DELIVERIES: {
        "type": "integer",
        "minimum": 1,
        "description": "The number of a delivery.",
        "examples": [examples.DELIVERY.id],
    },
}


def in_query(model: type[Parameters] | None) -> list[Schema]:
    if model is None:
        return []
    fields = model.model_json_schema(schema_generator=Plain, ref_template=REF)["properties"]
    return [parameter(name, dict(field)) for name, field in fields.items()]


def in_header(name: str) -> Schema:
    return parameter(name, dict(OF_REQUESTS[name]), place="header")


def parameter(name: str, field: Schema, *, place: str = "query") -> Schema:
    """Describe one parameter. A default of None or "" only stands for its absence."""
    description = field.pop("description", None)
    if field.get("default") in (None, ""):
        field.pop("default", None)
    field |= field.pop("anyOf", [{}])[0]
    described = {"description": description} if description else {}
    return {"name": name, "in": place, "required": place == "path", "schema": field} | described


# Answers


def answers_of(view: View) -> Schema:
    described = view.described
    summary = words_of(view)["summary"]
    cached = ["Cache-Control"] if issubclass(view, Read) else []
    answers = {
        str(status): answer(
            of.description or summary,
            content_of(of),
            ["X-Request-Id", *cached, *of.headers],
        )
        for status, of in described.answers.items()
    }
    if "If-None-Match" in described.headers:
        unchanged = "The reader has this answer already."
        answers["304"] = answer(unchanged, {}, ["X-Request-Id", *cached, "ETag"])
    return dict(sorted((answers | problems(codes_of(view), cached, described)).items()))


def answer(description: str, content: Schema, headers: Iterable[str]) -> Schema:
    named = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    made: Schema = {"description": description, "headers": named}
    return made | ({"content": content} if content else {})


def content_of(answer: Answer) -> Schema:
    example = answer.example
    if example is None:
        return {answer.media_type: {"schema": {"type": "string", "format": "binary"}}}
    if isinstance(example, BaseModel):
        expected: Schema = {"$ref": ref(type(example))}
        example = example.model_dump(mode="json", exclude_unset=True)
    else:
        expected = {"type": "string" if isinstance(example, str) else "object"}
    return {answer.media_type: {"schema": expected, "example": example}}


def codes_of(view: View) -> list[str]:
    """Return the codes of an address, with the codes of every address like it."""
    of_readers = OF_READERS if is_for_readers(view) else ()
    of_reads = OF_READS if issubclass(view, Read) else ()
    codes = [*view.described.codes, *of_readers, *of_reads, *OF_ALL]
    return list(dict.fromkeys(codes))


OF_READERS = (
    "bad_request",
    "not_authenticated",
    "https_required",
    "insufficient_scope",
)
OF_READS = ("rate_limited",)
OF_ALL = ("method_not_allowed", "try_again")


def problems(codes: list[str], cached: list[str], described: Described) -> Schema:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(REFUSALS[code].status, []).append(code)
    return {
        str(int(status)): problem_answer(
            {code: example_of(code, described) for code in of},
            ["X-Request-Id", *cached, *OF_STATUS.get(status, ())],
        )
        for status, of in by_status.items()
    }


OF_STATUS = {
    401: ["WWW-Authenticate"],
    405: ["Allow"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}


def problem_answer(codes: dict[str, str], headers: list[str]) -> Schema:
    """Describe the answer with one of these codes, each with the name of its example."""
    of_these = {"properties": {"code": {"enum": list(codes)}}}
    problem = {"allOf": [{"$ref": ref(ProblemOut)}, of_these]}
    description = "\n\n".join(f"{code}: {REFUSALS[code].detail}" for code in codes)
    references = {
        code: {"$ref": f"#/components/examples/{example}"} for code, example in codes.items()
    }
    return answer(description, {MEDIA_TYPE: {"schema": problem, "examples": references}}, headers)


def example_of(code: str, described: Described) -> str:
    has_parameters = code == "bad_request" and described.parameters
    return "bad_parameters" if has_parameters else code


def problem_examples(views: Iterable[View]) -> Schema:
    """Return an example of each problem of any address."""
    named = {example_of(code, view.described) for view in views for code in codes_of(view)}
    return {
        name: {"value": members_of(refusal, examples.REQUEST_ID)}
        for name, refusal in examples.REFUSED.items()
        if name in named
    }
