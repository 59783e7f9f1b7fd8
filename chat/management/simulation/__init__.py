"""Simulated customer service: endless conversations in Portuguese, as events to post.

Knows no HTTP and no database. All chance comes from one seed, and all time from one clock.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Literal

from chat.management.simulation.details import details_of, new_id
from chat.management.simulation.scripts import (
    AFTERTHOUGHTS,
    SUBJECTS,
    Line,
    cut_at_a_question,
    farewell,
    tell,
)

to_json = json.JSONEncoder(ensure_ascii=False).encode
Clock = Callable[[], datetime]
Expected = Literal["applied", "duplicate", "conversation_not_found", "conversation_closed"]

# Probabilities, for an applied event, a message or a conversation.
POSTED_AGAIN = 0.03
HELD_BACK = 0.035
MESSAGE_BEFORE_OPENING = 0.05
MESSAGE_AFTER_CLOSING = 0.05
LEFT_WAITING = 0.15


@dataclass(frozen=True, slots=True)
class Posting:
    """A body to post, and the expected outcome or code of the refusal."""

    type: str
    body: bytes
    expected: Expected = "applied"


def utc_now() -> datetime:
    return datetime.now(UTC)


def postings(
    *, conversations: int, seed: int | None = None, clock: Clock = utc_now
) -> Iterator[Posting]:
    """Yield postings without end, from so many live conversations, each in its own order.

    The same seed and clock give the same postings and ids. Without a seed no two runs share an id.
    Each posting is made on demand, with the clock's time.
    """
    chance = Random(seed)
    live = [conversation(chance, clock) for _ in range(conversations)]
    again: deque[Posting] = deque()
    while True:
        if again and chance.random() < 0.5:
            yield again.popleft()
        slot = chance.randrange(conversations)
        posting = next(live[slot], None)
        if posting is None:
            live[slot] = conversation(chance, clock)
            continue
        yield posting
        if posting.expected == "applied" and chance.random() < POSTED_AGAIN:
            again.append(replace(posting, expected="duplicate"))


def conversation(chance: Random, clock: Clock) -> Iterator[Posting]:
    """Yield one conversation from its opening to its end: closed, or waiting for a reply."""
    id = new_id(chance)
    details = details_of(chance, clock())
    waits = chance.random() < LEFT_WAITING
    lines = tell(chance, chance.choice(SUBJECTS), details)
    lines = cut_at_a_question(chance, lines) if waits else lines + farewell(chance, details)

    opening = posting("NEW_CONVERSATION", clock, {"id": id})
    messages = (message(id, line, chance, clock) for line in lines)
    if chance.random() < MESSAGE_BEFORE_OPENING:
        yield replace(next(messages), expected="conversation_not_found")
    yield opening
    yield from some_held_back(chance, messages)
    if waits:
        return
    yield posting("CLOSE_CONVERSATION", clock, {"id": id})
    if chance.random() < MESSAGE_AFTER_CLOSING:
        thanks = Line("RECEIVED", chance.choice(AFTERTHOUGHTS).format_map(details))
        yield replace(message(id, thanks, chance, clock), expected="conversation_closed")


def some_held_back(chance: Random, messages: Iterator[Posting]) -> Iterator[Posting]:
    """Yield the messages, but now and then two in reverse order, so the second is late."""
    for message in messages:
        following = next(messages, None) if chance.random() < HELD_BACK else None
        if following is not None:
            yield following
        yield message


# Events


def message(conversation_id: str, line: Line, chance: Random, clock: Clock) -> Posting:
    data = {
        "id": new_id(chance),
        "direction": line.direction,
        "content": line.content,
        "conversation_id": conversation_id,
    }
    return posting("NEW_MESSAGE", clock, data)


def posting(type: str, clock: Clock, data: dict[str, str]) -> Posting:
    timestamp = clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    event = {"type": type, "timestamp": timestamp, "data": data}
    return Posting(type, to_json(event).encode())
