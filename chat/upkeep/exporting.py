"""Export everything stored about one conversation as a JSON document."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from pydantic_core import to_json

from chat.database.json_texts import instant_text
from chat.models import Conversation, Delivery, Message

AT_ONCE = 100


def document(id: UUID) -> Iterator[str]:
    """Yield the document in pieces, because its size has no bound. Times are as in the JSON of the reads."""
    conversation = Conversation.objects.find(id)
    messages = Message.objects.filter(conversation=id).order_by("arrival")
    yield f'{{"conversation": {json_of(fields_of(conversation) if conversation else None)}'
    yield from listed("messages", messages)
    yield from listed("deliveries", Delivery.objects.about(id))
    yield "}\n"


def listed(name: str, rows: models.QuerySet[Any]) -> Iterator[str]:
    yield f',\n"{name}": ['
    separator = "\n"
    for row in rows.iterator(chunk_size=AT_ONCE):
        yield separator + json_of(fields_of(row))
        separator = ",\n"
    yield "]"


def fields_of(row: models.Model) -> dict[str, Any]:
    """Return every column. A body is text if possible, and base64 otherwise."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    fields |= {
        name: instant_text(value) for name, value in fields.items() if isinstance(value, datetime)
    }
    if "body" in fields:
        fields |= text_or_base64(bytes(fields.pop("body")))
    return fields


def text_or_base64(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": body}


def json_of(value: Any) -> str:
    return to_json(value, bytes_mode="base64").decode()
