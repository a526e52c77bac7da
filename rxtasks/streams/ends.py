"""The two ends of a log: what writes it, and what reads it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from rxtasks.streams.entry import Entry

__all__ = ["Source", "Subscriber"]


class Source(Protocol):
    """Writes the log while somebody reads it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which observers are called; raises ClientClosed where there is none."""
        ...

    def retain(self) -> None:
        """Somebody reads: start, unless it runs already. Emits nothing before it returns."""
        ...

    def release(self) -> None:
        """A reader is gone: stop with the last of them."""
        ...


class Subscriber(Protocol):
    """What the log calls. None of these may raise.

    Attributes:
        closed: It has left.
        since: How many departures there had been when it came.
    """

    closed: bool
    since: int

    def start(self) -> None:
        """It is this subscriber's turn in the order of things: catch up, live values follow."""
        ...

    def deliver(self, entry: Entry) -> None:
        """Take an entry that was appended."""
        ...

    def settled(self) -> None:
        """The latest turn has ended and everything that belongs to it has been delivered."""
        ...

    def complete(self) -> None:
        """No more will come."""
        ...

    def fail(self, error: Exception) -> None:
        """No more will come, for a reason; observers of faults complete instead, and first."""
        ...
