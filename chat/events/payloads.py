"""The wire format of events: bytes in, typed events out. Every member is checked strictly."""

import json
import re
from codecs import BOM_UTF8
from datetime import UTC, datetime, tzinfo
from functools import cache, cached_property
from typing import Annotated, Any, Literal, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from chat.database import YEARS
from chat.refusals import FieldError, InvalidEvent, InvalidJSON, Subject

# Well below the parser's own limit, because that limit moves with the depth of the stack.
MAX_NESTING = 500


def parse(body: bytes) -> "Event":
    """Return the event in a request body. Raises InvalidJSON or InvalidEvent."""
    document = read_json(body)
    try:
        event: Event = model_for(document).model_validate(document)
    except ValidationError as error:
        raise InvalidEvent(field_errors(error), subject_of(document)) from None
    return event


def parse_id(text: object) -> UUID | None:
    """Return the id of a text in the form 8-4-4-4-12, in either case; None for any other value."""
    if isinstance(text, str) and ID.fullmatch(text):
        return UUID(text)
    return None


# JSON


def read_json(body: bytes) -> Any:
    try:
        text = body.removeprefix(BOM_UTF8).decode()
        document = DECODER.decode(text)
    except (ValueError, RecursionError):
        raise InvalidJSON from None
    if text.count("[") + text.count("{") >= MAX_NESTING and nesting_of(document) >= MAX_NESTING:
        raise InvalidJSON
    return document


def object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate names")
    return members


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=object_without_duplicates,
    parse_constant=refuse_constant,
    parse_int=float,  # int() fails past 4,300 digits, and no member is a number
)


def nesting_of(document: Any) -> int:
    depth, level = 0, [document]
    while level := [value for value in level if isinstance(value, dict | list)]:
        depth += 1
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else value)
        ]
    return depth


# Members

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I | re.A)
TIMESTAMP = re.compile(
    r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?",
    re.A,
)


def id_member(value: object) -> UUID:
    id = parse_id(value)
    if id is None:
        raise PydanticCustomError("invalid_id", "Must be a UUID in the form 8-4-4-4-12.")
    return id


def timestamp_member(value: object) -> datetime:
    try:
        return parse_timestamp(value)
    except ValueError:
        raise PydanticCustomError(
            "invalid_timestamp",
            "Must be YYYY-MM-DDThh:mm:ss with up to nine decimals and an optional Z or ±hh:mm, "
            "in the years 1970 to 2999.",
        ) from None


def parse_timestamp(value: object) -> datetime:
    """Return the instant in UTC, cut to microseconds. Raises ValueError for any other form.

    A timestamp without an offset is read in EVENT_TIME_ZONE. If clocks were set back, an hour occurs
    twice, and the timestamp means the first occurrence.
    """
    if not isinstance(value, str) or not TIMESTAMP.fullmatch(value):
        raise ValueError("not in the form")
    written = datetime.fromisoformat(value)
    local = written if written.tzinfo else written.replace(tzinfo=event_time_zone())
    if local.year not in range(YEARS.start - 1, YEARS.stop + 1):
        raise ValueError("out of range")  # else a zone may move the time past the range of datetime
    instant = local.astimezone(UTC)
    if instant.year not in YEARS:
        raise ValueError("out of range")
    return instant


@cache
def zone_named(name: str) -> tzinfo:
    return ZoneInfo(name)


def event_time_zone() -> tzinfo:
    return zone_named(settings.EVENT_TIME_ZONE)


