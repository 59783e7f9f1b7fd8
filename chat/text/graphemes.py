"""Where a text may be cut: between grapheme clusters, which readers see as one character."""

import unicodedata

MAX_CLUSTER = 32
JOINER = "\u200d"


def inwards(text: str, place: int) -> int:
    """Return the last place up to this one that lies between two grapheme clusters."""
    return outwards(text, place, -1)


def outwards(text: str, place: int, step: int) -> int:
    """Return the next place in this direction that lies between two grapheme clusters."""
    place = min(place, len(text))
    for moved in range(MAX_CLUSTER):
        if is_boundary(text, place + moved * step):
            return place + moved * step
    return place  # only hostile texts have longer clusters


def is_boundary(text: str, place: int) -> bool:
    """Whether a grapheme cluster may end here, by the rules of Unicode's annex 29."""
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    if before.isascii() and after.isascii():
        return (before, after) != ("\r", "\n")
    if extends(after) or (before == JOINER and unicodedata.category(after) in ("So", "Sm")):
        return False
    if is_flag(before) and is_flag(after):
        return flags_before(text, place) % 2 == 0
    return not is_within_a_syllable(before, after)


def extends(char: str) -> bool:
    """Whether the character belongs to the one before: a mark, a joiner, a skin tone, a tag."""
    return (
        unicodedata.category(char)[0] == "M"
        or char in (JOINER, "\u200c", "\uff9e", "\uff9f", "\u0e33", "\u0eb3")
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def is_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def flags_before(text: str, place: int) -> int:
    start = place
    while start and is_flag(text[start - 1]):
        start -= 1
    return place - start


def is_within_a_syllable(before: str, after: str) -> bool:
    """Whether two Hangul characters make one syllable."""
    if "\u1100" <= before <= "\u115f":
        return "\u1100" <= after <= "\u11a7" or "\uac00" <= after <= "\ud7a3"
    has_vowel = "\uac00" <= before <= "\ud7a3" or "\u1160" <= before <= "\u11a7"
    if has_vowel and "\u1160" <= after <= "\u11a7":
        return not is_closed(before)
    return (has_vowel or "\u11a8" <= before <= "\u11ff") and "\u11a8" <= after <= "\u11ff"


def is_closed(syllable: str) -> bool:
    """Whether a composed Hangul syllable ends in a consonant."""
    return "\uac00" <= syllable <= "\ud7a3" and (ord(syllable) - 0xAC00) % 28 != 0
