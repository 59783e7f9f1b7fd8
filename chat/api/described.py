"""The descriptions of the JSON addresses. schema.py makes the OpenAPI document from them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from chat.api.parameters import Parameters


class Tag(StrEnum):
    """The groups of addresses, in the order of the document."""

    EVENTS = "Events"
    CONVERSATIONS = "Conversations"
    MESSAGES = "Messages"
    CHANGES = "Changes"
    DELIVERIES = "Deliveries"
    FIGURES = "Figures"
    SERVICE = "Service"


@dataclass(frozen=True)
class Answer:
    """An answer without an error. The type of its example is the type of every such answer.

    A model stands for its schema, a text for text, a dict for any JSON object, None for a file.
    """

    example: BaseModel | dict[str, Any] | str | None
    media_type: str = "application/json"
    description: str = ""  # else the summary of the address
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Described:
    """The description of an address. Its summary and text are the docstring of the view.

    `codes` names the refusals of this address. schema.py adds the refusals common to all addresses.
    """

    id: str  # the operationId. It never changes, because generated programs have it as a name
    tag: Tag
    answers: dict[int, Answer]
    codes: tuple[str, ...] = ()
    parameters: type[Parameters] | None = None
    headers: tuple[str, ...] = ()  # of the request
    body: dict[str, type[BaseModel]] | None = None  # models by the value of `type`
    has_slash: bool = False  # the form of the path to show; both work


def read(
    id: str,
    tag: Tag,
    example: BaseModel | dict[str, Any] | str | None,
    *,
    codes: tuple[str, ...] = (),
    parameters: type[Parameters] | None = None,
    has_etag: bool = False,
    media_type: str = "application/json",
    headers: tuple[str, ...] = (),
) -> Described:
    """Describe an address for GET. An address with an ETag also answers 304 and 412."""
    if has_etag:
        codes = (*codes, "precondition_failed")
        headers = (*headers, "ETag")
    return Described(
        id,
        tag,
        {200: Answer(example, media_type, headers=headers)},
        codes=codes,
        parameters=parameters,
        headers=("If-None-Match", "If-Match") if has_etag else (),
    )
