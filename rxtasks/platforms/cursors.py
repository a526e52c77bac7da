"""Positions in a log, as numbers that others hold and give back."""

from __future__ import annotations

__all__ = ["number_of"]

_DIGITS = 18
"""More digits than any log is long; Python refuses to read thousands of them."""


def number_of(text: str | None) -> int | None:
    """Read a whole number; None for what is none, and for one that is too long."""
    if text is None or len(text) > _DIGITS or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)
