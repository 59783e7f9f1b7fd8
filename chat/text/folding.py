"""Text without accents and case, cut into the terms of the search index.

A text has one term for each run of letters and each run of digits. Numbers, words with hyphens and
scripts without spaces have further terms, so another notation finds them. A query is an expression
of terms, see chat/text/expressions.py. Every row written by the current rule has the term RULE.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

# Bounds on one message's part of the index. Only hostile texts reach them.
MAX_SEARCHED = 100_000
# How much of a text a snippet looks through.
MAX_LOOKED_THROUGH = 10_000
MAX_WORD = 64
# PostgreSQL takes 1,048,575 bytes in a row.
MAX_BYTES = 1_000_000

# No query has this sign, because it is neither a letter nor a digit.
MARK = "§"
# Raise the number with each change of the terms of a text: `manage.py reindex` is due then.
RULE = f"{MARK}4"

# Thai, Lao, Tibetan, Myanmar, Khmer, Tai, kana, bopomofo and Han are written without spaces.
UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"
    "\u3005-\u3007\u3021-\u3029\u3031-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
DASHES = "\\-\u2010-\u2015\u2212"
APOSTROPHES = "'\u2018\u2019\u02bc"
LETTER = r"[^\W\d_]"
WORD = re.compile(r"[^\W_]+")
ATOM = re.compile(rf"(?:(?![\W_])[{UNSPACED}])+|\d+|(?:(?![\W\d_{UNSPACED}]).)+")
IN_GROUPS = re.compile(r"(\d+)([^\d]*)")
# One number in a unit: its separators have no spaces, so letters may stand beside it.
TIGHT_NUMBERS = rf"\d++(?:[.,/{DASHES}{APOSTROPHES}]\d++)++"
# Which ends a word with hyphens before it: NF-12.345 has the number of NF 12345.
IN_THOUSANDS = r"\d{1,3}(?:\.\d{3})++(?!\w)"
UNIT = re.compile(
    # A time, a CNPJ with letters, numbers with their separators, letters in front of such numbers,
    # and words with hyphens or as U.S.A. and S/A.
    r"(?P<time>(?P<hour>\d\d?)(?::(?P<minute>\d\d)|h(?P<minutes>\d\d)?(?:min|m)?)(?!\w))"
    rf"|(?P<cnpj>(?=[\d./]*{LETTER})[^\W_]{{2}}\.?[^\W_]{{3}}\.?[^\W_]{{3}}/[^\W_]{{4}}-?\d\d(?![^\W_]))"
    rf"|(?P<numbers>{TIGHT_NUMBERS}(?={LETTER})(?!{LETTER}++[\d{DASHES}])"
    rf"|\d++(?:[ .,/(){DASHES}{APOSTROPHES}]{{1,3}}\d++)*(?!{LETTER}))"
    rf"|{LETTER}++(?={TIGHT_NUMBERS}(?!{LETTER}++[\d{DASHES}]|[{DASHES}{APOSTROPHES}][^\W_]))"
    rf"|(?P<chain>[^\W_]++(?:[{DASHES}{APOSTROPHES}](?!{IN_THOUSANDS})[^\W_]++)++"
    rf"|{LETTER}(?:[./]{LETTER})+(?![^\W_]))"
    r"|(?P<word>[^\W_]+)"
)
NEEDS_UNITS = re.compile(rf"[\d{UNSPACED}]|[{DASHES}{APOSTROPHES}./](?=[^\W_])")
STARTS_UNSPACED = re.compile(f"[{UNSPACED}]")
THOUSANDS = re.compile(rf"(?<![\d.,])\d{{1,3}}(?:([., {APOSTROPHES}])\d{{3}})(?:\1\d{{3}})*(?!\d)")
TIGHT = re.compile(rf"[.{DASHES}]")
BREAKS = re.compile(rf"[,{APOSTROPHES}]")
# A code with more changes between letters and digits is kept whole, as are hashes.
MOST_ATOMS = 5
MOST_GROUPS = 12
# The digits of numbers that are written in groups. 44: an invoice's key, 47 and 48: a boleto's line.
JOINED = frozenset((*range(8, 21), 44, 47, 48))
NATIONAL = re.compile(r"[1-9][1-9](?:9\d{8}|[2-5]\d{7})")
LOCAL = re.compile(r"9\d{8}|[2-5]\d{7}")


# Folding

# Letters without a decomposition in Unicode. Others of this kind are found by their names.
LETTERS = {"æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "ŋ": "n", "ı": "i", "ȷ": "j", "ĸ": "k"}
LIKE_ANOTHER = re.compile("LATIN SMALL LETTER ([A-Z]) WITH ")
HIDDEN = "\u0640\u115f\u1160\u17b4\u17b5\u2800"


def letters() -> Iterator[tuple[int, str]]:
    """Yield the code of each letter such as "ł", and its basic letter."""
    for letter, basic in LETTERS.items():
        yield ord(letter), basic
    for code in (*range(0x80, 0x2B0), *range(0x1D00, 0x1F00), *range(0x2C60, 0x2C80)):
        if match := LIKE_ANOTHER.match(unicodedata.name(chr(code), "")):
            yield code, match[1].lower()
    for code in range(0xA720, 0xA800):
        if match := LIKE_ANOTHER.match(unicodedata.name(chr(code), "")):
            yield code, match[1].lower()


class Folded(dict[int, str]):
    """The folded form of each decomposed character in lower case, computed once."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        if category[0] == "M" or category == "Cf" or char in HIDDEN:
            folded = ""
        elif category == "Nd":
            folded = str(unicodedata.decimal(char))
        else:
            folded = char
        self[code] = folded
        return folded


