"""Where a feed writes what it has found out: its task's log, or on the way to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rxtasks.streams.entry import Item

__all__ = ["NOWHERE", "Outlet"]


class Outlet(Protocol):
    """Takes what belongs in a log, in order. A `TaskLog` is one."""

    def append(self, items: Sequence[Item], *, history: bool = False) -> None:
        """Take values and runs of deltas."""
        ...

    def settle(self) -> None:
        """The latest turn has ended, and everything of it was taken."""
        ...

    def reopen(self) -> None:
        """A new turn has begun."""
        ...

    def complete(self, *, ended: bool = False) -> None:
        """Observers are to complete; with `ended`, later ones too."""
        ...

    def fail(self, error: Exception) -> None:
        """Observers are to fail."""
        ...


class _Nowhere:
    """Drops everything: another process writes the log."""

    def append(self, items: Sequence[Item], *, history: bool = False) -> None:
        """Drop it."""

    def settle(self) -> None:
        """Drop it."""

    def reopen(self) -> None:
        """Drop it."""

    def complete(self, *, ended: bool = False) -> None:
        """Drop it."""

    def fail(self, error: Exception) -> None:
        """Drop it."""


NOWHERE: Outlet = _Nowhere()
"""For a feed that does not lead."""
