"""A message's text as safe HTML: WhatsApp's *bold*, _italic_, ~strike~, ```mono```, and links."""

import re
from collections.abc import Iterator
from html import escape, unescape

from django.utils.safestring import SafeString, mark_safe

# Longer texts, which the sender's system does not take as text messages either, are shown plain.
MAX_FORMATTED = 4_096
# As far as a mark reaches, on its line.
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
    """HTML that shows the text; nothing of it is taken as HTML. Line breaks are left to CSS."""
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
    """The same text without the signs that `markup` turns into its looks.

    Of a preview, which is cut and on one line, these may be others than of the whole text.
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
    """The address without the sentence around it: a bracket belongs to it when it opens there."""
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
    """Marks of different kinds nest; one inside its own kind is text."""
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
    """Where a mark opens and where it closes, one after another.

    The next place where a kind of mark may close is kept until it is passed, so that no part of
    the text is looked through again for each mark that opens and never closes.
    """
    closings: dict[str, int] = {}
    done = 0
    for opening in OPENING.finditer(text):
        start, mark = opening.start(), opening[0]
        if start < done:
            continue
        if closings.get(mark, 0) < start + 2:  # something stands between
            closing = CLOSING[mark].search(text, start + 2)
            closings[mark] = closing.start() if closing else len(text)
        end = closings[mark]
        if text[end : end + 1] == mark and end - start <= MAX_MARKED + 1:
            yield start, end
            done = end + 1