FOLDED = Folded(letters())


def fold(text: str) -> str:
    """Return the text decomposed, in lower case and without marks: "Não" and "NAO" become "nao".

    Hidden signs such as soft hyphens go, and digits of all scripts become 0 to 9. Works character
    by character, so a position in the result leads back to the original.
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", text).casefold().translate(FOLDED)


# Texts


def indexed(text: str) -> list[str]:
    """Return the index entries of a text: its terms, and RULE."""
    return [RULE, *words_of(text)]


def words_of(text: str) -> list[str]:
    """Return the terms of a text for the search index, each once, in the order of the text."""
    folded = fold(text[:MAX_SEARCHED])[:MAX_SEARCHED]  # one "㌖" becomes six
    if not NEEDS_UNITS.search(folded):
        return list(dict.fromkeys(word[:MAX_WORD] for word in WORD.findall(folded)))
    terms = list(dict.fromkeys(term for term, _, _ in places_of(folded)))
    return terms if len(folded) < MAX_BYTES // 100 else list(within(MAX_BYTES, terms))


def within(bound: int, terms: Iterable[str]) -> Iterator[str]:
    for term in terms:
        bound -= len(term.encode(errors="replace"))
        if bound < 0:
            return
        yield term


def places_of(folded: str) -> Iterator[tuple[str, int, int]]:
    """Yield each term of a folded text with its start and end."""
    for unit in UNIT.finditer(folded):
        start, end = unit.span()
        kind = unit.lastgroup
        if kind == "word":
            yield from places_of_word(unit[0], start)
            continue
        if kind == "numbers":
            yield from places_of_numbers(unit[0], start)
            continue
        for word in WORD.finditer(unit[0]):
            yield from places_of_word(word[0], start + word.start())
        if kind in ("chain", "cnpj"):
            yield from (
                (term, start, end) for term, _, _ in places_of_word(joined_chain(unit[0]), 0)
            )


def places_of_word(word: str, start: int) -> Iterator[tuple[str, int, int]]:
    if (word.isascii() and word.isalpha()) or is_code(word):
        yield word[:MAX_WORD], start, start + len(word)
        return
    for atom in ATOM.finditer(word):
        first, last = start + atom.start(), start + atom.end()
        if is_unspaced(atom[0]):
            for number, pair in enumerate(pairs_of(atom[0])):
                yield pair, first + number, first + number + len(pair)
        else:
            for term in forms_of(atom[0][:MAX_WORD]):
                yield term, first, last


def places_of_numbers(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield the terms of numbers with separators: each group, and the groups that may be one number."""
    if text.isdecimal():
        bare = [MARK + text] if LOCAL.fullmatch(text) else []
        for term in (*forms_of(text[:MAX_WORD]), *bare):
            yield term, start, start + len(text)
        return
    for run_start, groups in runs_of(text):
        places = [(start + run_start + group.start(1), group[1]) for group in groups]
        for place, digits in places:
            for term in forms_of(digits[:MAX_WORD]):
                yield term, place + max(0, len(digits[:MAX_WORD]) - len(term)), place + len(digits)
        for first, last in joins_of(groups):
            end = places[last - 1][0] + len(places[last - 1][1])
            for term in forms_of("".join(digits for _, digits in places[first:last])):
                yield term, start_of_last(len(term), places[first:last]), end
        number = "".join(digits for _, digits in places[: MOST_GROUPS + 1])
        if LOCAL.fullmatch(number):
            yield MARK + number, places[0][0], places[-1][0] + len(places[-1][1])
    for amount in THOUSANDS.finditer(text):
        yield digits_of(amount[0])[:MAX_WORD], start + amount.start(), start + amount.end()


