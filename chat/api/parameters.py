"""Query parameters of the JSON reads, strict: whatever is wrong, unknown or given twice is refused."""

import re
from typing import Annotated, Any, Self
from uuid import UUID

from django.http import QueryDict
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from chat.events.payloads import Id, field_errors
from chat.folding import MAX_QUERY, MAX_TERMS, words_of
from chat.models import Conversation, Delivery, Sort
from chat.refusals import OF_EVENTS, BadParameters, FieldError
from chat.statistics import DEFAULT_PERIOD, PERIODS

MAX_LIMIT = 100
DEFAULT_LIMIT = 50


INVALID_CURSOR = FieldError("/cursor", "invalid_cursor", "Must be the next of an earlier page.")


class Parameters(BaseModel):
    """What one address takes. Each field is one parameter, given once or left out."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def read(cls, query: QueryDict) -> Self:
        """Raises BadParameters. Nothing is ignored: a misspelt filter would list everything."""
        errors = list(cls.unknown_or_repeated(query))
        given = {name: query[name] for name in cls.model_fields if name in query}
        try:
            parameters = cls.model_validate(given)
        except ValidationError as error:
            raise BadParameters(*errors, *field_errors(error)) from None
        if errors:
            raise BadParameters(*errors)
        return parameters

    @classmethod
    def unknown_or_repeated(cls, query: QueryDict) -> list[FieldError]:
        taken = cls.model_fields
        errors = [
            FieldError(f"/{name}", "repeated", "Must be given once.")
            for name in taken
            if len(query.getlist(name)) > 1
        ]
        if query.keys() - taken.keys():
            only = f"This address takes only: {', '.join(taken)}."
            errors.append(FieldError("", "unknown_parameter", only))
        return errors


# Values


def limit_parameter(value: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,2}", value) or int(value) > MAX_LIMIT:
        raise PydanticCustomError("invalid_limit", f"Must be a number from 1 to {MAX_LIMIT}.")
    return int(value)


def cursor_parameter(value: str) -> str:
    """Empty would mean the first page, over and over."""
    if not value:
        raise PydanticCustomError("invalid_cursor", INVALID_CURSOR.detail)
    return value


def search_parameter(value: str) -> str:
    words = words_of(value)
    if not words:
        raise PydanticCustomError("no_words", "Must have a letter or a digit.")
    if len(value) > MAX_QUERY or len(words) > MAX_TERMS:
        bounds = f"Must have at most {MAX_QUERY:,} characters and {MAX_TERMS} different words."
        raise PydanticCustomError("too_long", bounds)
    return value


def one_of(*values: str) -> BeforeValidator:
    def check(value: str) -> str:
        if value not in values:
            raise PydanticCustomError("unknown_value", f"Must be one of: {', '.join(values)}.")
        return value

    return BeforeValidator(check)


def days_parameter(value: str) -> int:
    if value not in map(str, PERIODS):
        known = ", ".join(map(str, PERIODS))
        raise PydanticCustomError("unknown_value", f"Must be one of: {known}.")
    return int(value)


Days = Annotated[
    int,
    BeforeValidator(days_parameter),
    WithJsonSchema({"type": "integer", "enum": list(PERIODS)}),
]
Limit = Annotated[
    int,
    BeforeValidator(limit_parameter),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
]
Cursor = Annotated[str, BeforeValidator(cursor_parameter)]
Search = Annotated[str, BeforeValidator(search_parameter)]
State = Annotated[Conversation.State, one_of(*Conversation.State.values)]
Ordering = Annotated[Sort, one_of(*Sort.values)]
Flag = Annotated[bool, one_of("true", "false")]


# Addresses


class PageParameters(Parameters):
    """A page of a list: how long, and after what."""

    limit: Limit = Field(DEFAULT_LIMIT, description="The length of a page.")
    cursor: Cursor = Field(
        "", description="The next of the page before; leave the other parameters as they were."
    )


class ConversationParameters(PageParameters):
    """Which conversations. What can only be empty, or has its own order, is a contradiction."""

    state: State | None = Field(None, description="Only these. CLOSED ones never need a reply.")
    needs_reply: Flag | None = Field(None, description="Only those that do, or do not.")
    q: Search = Field(
        "",
        description="Only those with a message that has all of these words, the last one as a "
        "prefix, whatever the case and the accents. The latest hit is first, and no other ordering "
        "is taken. A conversation is once in a page, and again in a later one when it has older "
        "hits there. A page may have fewer than the limit, or none, and still a next one.",
    )
    ordering: Ordering = Field(
        Sort.LATEST,
        description="By activity, by who waits longest for a reply (then those who do not wait, by "
        "activity), by the opening, the newest or the oldest first.",
    )

    @field_validator("needs_reply")
    @classmethod
    def closed_ones_need_no_reply(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("state") == Conversation.State.CLOSED:
            raise contradiction("A CLOSED conversation never needs a reply.")
        return value

    @field_validator("ordering")
    @classmethod
    def order_is_one_of_these(cls, value: Sort, info: ValidationInfo) -> Sort:
        given: dict[str, Any] = info.data
        if given.get("q"):
            raise contradiction("With q, the order is that of the hits, the latest arrival first.")
        nobody_waits = given.get("state") == Conversation.State.CLOSED
        if value == Sort.WAITING and (nobody_waits or given.get("needs_reply") is False):
            raise contradiction("None of these conversations waits for a reply.")
        return value


class DeliveryParameters(PageParameters):
    """Which deliveries, the newest first."""

    outcome: Annotated[str, one_of(*Delivery.Outcome.values)] = Field("", description="Only these.")
    type: Annotated[str, one_of(*Delivery.Type.values)] = Field("", description="Only these.")
    code: Annotated[str, one_of(*(refusal.code for refusal in OF_EVENTS))] = Field(
        "", description="Only what was refused for it."
    )
    conversation: Id | None = Field(None, description="Only what names this conversation.")


class StatsParameters(Parameters):
    """Of which period."""

    days: Days = Field(DEFAULT_PERIOD, description="The last so many days, today among them.")


class MessageParameters(Parameters):
    """Which messages of a thread: the newest, or those at a message of it."""

    limit: Limit = Field(DEFAULT_LIMIT, description="The length of a page.")
    before: Id | None = Field(None, description="The messages that stand before this one.")
    after: Id | None = Field(None, description="The messages that stand after this one.")
    around: Id | None = Field(None, description="This message, and those on both sides of it.")

    @field_validator("after", "around")
    @classmethod
    def one_place_only(cls, value: UUID, info: ValidationInfo) -> UUID:
        if any(info.data.get(name) for name in ("before", "after")):
            raise contradiction("At most one of before, after and around.")
        return value


def contradiction(detail: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", detail)
