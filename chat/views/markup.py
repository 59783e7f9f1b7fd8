"""A message's text as safe HTML: WhatsApp's marks, code, quotes, lists, and links.

A text is read once from left to right. Code and links are found first, because nothing inside them is
a mark. `Source.signs` is the text with code and links covered, so marks and lines are looked for there.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape
from itertools import groupby
from unicodedata import category

from django.utils.safestring import SafeString, mark_safe

from chat.text.graphemes import inwards

# The longest text between two marks, always on one line.
MAX_MARKED = 1_000
# A longer text is cut. Each "Read more" shows a further piece, because the layout of a hostile text takes
# seconds: 65,000 accents on one letter, or 16,000 marks.
MAX_SHOWN = 3_000
MAX_PIECE = 6_000
# How far a cut looks back for a space.
MAX_WORD = 60

TAGS = {"*": "strong", "_": "em", "~": "s"}
TAG = re.compile(r"<[^>]*>")
# No script has combining marks elsewhere. The whole of Unicode would take ten times as long to look through.
COMBINING = "".join(map(chr, filter(lambda c: category(chr(c))[0] == "M", range(0x300, 0x1F000))))
ACCENTED = re.compile(rf"(?<=\w)[{re.escape(COMBINING)}]+")
# They turn the following letters round, so an address would read as another one.
OVERRIDES = dict.fromkeys((0x202D, 0x202E))

# Runs of other lengths are as written.
MONO = r"(?<!`)```(?!`)(?P<mono>.+?)(?<!`)```(?!`)"
FENCE = re.compile(r"(?<!`)```(?!`)")
CODE = r"(?<!`)`(?=[^\S\n]*[^\s`])(?P<code>[^`\n]++)`(?!`)"
# Characters after an address: spaces, quotes, the signs of Chinese and Japanese, invisible controls.
NO_ADDRESS = (
    r"\s\x00-\x1f\x7f<>\"`“”„«»‹›…。，、！？；：（）「」『』【】《》〈〉．｡"
    r"\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
)
URL = (
    r"(?P<url>(?:https?://(?=[^\W_]|\[[\da-f:])|(?<![^\W_])(?<![@./\-])www\.(?=[^\W_][\w\-]{0,62}\.[^\W\d_]))"
    rf"(?:[^{NO_ADDRESS},;|،؛]|[,;|،؛](?!https?://|www\.))+)"
)
ATOM = re.compile(f"{MONO}|{CODE}|{URL}", re.S | re.I)
CLOSING_SIGNS = ".,;:!?'’|–—•·～؟،؛۔।॥\u00ad\u200c\u200d"
BRACKETS = ("()", "[]", "{}")

# A mark opens after a non-word and before a non-space, and closes the other way round. Two equal signs
# side by side are no mark, so masked numbers and lines to fill in stay as written.
OPENS = {
    mark: rf"(?<![^\W_])(?<!{re.escape(mark)}){re.escape(mark)}(?![\s{mark}])" for mark in TAGS
}
CLOSES = {mark: rf"(?<![\s{mark}]){re.escape(mark)}(?![^\W_]|{re.escape(mark)})" for mark in TAGS}
OPENING = {mark: re.compile(opens) for mark, opens in OPENS.items()}
ANY_OPENING = re.compile("|".join(OPENS.values()))
CLOSING = {mark: re.compile(rf"{closes}|\n") for mark, closes in CLOSES.items()}
LETTER = re.compile(r"[^*_~]")

# Most texts have none of these signs, and are shown as they are. A line end at the end is not shown.
FORMATTED = re.compile(r"[*_~`]|https?:|www\.|^(?:[->] |\d{1,3}\. )|\n\Z", re.I | re.M)
LINE = re.compile(r"(?P<quote>> )(?=\S)|(?P<item>[-*] )(?=\S)|(?P<number>[1-9]\d{0,2})\. (?=\S)")


@dataclass(frozen=True, slots=True)
class Atom:
    """Code or an address, from `start` to `end`. The content begins after `marks` signs."""

    start: int
    end: int
    marks: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line's kind, its content from `start` to `end`, and the attribute with its number."""

    kind: str
    start: int
    end: int
    value: str


@dataclass(frozen=True, slots=True)
class Source:
    """A text, and its `signs`: equally long, with code and links covered.

    `atoms` are the code and the links, in order. The HTML goes from the position `begin` to `cut`.
    """

    text: str
    signs: str
    atoms: list[Atom]
    begin: int
    cut: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text as HTML, and the position where the next one begins. The last has none."""

    html: SafeString
    next: int | None


def markup(text: str) -> SafeString:
    """Return the text as HTML. The text's own tags are escaped; line breaks are left to CSS."""
    if not FORMATTED.search(text):
        return mark_safe(text_html(text))  # noqa: S308 - escaped
    return html_of(source_of(text, 0, len(text)))