def start_of_last(size: int, places: list[tuple[int, str]]) -> int:
    """Return where the last digits begin, as many as `size`, of these groups."""
    for place, digits in reversed(places):
        if size <= len(digits):
            return place + len(digits) - size
        size -= len(digits)
    return places[0][0]


def runs_of(text: str) -> Iterator[tuple[int, list[re.Match[str]]]]:
    """Yield each run of groups that may be one number, with its start. Commas end a run."""
    start = 0
    for run in (*BREAKS.finditer(text), None):
        end = run.start() if run else len(text)
        if groups := list(IN_GROUPS.finditer(text[start:end])):
            yield start, groups
        start = run.end() if run else end


def joins_of(groups: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """Yield the first and last (excluded) group of each possible number, such as a phone's."""
    if len(groups) > MOST_GROUPS:
        return
    for first in range(len(groups)):
        size = len(groups[first][1])
        is_tight = True
        for last in range(first + 1, len(groups)):
            size += len(groups[last][1])
            is_tight = is_tight and bool(TIGHT.fullmatch(groups[last - 1][2]))
            is_whole = first == 0 and last == len(groups) - 1
            if size in JOINED or (is_tight and is_whole and size < min(JOINED)):
                yield first, last + 1


def forms_of(atom: str) -> Iterator[str]:
    """Yield an atom, and of a number also the form without zeros, country and area in front."""
    yield atom
    if not atom.isdecimal() or (len(atom) < 10 and atom[0] != "0"):
        return
    number = atom.lstrip("0")
    if number and number != atom:
        yield number
    if len(number) in (12, 13) and number.startswith("55") and NATIONAL.fullmatch(number[2:]):
        number = number[2:]
        yield number
    if len(number) in (10, 11) and NATIONAL.fullmatch(number):
        yield number[2:]


def pairs_of(run: str) -> Iterator[str]:
    """Yield each two neighbours, and the last character, of a script without spaces."""
    yield from (first + second for first, second in pairwise(run))
    yield run[-1]


def joined_chain(text: str) -> str:
    """Return "email" of "e-mail", and "" for a chain whose parts are found without being joined."""
    words = WORD.findall(text)
    joined = "".join(words)[:MAX_WORD]
    apart = [atom for word in words for atom in ATOM.findall(word)]
    return joined if is_code(joined) or ATOM.findall(joined) != apart else ""


def is_code(word: str) -> bool:
    return word.isascii() and not word.isalpha() and len(ATOM.findall(word)) > MOST_ATOMS


def is_unspaced(atom: str) -> bool:
    return not atom.isascii() and bool(STARTS_UNSPACED.match(atom))


def digits_of(text: str) -> str:
    return "".join(re.findall(r"\d", text))


# Phrases


def phrase_of(text: str) -> str:
    """Return the folded words of a text, to look for a phrase: " nao recebi o boleto "."""
    return f" {' '.join(WORD.findall(fold(text[:MAX_SEARCHED])))} "


def has_phrase(text: str, phrase: str) -> bool:
    """Whether the words of `phrase` follow each other in the text. Signs between are not compared.

    In scripts without spaces the phrase may begin and end inside a run.
    """
    phrase = phrase_of(phrase)
    first = phrase[1:] if is_unspaced(phrase[1:2]) else phrase
    return (first[:-1] if is_unspaced(first[-2:-1]) else first) in phrase_of(text)
