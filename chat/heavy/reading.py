"""Heavy reads: exports, statistics, and all messages of a long conversation."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import AnyStr

from django.http import StreamingHttpResponse

from chat.heavy.turns import Turns
from chat.refusals import TooManyReads

READS_AT_ONCE = 2
WAIT_SECONDS = 1
# Fewer messages need no turn, because reading them takes some 10 ms.
MANY_MESSAGES = 1_000

_turns = Turns(READS_AT_ONCE, TooManyReads)


def turn_to_read(*, messages: int | None = None) -> AbstractContextManager[None]:
    """Hold one of READS_AT_ONCE turns of this process. A read of few messages needs none.

    Raises TooManyReads after WAIT_SECONDS.
    """
    if messages is not None and not are_many(messages):
        return nullcontext()
    return _turns.turn(seconds=WAIT_SECONDS)


def are_many(messages: int) -> bool:
    return messages >= MANY_MESSAGES


def streamed(
    pieces: Iterator[AnyStr], content_type: str | None = None, *, messages: int | None = None
) -> StreamingHttpResponse:
    """Answer with pieces read one by one. Holds a turn until the answer is closed.

    An answer with few messages needs no turn. Two pieces are read before the answer begins: a failing
    database gives a 503, not a torn file. Raises TooManyReads.
    """
    held = holding(turn_to_read(messages=messages), pieces)
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
