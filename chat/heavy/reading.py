"""Heavy reads: exports, statistics, and all messages of a long conversation."""

from contextlib import AbstractContextManager, nullcontext

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
