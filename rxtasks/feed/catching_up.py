"""A stream that cannot tell what was before it: a poll has to, and comes first. It is pure."""

from __future__ import annotations

from msgspec.structs import replace

from rxtasks.models import TaskStatus
from rxtasks.platforms.base import Batch, Capabilities, Metadata, StreamItem

__all__ = ["CatchingUp"]

_BUSY = frozenset({TaskStatus.RUNNING, TaskStatus.ACTION})


class CatchingUp:
    """Holds back what a stream brings until a poll has found what it has missed.

    Otherwise an answer that comes by the stream would be told before the question that was asked
    before it stood. What is held back and was found by the poll as well, the ledger drops.

    Attributes:
        connections: How many there have been.
    """

    __slots__ = ("_batches", "_needed", "connections")

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
        return _without_detours(batches)

    def forget(self) -> None:
        """Drop what was held back: nobody watches any more."""
        self._batches = None


def _without_detours(batches: list[Batch]) -> list[Batch]:
    """Let words that are told late say at once where they lead.

    A poll has told where the task stands. A question that was asked meanwhile would be withdrawn by
    the words from before it, and asked again.
    """
    words = [x for b in batches for x in b.items if isinstance(x, Metadata) and x.status]
    if not words or words[-1].status not in _BUSY:
        return batches
    last = words[-1]

    def led(item: StreamItem) -> StreamItem:
        if not isinstance(item, Metadata) or item.status not in _BUSY:
            return item
        word, status, requests = last.platform_state, last.status, last.requests
        return replace(item, platform_state=word, status=status, requests=requests)

    return [replace(batch, items=[led(item) for item in batch.items]) for batch in batches]
