"""The schemas of bodies, made from the pydantic models of the requests and answers."""

import json
import re
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from chat.api.described import Described
from chat.refusals import REFUSALS, FieldError

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


REF = "#/components/schemas/{model}"


class Plain(GenerateJsonSchema):
    """Leaves titles out, because they repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def ref(model: type[BaseModel]) -> str:
    return REF.format(model=model.__name__)


def models(described: list[Described]) -> Schema:
    """Return the schemas of all bodies: as they are validated, or as they are serialized."""
    in_answers = {type(one) for each in described for one in examples_of(each)} | {ProblemOut}
    in_queries = {each.parameters for each in described if each.parameters}
    taken = {model for each in described for model in (each.body or {}).values()} | in_queries
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in taken),
        *((model, "serialization") for model in in_answers),
    ]
    _, made = models_json_schema(modes, schema_generator=Plain, ref_template=REF)
    schemas: Schema = made["$defs"]
    schemas["ProblemOut"]["properties"]["code"]["enum"] = list(REFUSALS)
    for model in in_queries:
        del schemas[model.__name__]
    for each in schemas.values():
        # The names of enums are not unique, and some generators take a title for the name.
        each.pop("title", None)
    return dict(sorted(schemas.items()))


def examples_of(described: Described) -> list[BaseModel]:
    bodies = [answer.example for answer in described.answers.values()]
    return [example for example in bodies if isinstance(example, BaseModel)]


def with_short_names(document: Schema) -> Schema:
    """Rename `chat__models__changes__Change__Type` to `ChangeType`: pydantic has names for modules."""
    short: Schema = json.loads(LONG_NAME.sub(r"\1\2", json.dumps(document)))
    return short


LONG_NAME = re.compile(r"chat__models__\w+?__([A-Z][A-Za-z]*)__([A-Z][A-Za-z]*)")
