"""A delivery's raw body as text for people: whatever came, nothing of it can break a page."""

import json
import re

from chat.events.payloads import object_without_duplicates, refuse_constant

# Laying out deep nesting multiplies it; a longer body is shown as it came.
MAX_LAID_OUT = 16 * 1024
UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def readable(body: bytes) -> str:
    """JSON laid out when it is well-formed and short, else the text as it came.

    What no text can have, and what a browser would leave out, is spelt with backslashes.
    """
    text = laid_out(body) or body.decode("utf-8", errors="backslashreplace")
    encodable = text.encode("utf-8", errors="backslashreplace").decode()
    return UNSEEN.sub(lambda match: f"\\x{ord(match[0]):02x}", encodable)


def laid_out(body: bytes) -> str:
    """Empty for what is no JSON, and for what would not be the same after it."""
    if len(body) > MAX_LAID_OUT:
        return ""
    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=object_without_duplicates,
            parse_constant=refuse_constant,
        )
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return ""
