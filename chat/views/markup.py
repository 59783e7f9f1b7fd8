"""A message's text as safe HTML: WhatsApp's *bold*, _italic_, ~strike~, ```mono```, and links."""

import re
from collections.abc import Iterator
from html import escape, unescape

from django.utils.safestring import SafeString, mark_safe

# Longer texts are shown plain. The sender's system takes none as text messages either.
MAX_FORMATTED = 4_096
# The longest text between two marks, always on one line.
MAX_MARKED = 1_000

MONO = re.compile(r"```(.+?)```", re.S)
URL = re.compile(r"https?://[^\s<>\"`]+", re.I)
TAG = re.compile(r"<[^>]*>")
TAGS = {"*": "strong", "_": "em", "~": "s"}
# A mark opens after a non-word and before a non-space, and closes the other way round.
OPENING = re.compile(r"(?<![\w*_~])[*_~](?=\S)")
CLOSING = {mark: re.compile(rf"(?<=\S){re.escape(mark)}(?!\w)|\n") for mark in TAGS}
CLOSING_SIGNS = ".,;:!?'*_~…»”’"
BRACKETS = ("()", "[]", "{}")


def markup(text: str) -> SafeString:
    """Return the text as HTML. The text's own tags are escaped; line breaks are left to CSS."""
    if len(text) > MAX_FORMATTED:
        return mark_safe(escape(text))  # noqa: S308 - escaped
    parts = MONO.split(text)  # plain, mono, plain, mono, … plain
    return mark_safe(  # noqa: S308 - every part is escaped
        "".join(
            f"<code>{escape(part)}</code>" if number % 2 else with_links(part)
            for number, part in enumerate(parts)
        )
    )


def unmarked(text: str) -> str:
    """Return the text without the marks that `markup` turns into tags.

    A preview is cut and on one line, so its marks may pair differently from the full text's.
    """
    return unescape(TAG.sub("", markup(text)))


def with_links(text: str) -> str:
    html: list[str] = []
    done = 0
    for match in URL.finditer(text):
        url = without_closing_signs(match[0])
        html += [with_marks(text[done : match.start()]), link(url)]
        done = match.start() + len(url)
    return "".join([*html, with_marks(text[done:])])


def without_closing_signs(url: str) -> str:
    """Cut the sentence's signs off an address. A closing bracket stays if the address opens the pair."""
    unopened = {pair[1]: url.count(pair[1]) - url.count(pair[0]) for pair in BRACKETS}
    end = len(url)
    while url[end - 1] in CLOSING_SIGNS or unopened.get(url[end - 1], 0) > 0:
        end -= 1
        if url[end] in unopened:
            unopened[url[end]] -= 1
    return url[:end]


def link(url: str) -> str:
    href = escape(url)
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer nofollow">{href}</a>'


def with_marks(text: str, marks: str = "*_~") -> str:
    """Return HTML with nested marks. A mark inside its own kind is text."""
    html: list[str] = []
    done = 0
    for start, end in marked(text):
        mark, inner = text[start], text[start + 1 : end]
        if mark not in marks:
            continue
        tag = TAGS[mark]
        html.append(escape(text[done:start]))
        html.append(f"<{tag}>{with_marks(inner, marks.replace(mark, ''))}</{tag}>")
        done = end + 1
    return "".join([*html, escape(text[done:])])


def marked(text: str) -> Iterator[tuple[int, int]]:
    """Yield the positions of each opening mark and of its closing mark.

    Each kind's next closing position is kept until passed. Otherwise every mark that never closes
    would cost a search through the same text.
    """
    closings: dict[str, int] = {}
    done = 0
    for opening in OPENING.finditer(text):
        start, mark = opening.start(), opening[0]
        if start < done:
            continue
        if closings.get(mark, 0) < start + 2:  # a mark holds at least one character
            closing = CLOSING[mark].search(text, start + 2)
            closings[mark] = closing.start() if closing else len(text)
        end = closings[mark]
        if text[end : end + 1] == mark and end - start <= MAX_MARKED + 1:
            yield start, end
            done = end + 1
