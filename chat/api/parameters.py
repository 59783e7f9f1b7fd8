"""Query parameters of the JSON reads. Wrong, unknown and repeated parameters are refused."""

import re
from datetime import datetime
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

from chat.events.payloads import Id, Timestamp, field_errors
from chat.folding import MAX_QUERY, MAX_TERMS, WORD, fold
from chat.models import Conversation, Delivery, Sort
from chat.refusals import OF_EVENTS, BadParameters, FieldError
from chat.statistics import DEFAULT_PERIOD, PERIODS

MAX_LIMIT = 100
DEFAULT_LIMIT = 50
MAX_CHANGES = 1000
DEFAULT_CHANGES = 100
MAX_WAIT = 25  # seconds; proxies often give up after 30 or 60


INVALID_CURSOR = FieldError(
    "/cursor", "invalid_cursor", "Must be the next of an earlier page in the same order."
)


class Parameters(BaseModel):
    """The parameters of one address. Each field is one parameter, given once or left out."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def read(cls, query: QueryDict) -> Self:
        """Raises BadParameters. No parameter is ignored: a misspelt filter would list everything."""
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


def many_parameter(value: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", value) or int(value) > MAX_CHANGES:
        raise PydanticCustomError("invalid_limit", f"Must be a number from 1 to {MAX_CHANGES}.")
    return int(value)


def wait_parameter(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", value, re.ASCII) or int(value) > MAX_WAIT:
        raise PydanticCustomError("invalid_wait", f"Must be a number from 0 to {MAX_WAIT}.")
    return int(value)


def cursor_parameter(value: str) -> str:
    """Refuse an empty cursor, which would mean the first page again and again."""
    if not value:
        raise PydanticCustomError("invalid_cursor", INVALID_CURSOR.detail)
    return value


def search_parameter(value: str) -> str:
    words = set(WORD.findall(fold(value)))
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
    """The length and the start of a page."""

    limit: Limit = Field(DEFAULT_LIMIT, description="Rows per page.")
    cursor: Cursor = Field(
        "", description="`next` of the previous page. Keep the other parameters unchanged."
    )


class ConversationParameters(PageParameters):
    """Filters and order of conversations. Contradictory combinations are refused."""

    state: State | None = Field(
        None,
        description="Only conversations in this state. CLOSED conversations never need a reply.",
    )
    needs_reply: Flag | None = Field(
        None, description="Only conversations that need a reply, or only the others."
    )
    q: Search = Field(
        "",
        description="Only conversations with a message that contains all of these words. Case and "
        "accents do not matter; the last word matches as a prefix. The latest hit comes first, and "
        "`ordering` is refused. A page lists a conversation once; a later page lists it again for "
        "older hits. A page may be short or empty and still have a `next`.",
    )
    updated_since: Timestamp | None = Field(
        None,
        description="Only conversations whose `updated_at` is this time or later, by `updated_at`, "
        "oldest first; `q` and `ordering` are refused. To miss nothing follow /changes.",
    )
    ordering: Ordering = Field(
        Sort.LATEST,
        description="`latest`: by activity, newest first. `waiting`: by the longest wait for a reply, "
        "then by activity. `newest`, `oldest`: by opening.",
    )

    @field_validator("updated_since")
    @classmethod
    def order_is_that_of_the_updates(cls, value: datetime, info: ValidationInfo) -> datetime:
        if info.data.get("q"):
            raise contradiction("With q, the order is that of the hits, the latest arrival first.")
        return value

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
        if given.get("updated_since"):
            raise contradiction("With updated_since, the order is that of the updates.")
        nobody_waits = given.get("state") == Conversation.State.CLOSED
        if value == Sort.WAITING and (nobody_waits or given.get("needs_reply") is False):
            raise contradiction("None of these conversations waits for a reply.")
        return value


class DeliveryParameters(PageParameters):
    """Filters of the delivery log, newest first."""

    outcome: Annotated[str, one_of(*Delivery.Outcome.values)] = Field(
        "", description="Only deliveries with this value."
    )
    type: Annotated[str, one_of(*Delivery.Type.values)] = Field(
        "", description="Only deliveries with this value."
    )
    code: Annotated[str, one_of(*(refusal.code for refusal in OF_EVENTS))] = Field(
        "", description="Only deliveries that were refused with this code."
    )
    conversation: Id | None = Field(
        None, description="Only deliveries that name this conversation."
    )


class ChangeParameters(Parameters):
    """The start of the changes, their number, and how long to wait for the first one."""

    after: Annotated[str, BeforeValidator(cursor_parameter)] = Field(
        "",
        description="`next` of an earlier answer: the changes after it. `now`: no change, and a "
        "`next` to follow from. Without it: from the oldest change that is kept.",
    )
    limit: Annotated[
        int,
        BeforeValidator(many_parameter),
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_CHANGES}),
    ] = Field(DEFAULT_CHANGES, description="Changes per answer.")
    wait: Annotated[
        int,
        BeforeValidator(wait_parameter),
        WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MAX_WAIT}),
    ] = Field(
        0,
        description="Seconds to wait if there is no change yet. The answer comes with the first "
        "change, and at once if too many others wait, or if the server stops.",
    )


class StatsParameters(Parameters):
    """The period of the statistics."""

    days: Days = Field(DEFAULT_PERIOD, description="The number of days up to and including today.")


class MessageParameters(Parameters):
    """A page of messages: the newest, or the ones at a given message."""

    limit: Limit = Field(DEFAULT_LIMIT, description="Rows per page.")
    before: Id | None = Field(None, description="The messages before this one.")
    after: Id | None = Field(None, description="The messages after this one.")
    around: Id | None = Field(None, description="This message, and messages on both sides.")

    @field_validator("after", "around")
    @classmethod
    def one_place_only(cls, value: UUID, info: ValidationInfo) -> UUID:
        if any(info.data.get(name) for name in ("before", "after")):
            raise contradiction("At most one of before, after and around.")
        return value


def contradiction(detail: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", detail)
