"""Hashing of passwords, in threads of low priority."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import get_native_id
from typing import Any

from django.contrib.auth import hashers

from chat.heavy.turns import Turns
from chat.refusals import TooManyLogins
from realmate.postgresql.base import not_counted

HASHES_AT_ONCE = 2
WAIT_SECONDS = 1
# On a busy processor such a thread gets a tenth of another's time. On an idle processor it gets all.
NICENESS = 10

_turns = Turns(HASHES_AT_ONCE, TooManyLogins)
_has_turn: ContextVar[bool] = ContextVar("_has_turn", default=False)


@contextmanager
def turn_to_hash() -> Iterator[None]:
    """Hold one of HASHES_AT_ONCE turns of this process. A block inside another shares its turn.

    A hash takes a third of a second of processor time from the webhook.
    Raises TooManyLogins after WAIT_SECONDS.
    """
    if _has_turn.get():
        yield
        return
    with _turns.turn(seconds=WAIT_SECONDS):
        token = _has_turn.set(True)
        try:
            yield
        finally:
            _has_turn.reset(token)


def give_way() -> None:
    """Lower the priority of this thread for good. Only Linux has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid this; a failed thread would end all logins
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)


# A worker starts its threads with its first hash.
_threads = ThreadPoolExecutor(HASHES_AT_ONCE, "hash", initializer=give_way)


class PBKDF2(hashers.PBKDF2PasswordHasher):
    """Django's default hasher, with the same hashes, in threads of low priority."""

    def encode(self, *args: Any) -> str:
        """Hash a password. A slow hash takes nothing from the database's deadline."""
        hash_it = super().encode
        with not_counted():
            return _threads.submit(hash_it, *args).result()
