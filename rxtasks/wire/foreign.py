"""Text that came from elsewhere, made fit to be shown."""

from __future__ import annotations

__all__ = ["legible"]


def legible(text: str, most: int) -> str:
    """Shorten a text, and replace what people could not read or a terminal would obey.

    Bytes of a header that are not UTF-8 are halves of characters in it, which nobody can print.

    Args:
        text: The text.
        most: How many characters to keep.
    """
    kept = text[:most]
    if kept.isprintable():
        return kept
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in kept)