def content_member(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("not_a_string", "Must be a string.")
    if not value.strip():
        raise PydanticCustomError("blank", "Must not be blank.")
    if "\0" in value or SURROGATE.search(value):
        raise PydanticCustomError("invalid_text", "Must have no NUL and no lone surrogate.")
    return value


SURROGATE = re.compile("[\ud800-\udfff]")

# Patterns for the JSON schemas, so without flags. The one of timestamps lets 30 February pass.
TIMESTAMP_PATTERN = (
    "^(?:19[7-9][0-9]|2[0-9]{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    "T(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\\.[0-9]{1,9})?"
    "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?$"
)
ID_PATTERN = f"^{ID.pattern.replace('a-f', 'a-fA-F')}$"

Id = Annotated[
    UUID,
    BeforeValidator(id_member),
    WithJsonSchema(
        {
            "type": "string",
            "format": "uuid",
            "pattern": ID_PATTERN,
            "description": "8-4-4-4-12, in either case.",
        }
    ),
]
Timestamp = Annotated[
    datetime,
    BeforeValidator(timestamp_member),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": TIMESTAMP_PATTERN,
            "description": "YYYY-MM-DDThh:mm:ss with up to nine decimals and an optional Z or ±hh:mm; "
            "without one, in the sender's zone that this service is set to. Years 1970 to 2999.",
        }
    ),
]
Content = Annotated[
    str,
    BeforeValidator(content_member),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "pattern": "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$",
            "description": "Not blank, without NUL, and without a lone surrogate.",
        }
    ),
]


# Events


class Payload(BaseModel):
    """A payload. Unknown members are ignored, so senders may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class ConversationData(Payload):
    id: Id


class MessageData(Payload):
    id: Id
    direction: Literal["SENT", "RECEIVED"]
    content: Content
    conversation_id: Id


class NewConversation(Payload):
    type: Literal["NEW_CONVERSATION"]
    timestamp: Timestamp
    data: ConversationData

    @cached_property
    def subject(self) -> Subject:
        return Subject(self.type, self.timestamp, conversation_id=self.data.id)


class NewMessage(Payload):
    type: Literal["NEW_MESSAGE"]
    timestamp: Timestamp
    data: MessageData

    @cached_property
    def subject(self) -> Subject:
        return Subject(self.type, self.timestamp, self.data.conversation_id, self.data.id)


class CloseConversation(Payload):
    type: Literal["CLOSE_CONVERSATION"]
    timestamp: Timestamp
    data: ConversationData

    @cached_property
    def subject(self) -> Subject:
        return Subject(self.type, self.timestamp, conversation_id=self.data.id)


class UnknownEvent(Payload):
    """The model for an unknown type: validation still finds every other error."""

    type: Literal["NEW_CONVERSATION", "NEW_MESSAGE", "CLOSE_CONVERSATION"]
    timestamp: Timestamp
    data: dict[Any, Any]


Event = NewConversation | NewMessage | CloseConversation
EVENTS: dict[str, type[Event]] = {
    "NEW_CONVERSATION": NewConversation,
    "NEW_MESSAGE": NewMessage,
    "CLOSE_CONVERSATION": CloseConversation,
}


def model_for(document: Any) -> Any:
    type = document.get("type") if isinstance(document, dict) else None
    return EVENTS.get(type, UnknownEvent) if isinstance(type, str) else UnknownEvent


# pydantic's codes and words change with its versions, and may quote the input.
CODES = {
    "missing": ("missing", "Required."),
    "literal_error": ("unknown_value", "Must be one of the values that the format names."),
    # A lone surrogate in place of a literal.
    "string_unicode": ("unknown_value", "Must be one of the values that the format names."),
    "model_type": ("not_an_object", "Must be an object."),
    "dict_type": ("not_an_object", "Must be an object."),
}


def field_errors(error: ValidationError) -> tuple[FieldError, ...]:
    return tuple(
        FieldError(
            "".join(f"/{name}" for name in line["loc"]),
            *CODES.get(line["type"], (line["type"], line["msg"])),
        )
        for line in error.errors(include_url=False, include_context=False, include_input=False)
    )


def subject_of(document: Any) -> Subject:
    """Return the readable type, time and ids of an invalid event, for the log."""
    event = document if isinstance(document, dict) else {}
    data = event.get("data")
    data = data if isinstance(data, dict) else {}
    try:
        timestamp = parse_timestamp(event.get("timestamp"))
    except ValueError:
        timestamp = None
    model = model_for(document)
    if model is UnknownEvent:
        return Subject(timestamp=timestamp)
    if model is NewMessage:
        ids = parse_id(data.get("conversation_id")), parse_id(data.get("id"))
    else:
        ids = parse_id(data.get("id")), None
    return Subject(event["type"], timestamp, *ids)
