"""A delivery's raw body as text for people. No body can break a page."""

import json
import re

from chat.events.payloads import object_without_duplicates, refuse_constant

# Indentation multiplies the length of deep nesting, so a longer body is shown as sent.
MAX_INDENTED = 16 * 1024
UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def readable(body: bytes) -> str:
    """Return well-formed short JSON with indentation, and any other text as sent.

    Bytes and characters impossible in text, or invisible in a browser, are spelt with backslashes.
    """
    text = indented(body) or body.decode("utf-8", errors="backslashreplace")
    encodable = text.encode("utf-8", errors="backslashreplace").decode()
    return UNSEEN.sub(lambda match: f"\\x{ord(match[0]):02x}", encodable)


def indented(body: bytes) -> str:
    """Return the body as indented JSON. Empty if its content is no JSON, or would change."""
    if len(body) > MAX_INDENTED:
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
