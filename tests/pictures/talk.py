"""Made-up talk of customers, in both languages: talk.en.txt and talk.pt-BR.txt.

A conversation begins with `# its name, the minute of its opening, and of its closing`. Its lines are
`minute C: text` for the customer and `minute A: text` for the agent. Minutes are counted back from now.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

DIRECTIONS = {"C": "RECEIVED", "A": "SENT"}
OPENING = re.compile(r"# (\w+) (\d+)(?: (\d+))?")
LINE = re.compile(r"(\d+) ([CA]): (.+)")


def id_of(name: str) -> str:
    """Return the same id in each run and language."""
    return str(uuid5(NAMESPACE_URL, f"https://talk.example/{name}"))


def minutes_ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def event(type: str, minutes: float, **data: str) -> dict[str, Any]:
    return {"type": type, "timestamp": minutes_ago(minutes), "data": data}


def message(name: str, text: str, *, by: str = "C", minutes: float = 0) -> dict[str, Any]:
    said = {"direction": DIRECTIONS[by], "content": text, "conversation_id": id_of(name)}
    return event("NEW_MESSAGE", minutes, id=str(uuid4()), **said)


def talk(language: str) -> Iterator[dict[str, Any]]:
    """Yield the events of all conversations, each conversation from its opening on."""
    text = Path(__file__).with_name(f"talk.{language}.txt").read_text()
    for conversation in text.strip().split("\n\n"):
        opening, *lines = conversation.splitlines()
        yield from events_of(*OPENING.fullmatch(opening).groups(), lines)


def events_of(
    name: str, opened: str, closed: str | None, lines: list[str]
) -> Iterator[dict[str, Any]]:
    yield event("NEW_CONVERSATION", int(opened), id=id_of(name))
    is_closed = False
    for minutes, by, text in (LINE.fullmatch(line).groups() for line in lines):
        if closed and int(minutes) < int(closed) and not is_closed:
            yield event("CLOSE_CONVERSATION", int(closed), id=id_of(name))
            is_closed = True
        yield message(name, text, by=by, minutes=int(minutes))
    if closed and not is_closed:
        yield event("CLOSE_CONVERSATION", int(closed), id=id_of(name))
