"""Text without its accents and case: what is searched, and where a hit stands in the original."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

# Bounds on one message's part of the index. Hostile texts reach them, letters do not.
MAX_SEARCHED = 100_000
MAX_WORD = 64
MAX_QUERY = 1_000
MAX_TERMS = 32

WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Decomposed, lower case, without combining marks: "Não" and "NAO" become "nao".

    Character by character, so that a position in the result leads back to the original.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char) != "Mn")


fold_one = lru_cache(maxsize=4_096)(fold)


def words_of(text: str) -> list[str]:
    """The words of a text that its search index holds, each once, in the order of the text."""
    found = WORD.findall(fold(text[:MAX_SEARCHED])[:MAX_SEARCHED])  # one "㌖" becomes six
    return list(dict.fromkeys(word[:MAX_WORD] for word in found))


def terms_of(query: str) -> list[str]:
    """What a query looks for: all of these words, the last one as a prefix."""
    return words_of(query[:MAX_QUERY])[:MAX_TERMS]


# Snippets

BEFORE_A_HIT = 40
SNIPPET_LENGTH = 160
MAX_LOOKED_THROUGH = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a snippet, as it was written; `is_hit` when the query found it."""

    text: str
    is_hit: bool = False


def snippet(text: str, terms: list[str]) -> list[Piece]:
    """One line around the first hit, cut on whole characters, with every hit in it marked."""
    text = text[:MAX_LOOKED_THROUGH]
    hits = list(hits_in(text, terms))
    start = max(0, hits[0][0] - BEFORE_A_HIT) if hits else 0
    end = start + SNIPPET_LENGTH
    pieces = list(pieces_of(text, [hit for hit in hits if hit[1] <= end], start, end))
    leading = [Piece("…")] if start else []
    trailing = [Piece("…")] if end < len(text) else []
    return [*leading, *pieces, *trailing]


def pieces_of(text: str, hits: Iterable[tuple[int, int]], start: int, end: int) -> Iterator[Piece]:
    done = start
    for first, last in hits:
        if first < done:
            continue  # one sign that holds two words: "½"
        yield Piece(text[done:first])
        yield Piece(text[first:last], is_hit=True)
        done = last
    yield Piece(text[done:end])


def hits_in(text: str, terms: list[str]) -> Iterator[tuple[int, int]]:
    """The positions in the original of what the terms find, in the order of the text."""
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
