"""One line of a message, around the hits of a search."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from chat.folding import MAX_WORD, WORD, fold

fold_one = lru_cache(maxsize=4_096)(fold)

BEFORE_A_HIT = 40
SNIPPET_LENGTH = 160
MAX_LOOKED_THROUGH = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a snippet, as written. `is_hit` if the query found this part."""

    text: str
    is_hit: bool = False


def snippet(text: str, terms: list[str]) -> list[Piece]:
    """Return one line around the first hit, cut on whole characters, with all its hits marked."""
    text = text[:MAX_LOOKED_THROUGH]
    hits = list(hits_in(text, terms))
    start = max(0, hits[0][0] - BEFORE_A_HIT) if hits else 0
    end = start + SNIPPET_LENGTH
    shown = [(first, min(last, end)) for first, last in hits if first < end]
    pieces = list(pieces_of(text, shown, start, end))
    leading = [Piece("…")] if start else []
    trailing = [Piece("…")] if end < len(text) else []
    return [*leading, *pieces, *trailing]


def pieces_of(text: str, hits: Iterable[tuple[int, int]], start: int, end: int) -> Iterator[Piece]:
    done = start
    for first, last in hits:
        if first < done:
            continue  # one character can be two words: "½"
        yield Piece(text[done:first])
        yield Piece(text[first:last], is_hit=True)
        done = last
    yield Piece(text[done:end])


def hits_in(text: str, terms: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the start and end of each hit in the original text, in the order of the text."""
    if not terms:
        return
    *whole, prefix = terms
    folded, positions = fold_with_positions(text)
    for match in WORD.finditer(folded):
        word = match[0][:MAX_WORD]
        if word in whole or word == prefix:
            yield positions[match.start()], positions[match.end() - 1] + 1
        elif word.startswith(prefix):
            yield positions[match.start()], positions[match.start() + len(prefix) - 1] + 1


def fold_with_positions(text: str) -> tuple[str, list[int]]:
    parts = [fold_one(char) for char in text]
    positions = [number for number, part in enumerate(parts) for _ in part]
    return "".join(parts), positions