def is_long(text: str) -> bool:
    """Whether a page shows only the text's beginning."""
    return len(text) > MAX_SHOWN


def beginning(text: str) -> Piece:
    """Return a long text's beginning. The cost does not grow with the text."""
    return piece(text, 0, MAX_SHOWN)


def piece(text: str, begin: int, most: int = MAX_PIECE) -> Piece:
    """Return the piece of at most `most` characters from a position on.

    Only the surroundings are scanned: the line before the piece, as far as a mark may reach, and as
    much after the piece.
    """
    end = len(text) if begin + most >= len(text) else end_of_word(text, begin + most)
    first = max(text.rfind("\n", 0, begin) + 1, begin - MAX_MARKED - 2)
    window = text[first : end + MAX_MARKED + 2]
    if is_in_code(text, first):
        window, first = f"``` {window}", first - 4
    if len(FENCE.findall(window)) % 2 and FENCE.search(text, end + MAX_MARKED + 2):
        window = f"{window.rstrip('`')} ```"  # so the code goes on to the cut
    html = html_of(source_of(window, begin - first, end - first))
    return Piece(html, end if end < len(text) else None)


def rest(text: str) -> Iterator[SafeString]:
    """Yield the HTML of all pieces after a long text's beginning."""
    part = beginning(text)
    while part.next is not None:
        part = piece(text, part.next)
        yield part.html


def unformatted(text: str, begin: int) -> SafeString:
    """Return the rest of a text without formatting, whose cost would stop a page with fifty long texts."""
    return mark_safe(text_html(text[begin:]))  # noqa: S308 - escaped


def is_in_code(text: str, at: int) -> bool:
    """Whether a line begins in code, between an opening fence before and a closing fence after."""
    return len(FENCE.findall(text[:at])) % 2 == 1 and FENCE.search(text, at) is not None


def end_of_word(text: str, most: int) -> int:
    """Return the last position up to `most` after a space, or else between two characters as people see them."""
    spaces = [text.rfind(space, most - MAX_WORD, most) for space in " \n"]
    if max(spaces) > 0:
        return max(spaces) + 1
    return inwards(text, most)


def unmarked(text: str) -> str:
    """Return the text without the marks, on one line, so the signs of lists and quotes stay.

    A preview is cut, so its marks may pair differently from the full text's.
    """
    if not FORMATTED.search(text):
        return text.translate(OVERRIDES)
    source = source_of(text, 0, len(text))
    return unescape(TAG.sub("", with_marks(source, 0, len(text))))


def html_of(source: Source) -> SafeString:
    return mark_safe("".join(blocks(source)))  # noqa: S308 - every part is escaped


# Code and links


def source_of(text: str, begin: int, cut: int) -> Source:
    """Find the code and the links, and cover them."""
    plain = ACCENTED.sub(lambda accents: "a" * len(accents[0]), text)
    atoms: list[Atom] = []
    signs: list[str] = []
    open_marks = ""
    done, before = 0, " "
    for match in ATOM.finditer(text):
        start, end = match.span()
        gap = plain[done:start]
        open_marks = open_after(f"{before}{gap}{text[start]}", open_marks)
        if is_address := bool(match["url"]):
            end = start + len(without_closing_signs(match[0], open_marks))
        before = "a" if is_address else "`"
        atoms.append(Atom(start, end, 0 if is_address else 3 if match["mono"] else 1))
        signs += [gap, before * (end - start)]
        done = end
    return Source(text, "".join([*signs, plain[done:]]), atoms, begin, cut)


def open_after(text: str, open_marks: str) -> str:
    """Return the marks open at the text's end, if `open_marks` were open at its beginning."""
    return "".join(mark for mark in TAGS if is_open_after(text, mark, mark in open_marks))


def is_open_after(text: str, mark: str, is_open: bool) -> bool:
    at = 1  # after the sign before the text
    while sign := (CLOSING if is_open else OPENING)[mark].search(text, at):
        is_open = not is_open
        at = sign.end()
    return is_open


def without_closing_signs(url: str, open_marks: str = "") -> str:
    """Cut the sentence's signs off an address.

    A closing bracket stays if the address opens the pair. A mark stays unless one is open before the address.
    """
    signs = CLOSING_SIGNS + open_marks
    unopened = {pair[1]: url.count(pair[1]) - url.count(pair[0]) for pair in BRACKETS}
    end = len(url)
    while url[end - 1] in signs or unopened.get(url[end - 1], 0) > 0:
        end -= 1
        if url[end] in unopened:
            unopened[url[end]] -= 1
    return url[:end]


