"""Heavy reads: few at a time in a process, because each takes processor time from the webhook."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import AnyStr

from django.http import StreamingHttpResponse

from chat.models import Conversation
from chat.refusals import TooManyReads
from chat.turns import Turns

READS_AT_ONCE = 2
WAIT_SECONDS = 1
# A conversation with fewer messages needs no turn, because reading takes some 10 ms.
MANY_MESSAGES = 1_000

_turns = Turns(READS_AT_ONCE, TooManyReads)


def turn_to_read() -> AbstractContextManager[None]:
    """Hold one of READS_AT_ONCE turns of this process. Raises TooManyReads after WAIT_SECONDS."""
    return _turns.turn(seconds=WAIT_SECONDS)


def turn_to_read_all_of(conversation: Conversation) -> AbstractContextManager[None]:
    """Hold a turn if the conversation has many messages. Raises TooManyReads."""
    return turn_to_read() if has_many_messages(conversation) else nullcontext()


def has_many_messages(conversation: Conversation) -> bool:
    return conversation.message_count >= MANY_MESSAGES


def streamed(
    pieces: Iterator[AnyStr],
    conversation: Conversation | None = None,
    content_type: str | None = None,
) -> StreamingHttpResponse:
    """Answer with pieces read one by one. Holds a turn until the answer is closed.

    A conversation with few messages needs no turn. Without a conversation there is always one.
    Two pieces are read before the answer begins: a failing database gives a 503, not a torn file.
    Raises TooManyReads.
    """
    turn = turn_to_read_all_of(conversation) if conversation else turn_to_read()
    held = holding(turn, pieces)
    next(held)
    first = [piece for piece in (next(held, None), next(held, None)) if piece is not None]
    response = StreamingHttpResponse(chain(first, held), content_type=content_type)
    # A server closes every answer, also when the client has gone away.
    response._resource_closers.append(held.close)  # type: ignore[attr-defined]
    return response


def holding(
    turn: AbstractContextManager[None], pieces: Iterator[AnyStr]
) -> Iterator[AnyStr | None]:
    """Take the turn, and yield None, which is no piece. Give the turn back at the end, or if closed."""
    with turn:
        yield None
        yield from pieces
