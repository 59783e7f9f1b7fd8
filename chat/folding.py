"""Text without accents and case, cut into words for the search index."""

import re
import unicodedata

# Bounds on one message's part of the index. Only hostile texts reach them.
MAX_SEARCHED = 100_000
MAX_WORD = 64
MAX_QUERY = 1_000
MAX_TERMS = 32

WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Return the text decomposed, in lower case and without marks: "Não" and "NAO" become "nao".

    Works character by character, so that a position in the result leads back to the original.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char) != "Mn")


def words_of(text: str) -> list[str]:
    """Return the words of a text for the search index, each once, in the order of the text."""
    found = WORD.findall(fold(text[:MAX_SEARCHED])[:MAX_SEARCHED])  # one "㌖" becomes six
    return list(dict.fromkeys(word[:MAX_WORD] for word in found))


def terms_of(query: str) -> list[str]:
    """Return the terms of a query: a hit has all of them, the last one as a prefix."""
    return words_of(query[:MAX_QUERY])[:MAX_TERMS]