def link(url: str) -> str:
    """Return a link, read from left to right in any text."""
    address = url if url[:4].lower() == "http" else f"https://{url}"
    rel = "noopener noreferrer nofollow"
    return f'<a href="{escape(address)}" dir="ltr" target="_blank" rel="{rel}">{escape(url)}</a>'


# Quotes and lists


def blocks(source: Source) -> Iterator[str]:
    """Yield the HTML of neighbouring lines of one kind."""
    grouped = [list(lines) for _, lines in groupby(lines_of(source), key=lambda line: line.kind)]
    for lines in grouped:
        match lines[0].kind:
            case "quote":
                quoted = "\n".join(with_marks(source, line.start, line.end) for line in lines)
                yield f"<blockquote>{quoted}</blockquote>"
            case "item":
                yield f"<ul>{items(source, lines)}</ul>"
            case "number":
                yield f"<ol>{items(source, lines)}</ol>"
            case _:
                # Keep a line end before a block, or an empty line between two blocks would be lost.
                yield with_marks(source, lines[0].start, lines[-1].end + (lines is not grouped[-1]))


def items(source: Source, lines: list[Line]) -> str:
    return "".join(
        f"<li{line.value}>{with_marks(source, line.start, line.end)}</li>" for line in lines
    )


def lines_of(source: Source) -> Iterator[Line]:
    """Yield the lines from the beginning to the cut. A line end in code is none."""
    start = 0
    for line in source.signs.split("\n"):
        end = start + len(line)
        if start and start >= source.cut:
            return
        if end >= source.begin:
            yield line_of(line, start, end)
        start = end + 1


def line_of(line: str, start: int, end: int) -> Line:
    match = LINE.match(line)
    if match is None:
        return Line("", start, end, "")
    value = f' value="{match["number"]}"' if match["number"] else ""
    return Line(str(match.lastgroup), start + match.end(), end, value)


# Marks


def with_marks(source: Source, start: int, end: int, marks: str = "*_~") -> str:
    """Return the HTML of a part with nested marks. A mark inside its own kind is text."""
    html: list[str] = []
    done = start
    for opening, closing in marked(source.signs[start:end]):
        opening, closing = start + opening, start + closing
        mark = source.signs[opening]
        if mark not in marks or opening >= source.cut or closing < source.begin:
            continue
        inner = with_marks(source, opening + 1, closing, marks.replace(mark, ""))
        html += [plain(source, done, opening), f"<{TAGS[mark]}>{inner}</{TAGS[mark]}>"]
        done = closing + 1
    return "".join([*html, plain(source, done, end)])


def plain(source: Source, start: int, end: int) -> str:
    """Return the HTML of a part without marks, from the beginning to the cut."""
    html: list[str] = []
    start, end = max(start, source.begin), min(end, source.cut)
    first = bisect_right(source.atoms, start, key=lambda atom: atom.end)
    last = bisect_left(source.atoms, end, key=lambda atom: atom.start)
    for atom in source.atoms[first:last]:
        html += [text_html(source.text[start : atom.start]), atom_html(source, atom)]
        start = atom.end
    return "".join([*html, text_html(source.text[start:end])])


def atom_html(source: Source, atom: Atom) -> str:
    """Return code, or a link. A divided address is no link."""
    is_whole = source.begin <= atom.start and atom.end <= source.cut
    start, end = atom.start + atom.marks, atom.end - atom.marks
    content = source.text[max(start, source.begin) : min(end, source.cut)]
    if not atom.marks:
        return link(content) if is_whole else escape(content)
    return f"<code>{text_html(content)}</code>"


def text_html(text: str) -> str:
    return escape(text.translate(OVERRIDES))


def marked(text: str) -> Iterator[tuple[int, int]]:
    """Yield the positions of each opening mark and of its closing mark.

    Each kind's next closing position is kept until passed. Otherwise every mark without an end would
    cost a search through the same text.
    """
    closings: dict[str, int] = {}
    done = letter = 0
    for opening in ANY_OPENING.finditer(text):
        start, mark = opening.start(), opening[0]
        if start < done:
            continue
        if letter <= start:  # signs alone are no marked text
            first_letter = LETTER.search(text, start)
            letter = first_letter.start() if first_letter else len(text)
        if closings.get(mark, 0) <= letter:
            closing = CLOSING[mark].search(text, letter)
            closings[mark] = closing.start() if closing else len(text)
        end = closings[mark]
        if text[end : end + 1] == mark and end - start <= MAX_MARKED + 1:
            yield start, end
            done = end + 1
