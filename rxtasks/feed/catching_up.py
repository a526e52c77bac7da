"""A stream that cannot tell what was before it: a poll has to, and comes first. It is pure."""

from __future__ import annotations

from rxtasks.platforms.base import Batch, Capabilities

__all__ = ["CatchingUp"]


class CatchingUp:
    """Holds back what a stream brings until a poll has found what it has missed.

    Otherwise an answer that comes by the stream would be told before the question that was asked
    before it stood. What is held back and was found by the poll as well, the ledger drops.

    Attributes:
        connections: How many there have been.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        self._needed = capabilities.stream == "everything" and capabilities.resume == "none"
        self._batches: list[Batch] | None = None
        self.connections: int = 0

    def opened(self) -> bool:
        """A connection stands; True if a poll that begins now has to come first."""
        if self._needed:
            self.connections += 1
            # A connection before it may have brought something that no poll has followed.
            self._batches = self._batches or []
        return self._needed

    def keep(self, batch: Batch) -> bool:
        """Hold a batch back, if that is needed; False if it can be merged now."""
        if self._batches is None:
            return False
        self._batches.append(batch)
        return True

    def release(self, connections: int | None) -> list[Batch]:
        """Give out what was held back.

        Args:
            connections: How many there had been when the poll began that was merged: it has to
                have begun since the last one stands. None: without any poll.
        """
        if self._batches is None or connections not in (None, self.connections):
            return []
        batches, self._batches = self._batches, None
        return batches

    def forget(self) -> None:
        """Drop what was held back: nobody watches any more."""
        self._batches = None
