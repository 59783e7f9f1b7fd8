"""Query parameters and their values. Wrong, unknown and repeated parameters are refused."""

import re
from datetime import datetime
from typing import Annotated, Self

from django.http import QueryDict
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from chat.events.payloads import field_errors
from chat.models import Conversation, Sort
from chat.refusals import BadParameters, FieldError
from chat.statistics import PERIODS
from chat.text.expressions import MAX_QUERY, MAX_TERMS
from chat.text.folding import WORD, fold

MAX_LIMIT = 100
MAX_CHANGES = 1000
MAX_WAIT = 25  # seconds; proxies often give up after 30 or 60


INVALID_CURSOR = FieldError(
    "/cursor", "invalid_cursor", "Must be the next of an earlier page in the same order."
)


class Parameters(BaseModel):
    """The parameters of one address. Each field is one parameter, given once or left out."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def read(cls, query: QueryDict) -> Self:
        """Read the parameters. Raises BadParameters.

        No parameter is ignored, because a misspelt filter would list everything.
        """
        errors = list(cls.unknown_or_repeated(query))
        values = {name: query[name] for name in cls.names() if name in query}
        try:
            parameters = cls.model_validate(values)
        except ValidationError as error:
            raise BadParameters(*errors, *field_errors(error)) from None
        if errors:
            raise BadParameters(*errors)
        return parameters

    @classmethod
    def names(cls) -> dict[str, None]:
        """Return the names of the parameters in their order. A word of Python has an alias."""
        return {field.alias or name: None for name, field in cls.model_fields.items()}

    @classmethod
    def unknown_or_repeated(cls, query: QueryDict) -> list[FieldError]:
        taken = cls.names()
        errors = [
            FieldError(f"/{name}", "repeated", "Must be given once.")
            for name in taken
            if len(query.getlist(name)) > 1
        ]
        if query.keys() - taken.keys():
            only = f"This address takes only: {', '.join(taken)}."
            none = "This address takes no parameters."
            errors.append(FieldError("", "unknown_parameter", only if taken else none))
        return errors


class NoParameters(Parameters):
    """No parameters."""


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
    """Refuse an empty cursor, because a loop over pages would begin again and again."""
    if not value:
        raise PydanticCustomError("invalid_cursor", "Must not be empty.")
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
Cursor = Annotated[
    str, BeforeValidator(cursor_parameter), WithJsonSchema({"type": "string", "minLength": 1})
]
Search = Annotated[
    str,
    BeforeValidator(search_parameter),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_QUERY}),
]
State = Annotated[Conversation.State, one_of(*Conversation.State.values)]
Ordering = Annotated[Sort, one_of(*Sort.values)]
Flag = Annotated[bool, one_of("true", "false")]
OnlyTrue = Annotated[bool, one_of("true")]


def contradiction(detail: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", detail)


def refuse_backwards(since: datetime | None, until: datetime, *, begins: str) -> None:
    """Raise a contradiction unless `until` is later. `begins` is the parameter with `since`."""
    if since and until <= since:
        raise contradiction(f"Must be later than {begins}.")
