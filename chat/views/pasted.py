"""Ids as people paste them: in quotes, in an address, without hyphens."""

import re
import unicodedata
from urllib.parse import unquote


def spellings_of(query: str) -> list[str]:
    """Return every possible spelling of a pasted id, the pasted text first. One may be stored."""
    return list(dict.fromkeys((query.strip(), undressed(query), *pasted_ids(query))))


def pasted_ids(query: str) -> list[str]:
    """Return the ids in a pasted text. An address may have two, the message's id first; any other text has one."""
    text = plain(query)
    if address := ADDRESS.search(text):
        return [id for id in (address["message"], address["id"]) if id]
    bare = undressed(query)
    if HEX.fullmatch(bare):
        return [f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"]
    return [bare]


def plain(query: str) -> str:
    """Return the text without characters that nobody sees, with hyphens for dashes, and not percent-encoded."""
    text = unquote(query.replace("%00", ""))  # PostgreSQL has no such character
    return DASH.sub("-", "".join(char for char in text if unicodedata.category(char) != "Cf"))


def undressed(query: str) -> str:
    """Return the text without the label, the quotes, brackets and other signs around an id."""
    return DRESS.sub("", plain(query))


# The dashes that editors put in place of hyphens, and what stands around a pasted id: signs, and a
# label such as "conversation_id": or X-Request-Id.
DASH = re.compile("[\u2010-\u2015\u2212\ufe63\uff0d]")
SIGNS = r"\s\"'\u2018-\u201f\u00ab\u00bb`(){}<>\[\]\u300c-\u300f#*_~|/\\"
DRESS = re.compile(
    rf"^[{SIGNS}•-]*(?:(?:[\w-]*id|message|mensagem|conversation|conversa)[\"'`]?\s*[:=：]|urn:uuid:)?[{SIGNS}]*"
    rf"|[{SIGNS}.,;:!?…、。]*$",
    re.I,
)
HEX = re.compile("[0-9a-f]{32}", re.I | re.A)
ID_IN_TEXT = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
ADDRESS = re.compile(
    r"(?:(?<!\S)|/)(?:(?:ui|conversations?|messages)/|ui/deliveries/\?(?:\S*&)?conversation=)"
    rf"(?P<id>{ID_IN_TEXT})(?![\w-])(?:\S*[?&;](?:message|before|after)=(?P<message>{ID_IN_TEXT})(?![\w-]))?"
)
