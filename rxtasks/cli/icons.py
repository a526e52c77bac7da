"""The signs that the live views draw with."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

__all__ = ["ASCII", "UNICODE", "Icons", "icons_for"]


@dataclass(frozen=True)
class Icons:
    """The signs of a view, each of them one column wide."""

    spinner: str
    pending: str
    done: str
    failed: str
    cancelled: str
    user: str
    agent: str
    thought: str
    request: str
    cursor: str
    between: str


UNICODE = Icons("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "○", "✓", "✗", "⊘", "▸", "●", "┊", "?", "▌", "·")
ASCII = Icons("|/-\\", ".", "+", "x", "-", ">", "*", ":", "?", "_", "-")


def icons_for(console: Console) -> Icons:
    """Choose the signs that a console can show."""
    return UNICODE if (console.encoding or "").lower().startswith("utf") else ASCII
