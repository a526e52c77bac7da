"""Keeps credentials out of what people read, though a server repeat them to us."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping

__all__ = ["hidden", "secrets_of"]

_SHORTEST = 4  # what is shorter would blacken every other word
_OTHERS = re.compile(r"[^0-9A-Za-z]+")
_PART = 8  # the least length of a part of a header that counts as a credential of its own


def secrets_of(values: Mapping[str, str], *, between: str = ":;,") -> tuple[str, ...]:
    """Name the texts in headers, or in a query, that may be credentials.

    Of `project:key` each part is one, of `Bearer token` the token, and of Basic credentials the
    password, since a server may repeat any of these alone.

    Args:
        values: The headers, or the query.
        between: What may stand between credentials, besides white space.
    """
    found: dict[str, None] = {}
    for value in values.values():
        scheme, _, rest = value.partition(" ")
        parts = [value, *re.split(rf"[\s{between}]+", value)]
        if scheme.lower() == "basic":
            plain = _basic(rest)
            both = (plain, plain.partition(":")[2])
            found |= dict.fromkeys(each for each in both if each)
        found |= dict.fromkeys(part for part in parts if len(part) >= _PART)
    return tuple(found)


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Replace secrets by `***`, also where they are written as in JSON or in a URL."""
    # A pattern is slow to make, and Python keeps it: few texts have something to hide.
    folded = text.casefold()
    likely = {each for each in secrets if len(each) >= _SHORTEST and _plain(each) in folded}
    patterns = sorted(likely, key=len, reverse=True)
    if not patterns:
        return text
    return re.sub("|".join(map(_pattern, patterns)), "***", text, flags=re.IGNORECASE)


def _plain(secret: str) -> str:
    """Give the longest part that is written in one way only, but for its case."""
    return max(_OTHERS.split(secret), key=len).casefold()


def _pattern(secret: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else _spellings(c) for c in secret)


def _spellings(c: str) -> str:
    """Write one character as itself, escaped as in JSON, and percent-encoded."""
    encoded = "".join(f"%{byte:02x}" for byte in c.encode("utf-8", "replace"))
    plus = r"|\+" if c == " " else ""
    return rf"(?:\\?{re.escape(c)}|\\u{ord(c):04x}|{encoded}{plus})"


def _basic(text: str) -> str:
    try:
        return base64.b64decode(text.strip(), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
