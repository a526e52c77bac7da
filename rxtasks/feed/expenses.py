"""What a turn has cost: the sum of what the platform says of each of its messages. It is pure."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from rxtasks.models import Usage
from rxtasks.platforms.facts import Spent

__all__ = ["NOTHING", "Expenses"]

NOTHING: Final[tuple[Usage | None, float | None]] = (None, None)


class Expenses:
    """Adds up a turn; what is told again counts once."""

    def __init__(self) -> None:
        self._spent: dict[str, Spent] = {}  # in this turn
        self._before: dict[str, None] = {}  # by what never became a message
        self._total: tuple[Usage | None, float | None] | None = None

    def begin(self, known: Container[str]) -> None:
        """A new turn begins: forget what the last one has cost.

        The ids of what never became a message stay, so that repetitions do not count.
        """
        self._before.update((key, None) for key in self._spent if key not in known)
        self._spent.clear()
        self._total = None

    def add(self, spent: Spent) -> None:
        """Take what a message of this turn has cost so far."""
        if spent.id not in self._before:
            self._spent[spent.id] = spent
            self._total = None

    def total(self) -> tuple[Usage | None, float | None]:
        """Add up this turn, as far as the platform said."""
        if self._total is None:
            usages = [s.usage for s in self._spent.values() if s.usage is not None]
            costs = [s.cost for s in self._spent.values() if s.cost is not None]
            self._total = (sum(usages, Usage()) if usages else None, sum(costs) if costs else None)
        return self._total
