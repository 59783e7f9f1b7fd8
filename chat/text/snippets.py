"""One line of a message, around the hits of a search."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from chat.text.expressions import Term
from chat.text.folding import MAX_LOOKED_THROUGH, fold, places_of
from chat.text.graphemes import inwards, outwards

fold_one = lru_cache(maxsize=4_096)(fold)

BEFORE_A_HIT = 40
SNIPPET_LENGTH = 160
# The most parts of a snippet with words far apart, and the length of each part.
MOST_PARTS = 3
PART_LENGTH = 80

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a snippet, as written. `is_hit` if the query found this part."""

    text: str
    is_hit: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """The start and end of a hit in the original text, and the term of the hit."""

    start: int
    end: int
    term: Term


def snippet(text: str, terms: Iterable[Term]) -> list[Piece]:
    """Return one line around the hits, cut between characters as readers see them.

    Marks all hits in this line. Words far apart are shown in separate parts.
    """
    text = text[:MAX_LOOKED_THROUGH]
    hits = list(hits_in(text, terms))
    marked = merged((outwards(text, hit.start, -1), outwards(text, hit.end, 1)) for hit in hits)
    pieces: list[Piece] = []
    done = 0
    for start, end in parts_of(text, hits):
        if start > done:
            pieces.append(Piece("…"))
        pieces += pieces_of(text, marked, start, end)
        done = end
    return [*pieces, Piece("…")] if done < len(text) else pieces


def parts_of(text: str, hits: list[Hit]) -> list[Span]:
    """Return the parts of the text to show: one, or several around words far apart."""
    firsts: dict[Term, int] = {}
    for hit in hits:
        firsts.setdefault(hit.term, hit.start)
    begins = sorted(set(firsts.values())) or [0]
    near = begins[-1] <= max(0, begins[0] - BEFORE_A_HIT) + SNIPPET_LENGTH // 2
    length = SNIPPET_LENGTH if len(begins) == 1 or near else PART_LENGTH
    parts: list[Span] = []
    for begin in begins:
        if parts and begin < parts[-1][1] - BEFORE_A_HIT // 2:
            continue
        start = inwards(text, max(begin - BEFORE_A_HIT * length // SNIPPET_LENGTH, 0))
        parts.append((start, inwards(text, start + length)))
    return merged(parts[:MOST_PARTS])


def pieces_of(text: str, hits: Iterable[Span], start: int, end: int) -> Iterator[Piece]:
    done = start
    for first, last in hits:
        first, last = max(first, start), min(last, end)
        if first < last:
            yield Piece(text[done:first])
            yield Piece(text[first:last], is_hit=True)
            done = last
    yield Piece(text[done:end])


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, touching spans as one."""
    disjoint: list[Span] = []
    for start, end in sorted(spans):
        if disjoint and start <= disjoint[-1][1]:
            disjoint[-1] = disjoint[-1][0], max(end, disjoint[-1][1])
        else:
            disjoint.append((start, end))
    return disjoint


def hits_in(text: str, terms: Iterable[Term]) -> Iterator[Hit]:
    """Yield each hit in the order of the text. The hit of a prefix ends with the prefix, any other with its word."""
    whole = {term.text: term for term in terms if not term.is_prefix}
    prefixes = [term for term in terms if term.is_prefix]
    if not (whole or prefixes):
        return
    folded, positions = fold_with_positions(text)
    for term, start, end in places_of(folded):
        if whole_term := whole.get(term):
            yield Hit(positions[start], positions[end - 1] + 1, whole_term)
        for prefix in prefixes:
            if term.startswith(prefix.text):
                is_part = term != prefix.text and folded.startswith(prefix.text, start)
                last = start + len(prefix.text) if is_part else end
                yield Hit(positions[start], positions[last - 1] + 1, prefix)


def fold_with_positions(text: str) -> tuple[str, list[int]]:
    parts = [fold_one(char) for char in text]
    positions = [number for number, part in enumerate(parts) for _ in part]
    return "".join(parts), positions
