"""Timers by name, so that each exists once and all of them can be stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxtasks.feed.limits import Limits

__all__ = ["Timers"]


class Timers:
    """The timers of one feed."""

    __slots__ = ("_handles", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Takes nothing while there are none, and there are never more than a few.
        self._handles: tuple[tuple[str, asyncio.TimerHandle], ...] = ()

    def __contains__(self, name: str) -> bool:
        return any(each == name for each, _ in self._handles)

    def set(self, name: str, when: float, callback: Callable[[], None]) -> None:
        """Call back at a time of the loop; a timer of the same name is replaced."""
        self.stop(name)

        def fire() -> None:
            self.stop(name)
            callback()

        self._handles = (*self._handles, (name, self._limits.at(when, fire)))

    def stop(self, name: str) -> None:
        """Stop one, if there is one of that name."""
        for each, handle in self._handles:
            if each == name:
                handle.cancel()
        self._handles = tuple(pair for pair in self._handles if pair[0] != name)

    def clear(self) -> None:
        """Stop all of them."""
        for _, handle in self._handles:
            handle.cancel()
        self._handles = ()
