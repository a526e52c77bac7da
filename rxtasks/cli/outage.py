"""When to tell people that a task cannot be watched: tries go on for ever, and lines need not."""

from __future__ import annotations

from collections.abc import Callable

from rxtasks.models import Connection, TransportFault

__all__ = ["Outage"]

_HICCUP = 1.0
"""Seconds within which what has failed once is tried again before anybody is told."""
_FIRST = 10.0
"""Seconds from one line to the next one at least; each time it is twice as long."""
_CALM = 60.0
"""Seconds without a fault after which the next one is told at once."""


class Outage:
    """Chooses the faults that are told, and notes when the task is reached again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with a task that is reached.

        Args:
            clock: Gives seconds that never go back.
        """
        self._clock = clock
        self._since: float | None = None  # how long it has not been reached
        self._told = False
        self._last = self._next = float("-inf")
        self._pause = _FIRST

    def tells(self, fault: TransportFault) -> bool:
        """Say whether a fault is to be told."""
        now, calm = self._clock(), self._since is None
        if calm and now - self._last >= _CALM:
            self._next, self._pause = now, _FIRST
        self._last = now
        if now < self._next or (fault.attempt == 1 and fault.retry_in < _HICCUP):
            return False
        self._next, self._pause = now + self._pause, 2 * self._pause
        self._told = True
        return True

    def over(self, connection: Connection) -> float | None:
        """Say for how long the task was not reached, if that is over now and was told."""
        now = self._clock()
        if connection == "reconnecting":
            self._since = now if self._since is None else self._since
            return None
        since, told = self._since, self._told
        self._since, self._told = None, False
        if since is None:
            return None
        self._last = now
        return now - since if told else None
