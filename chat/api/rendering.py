"""JSON as the only representation: Accept is ignored. The settings name these classes."""

from typing import Any

from pydantic import BaseModel
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request


class AlwaysJSON(BaseContentNegotiation):
    """Ignores Accept, and gives every body to the view's one parser."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class PydanticRenderer(JSONRenderer):
    """Renders pydantic models and encoded JSON, and everything else as JSONRenderer does."""

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        if isinstance(data, bytes):
            return data
        if isinstance(data, BaseModel):
            return data.model_dump_json().encode()
        rendered: bytes = super().render(data, accepted_media_type, renderer_context)
        return rendered
