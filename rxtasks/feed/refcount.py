"""Counts those who want to know: what they want runs while there are any."""

from __future__ import annotations

import asyncio

from rxtasks.feed.limits import Limits
from rxtasks.platforms.base import TaskRef
from rxtasks.streams.log import TaskLog

__all__ = ["RefCounted"]


class RefCounted:
    """Counts those who want to know about a task: it starts with the first, stops with the last.

    Attributes:
        ref: The task; None until it has been started.
        log: What has been seen of it.
    """

    ref: TaskRef | None
    log: TaskLog
    _limits: Limits
    _users: int = 0
    _failed: bool = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the client; raises ClientClosed if that is not open."""
        return self._limits.loop

    @property
    def wanted(self) -> bool:
        """Whether somebody wants to know, and there is something to watch."""
        wanted = self._users > 0 and self.ref is not None and not self.log.ended
        return wanted and not self._limits.closing

    @property
    def active(self) -> bool:
        """Whether it is being watched here."""
        return self.wanted

    def retain(self) -> None:
        """Somebody wants to know: start with the first.

        Raises:
            ClientClosed: The client is closed, or being closed.
        """
        self._limits.check_open()
        self._users += 1
        if self._users == 1 or self._failed:
            self._start()

    def release(self) -> None:
        """Somebody has left: stop with the last."""
        self._users -= 1
        if self._users == 0:
            self._stop()

    def _start(self) -> None:
        """Start, if there is something to watch."""

    def _stop(self) -> None:
        """Stop: one loop turn later nothing of it is left."""
