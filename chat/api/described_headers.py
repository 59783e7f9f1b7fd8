"""The headers of requests and of answers, as OpenAPI describes them."""

from chat.api import examples
from chat.api.components import Schema
from chat.signatures import Hub, Standard

# Of requests


def of_scheme(pattern: str, description: str) -> Schema:
    return {"type": "string", "pattern": f"^{pattern}$", "description": description}


ID_HEADER, TIME_HEADER, SIGNATURE_HEADER = Standard.NAMES
IF_SIGNED = "Where the service has secrets of Standard Webhooks"
OF_REQUESTS: dict[str, Schema] = {
    "If-None-Match": {
        "type": "string",
        "description": "The ETag of an earlier answer: 304 if it is still true.",
    },
    "If-Match": {
        "type": "string",
        "description": "The ETag of an earlier answer: 412 if it is no longer true.",
    },
    "X-CSRFToken": {
        "type": "string",
        "description": "With a session only: the value of the cookie csrftoken.",
    },
    ID_HEADER: of_scheme(
        Standard.ID.pattern, f"{IF_SIGNED}: the id of the delivery, the same in each repetition."
    ),
    TIME_HEADER: of_scheme(
        Standard.TIMESTAMP.pattern, f"{IF_SIGNED}: Unix seconds, at most five minutes off."
    ),
    SIGNATURE_HEADER: {
        "type": "string",
        "description": f"{IF_SIGNED}: `v1,` and the base64 of an HMAC-SHA256 of "
        "`id.timestamp.body`. Several stand apart by spaces, and one must be right.",
    },
    Hub.NAME: of_scheme(
        Hub.SIGNATURE.pattern,
        "Where the service has secrets of the scheme hub: the HMAC-SHA256 of the body.",
    ),
}

# Of answers


def header(
    description: str, *, example: str, type: str = "string", required: bool = True
) -> Schema:
    return {
        "description": description,
        "required": required,
        "schema": {"type": type},
        "example": example if type == "string" else int(example),
    }


HEADERS: Schema = {
    "X-Request-Id": header(
        "The id of this request, which the log of the service has too.",
        example=str(examples.REQUEST_ID),
    ),
    "Cache-Control": header(
        "A program may keep the answer, and asks each time. A browser with a login keeps nothing.",
        example="private, no-cache",
    ),
    "ETag": header("Changes whenever the answer does.", example='W/"2-5f0c2a91-7"'),
    "Link": header(
        "The address of the next page (RFC 8288). The last page has none.",
        example='<https://support.example/conversations?cursor=5f0c2a91.MTQ4Mg>; rel="next"',
        required=False,
    ),
    "Content-Encoding": header(
        "Only where Accept-Encoding takes gzip.", example="gzip", required=False
    ),
    "Content-Disposition": header(
        "The name of the file.",
        example=f'attachment; filename="conversation-{examples.CONVERSATION_ID}.txt"',
    ),
    "WWW-Authenticate": header("What the request lacks.", example="Bearer"),
    "Allow": header("The methods of this address.", example="GET, HEAD"),
    "Retry-After": header("Seconds to wait.", example="5", type="integer"),
}
