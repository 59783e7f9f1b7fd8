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
        refusal.remedy,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(errors_document())
