"""A stream that numbers what it brings: repetitions and holes. It is pure."""

from __future__ import annotations

from collections.abc import Sequence

from rxtasks.models import Gap
from rxtasks.platforms.facts import Batch, StreamItem

__all__ = ["Numbering"]


class Numbering:
    """Knows how far a numbered stream has been read.

    Attributes:
        position: Of the last item; None before the first.
    """

    def __init__(self, position: int | None = None) -> None:
        self.position: int | None = position
        self._refilled: int | None = None  # the hole that a reconnect did not fill
        self._hole: int | None = None

    def take_hole(self) -> int | None:
        """Tell, once, behind which position something was skipped: reconnect from there."""
        hole, self._hole = self._hole, None
        return hole

    def unseen(self, batch: Batch, seqs: Sequence[int]) -> list[StreamItem]:
        """Drop what is repeated, and stop before a hole that a reconnect may fill."""
        items: list[StreamItem] = []
        if batch.reset:
            self.position = None
        event = None  # that is being taken: its further items have its number
        for item, seq in zip(batch.items, seqs, strict=True):
            if self.position is not None and seq <= self.position and seq != event:
                continue
            if batch.gapless and self.position is not None and seq > self.position + 1:
                if self._refilled != self.position:
                    self._refilled = self._hole = self.position
                    break
                items.append(Gap(after=self.position, before=seq))
            self.position = event = seq
            items.append(item)
        return items
