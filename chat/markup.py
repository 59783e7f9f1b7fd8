"""A message's text as safe HTML: WhatsApp's *bold*, _italic_, ~strike~, ```mono```, and links."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# Looking for the end of every mark is quadratic in the worst case: longer texts, which the sender's
# system does not take as text messages either, are shown plain, and marks reach no further than this.
MAX_FORMATTED = 4_096

MONO = re.compile(r"```(.+?)```", re.S)
URL = re.compile(r"https?://[^\s<>\"`]+", re.I)
TAGS = {"*": "strong", "_": "em", "~": "s"}
# A mark opens after a non-word and before a non-space, and closes the other way round.
MARKED = re.compile(r"(?<![\w*_~])([*_~])(?=\S)([^\n]{1,1000}?)(?<=\S)\1(?!\w)")


def markup(text: str) -> SafeString:
    """HTML that shows the text; nothing of it is taken as HTML. Line breaks are left to CSS."""
    if len(text) > MAX_FORMATTED:
        return escape(text)
    parts = MONO.split(text)  # plain, mono, plain, mono, … plain
    return mark_safe(  # noqa: S308 - every part is escaped
        "".join(
            f"<code>{escape(part)}</code>" if number % 2 else with_links(part)
            for number, part in enumerate(parts)
        )
    )


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
    while url:
        if url[-1] in ".,;:!?'*_~…»”’" or (
            url[-1] in ")]}" and url.count(url[-1]) > url.count("([{"[")]}".index(url[-1])])
        ):
            url = url[:-1]
        else:
            break
    return url


def link(url: str) -> str:
    href = escape(url)
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer nofollow">{href}</a>'


def with_marks(text: str, marks: str = "*_~") -> str:
    """Marks of different kinds nest; one inside its own kind is text."""
    html: list[str] = []
    done = 0
    for match in MARKED.finditer(text):
        mark, inner = match.groups()
        if mark not in marks:
            continue
        tag = TAGS[mark]
        html.append(escape(text[done : match.start()]))
        html.append(f"<{tag}>{with_marks(inner, marks.replace(mark, ''))}</{tag}>")
        done = match.end()
    return "".join([*html, escape(text[done:])])
