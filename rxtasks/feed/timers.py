"""Timers by name, so that each exists once and all of them can be stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxtasks.feed.limits import Limits

__all__ = ["Timers"]


class Timers:
    """The timers of one feed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._handles

    def set(self, name: str, when: float, callback: Callable[[], None]) -> None:
        """Call back at a time of the loop; a timer of the same name is replaced."""
        if name in self._handles:
            self._handles.pop(name).cancel()

        def fire() -> None:
            self._handles.pop(name, None)
            callback()

        self._handles[name] = self._limits.at(when, fire)

    def clear(self) -> None:
        """Stop all of them."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()
