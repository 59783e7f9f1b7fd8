"""Write docs/errors.md from chat/refusals.py: `make errors`."""

from pathlib import Path

from chat.refusals import ALL, OF_EVENTS, Refusal

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
HEADING = """\
# Errors

Every answer from 400 on is `application/problem+json`
([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), on every address for programs:

```json
{"type": "about:blank", "title": "Bad Request", "status": 400, "code": "invalid_event",
 "detail": "The body is not a valid event; errors lists what is wrong.",
 "request_id": "0b6f8f52-6a0e-4f0f-8a51-0d5f6ff0d8a4",
 "errors": [{"pointer": "/data/id", "code": "invalid_id", "detail": "Must be a UUID in the form 8-4-4-4-12."}]}
```

- **Act on `code`**, which never changes its meaning. `title` and `detail` are for people, and may change.
- `request_id` is also the header `X-Request-Id`, and stands in the service's log.
- `errors` is there if members of a body or parameters are wrong. It names all of them at once.
- *Again* says whether the same request can succeed later. `Retry-After` says when, where it is sent.
- No text quotes the request.

`make errors` writes this page from `chat/refusals.py`.
"""
# What to do, where "do not send it again" would not help.
WHAT_TO_DO = {
    "replay_cannot_help": "Nothing. `can_be_replayed` in `GET /deliveries/{id}` says which can.",
    "invalid_json": "Mend the program that writes the body.",
    "invalid_event": "Mend what `errors` names. Staff can apply the delivery again after an upgrade.",
    "id_conflict": "Give each conversation and each message an id of its own.",
    "conversation_not_found": "Of an event: it is kept, and applied when its conversation arrives; "
    "a repetition is harmless. Of a read: check the id.",
    "conversation_closed": "Open a new conversation. What a customer wrote is shown to the agents.",
    "bad_request": "Mend what `errors` names.",
    "invalid_signature": "Check the secret, the clock, and that the signed bytes are the sent ones. "
    "Then send it again.",
    "not_authenticated": "Log in, or send a token of `manage.py createtoken`.",
    "forbidden": "Ask the operator for the right. In a browser, load the page again.",
    "https_required": "Use https, and let the operator revoke the token.",
    "insufficient_scope": "Ask the operator for a token with the scope.",
    "not_found": "Check the address.",
    "method_not_allowed": "Use a method that the header `Allow` names.",
    "length_required": "Send a `Content-Length`.",
    "cursor_expired": "Begin again as [changes.md](changes.md) says.",
    "precondition_failed": "Read it again, and decide anew.",
    "body_too_large": "Send less than the limit.",
    "unsupported_media_type": "Send `Content-Type: application/json`, and no `Content-Encoding`.",
    "range_not_satisfiable": "Ask for the whole file.",
}
SEND_AGAIN = "Send it again after a while."


def errors_document() -> str:
    others = tuple(each for each in ALL if each not in OF_EVENTS)
    parts = [
        HEADING,
        *section("Events", "The log of deliveries keeps these.", OF_EVENTS),
        *section("Every request", "", others),
    ]
    return "\n".join(parts)


def section(title: str, intro: str, refusals: tuple[type[Refusal], ...]) -> list[str]:
    lines = [f"## {title}", "", *([intro, ""] if intro else [])]
    lines += ["| code | status | meaning | again | what to do |", "|---|---|---|---|---|"]
    return [*lines, *map(row, refusals), ""]


def row(refusal: type[Refusal]) -> str:
    cells = (
        f"`{refusal.code}`",
        f"{refusal.status:d} {refusal.status.phrase}",
        refusal.detail,
        "yes" if refusal.retry else "no",
        WHAT_TO_DO.get(refusal.code) or SEND_AGAIN,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(errors_document())
