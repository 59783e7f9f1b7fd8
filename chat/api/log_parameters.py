"""Query parameters of the delivery log."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from chat.api.parameters import contradiction, one_of, refuse_backwards
from chat.api.query_parameters import PageParameters
from chat.events.payloads import Id, Timestamp
from chat.models import LOOKED_AT, REQUEST_COLUMNS, Delivery, LogFilters
from chat.refusals import OF_EVENTS

CODES_OF_EVENTS = [refusal.code for refusal in OF_EVENTS]
# The columns searched by each of these parameters.
COLUMNS = {
    "request_id": REQUEST_COLUMNS,
    "webhook_id": ("webhook_id",),
    "message_id": ("message_id",),
    "conversation": ("conversation_id",),
}
REQUEST_ID_PATTERN = "^[ -~]{1,64}$"
WEBHOOK_ID_PATTERN = "^[!-~]{1,255}$"


def full_match(pattern: str, detail: str) -> BeforeValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise PydanticCustomError("invalid_id", detail)
        return value

    return BeforeValidator(check)


RequestId = Annotated[
    str,
    full_match(REQUEST_ID_PATTERN, "Must have 1 to 64 printable ASCII characters."),
    WithJsonSchema({"type": "string", "pattern": REQUEST_ID_PATTERN}),
]
WebhookId = Annotated[
    str,
    full_match(WEBHOOK_ID_PATTERN, "Must have 1 to 255 printable ASCII characters and no space."),
    WithJsonSchema({"type": "string", "pattern": WEBHOOK_ID_PATTERN}),
]


class DeliveryParameters(PageParameters):
    """Filters of the delivery log, newest first. Contradictory combinations are refused."""

    outcome: Annotated[str, one_of(*Delivery.Outcome.values)] = Field(
        "",
        description="Only deliveries with this value.",
        json_schema_extra={"enum": [*Delivery.Outcome.values]},
    )
    type: Annotated[str, one_of(*Delivery.Type.values)] = Field(
        "",
        description="Only deliveries with this value.",
        json_schema_extra={"enum": [*Delivery.Type.values]},
    )
    code: Annotated[str, one_of(*CODES_OF_EVENTS)] = Field(
        "",
        description="Only deliveries that were refused with this code.",
        json_schema_extra={"enum": [*CODES_OF_EVENTS]},
    )
    conversation: Id | None = Field(
        None, description="Only deliveries that name this conversation."
    )
    request_id: RequestId | None = Field(
        None,
        description="Only deliveries of the request with this `X-Request-Id`: the one of our answer, or, "
        "if no delivery has it, the sender's own. At most one of `conversation`, `request_id`, "
        "`webhook_id` and `message_id`.",
    )
    webhook_id: WebhookId | None = Field(
        None,
        description="Only deliveries with this header `webhook-id`: all attempts of one event.",
    )
    message_id: Id | None = Field(None, description="Only deliveries that name this message.")
    received_from: Timestamp | None = Field(
        None,
        description="Bounds of `received_at`: from `received_from`, before `received_to`. Without an id "
        f"the order is by `received_at`, newest first. A page looks at {LOOKED_AT:,} deliveries at "
        "most for those that match all filters, so it may be short or empty and still have a `next`.",
    )
    received_to: Timestamp | None = Field(
        None, description="Only deliveries whose `received_at` is before this time."
    )

    @property
    def filters(self) -> LogFilters:
        id_parameter = next((name for name in COLUMNS if getattr(self, name)), None)
        return LogFilters(
            outcome=self.outcome,
            type=self.type,
            code=self.code,
            ids=(str(getattr(self, id_parameter)),) if id_parameter else (),
            columns=COLUMNS[id_parameter] if id_parameter else (),
            received_from=self.received_from,
            received_to=self.received_to,
        )

    @field_validator("request_id", "webhook_id", "message_id")
    @classmethod
    def one_id_only(cls, value: Any, info: ValidationInfo) -> Any:
        if any(info.data.get(name) for name in COLUMNS):
            raise contradiction(f"At most one of {', '.join(COLUMNS)}.")
        return value

    @field_validator("received_to")
    @classmethod
    def time_runs_forward(cls, value: datetime, info: ValidationInfo) -> datetime:
        refuse_backwards(info.data.get("received_from"), value, begins="received_from")
        return value
