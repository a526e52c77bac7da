"""What a feed has found out, on its way to the log that several processes share. It is pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rxtasks.feed.hub.record import Entry, Mark, Record, is_final, length
from rxtasks.streams.entry import Item

__all__ = ["Outbox"]

_AT_ONCE = 512  # records in one entry at most


class Outbox:
    """An `Outlet` that numbers what it takes, and gives it out in entries."""

    def __init__(
        self, tail: int, turn_of: Callable[[str], int], on_filled: Callable[[], None]
    ) -> None:
        """Begin behind the position `tail`; `on_filled` is called when there is something."""
        self._tail = tail
        self._turn_of = turn_of
        self._on_filled = on_filled
        self._records: list[Record] = []
        self._acks: list[str] = []

    def __len__(self) -> int:
        """How much waits."""
        return len(self._records) + len(self._acks)

    def append(self, items: Sequence[Item], *, history: bool = False) -> None:
        """Take values and runs of deltas."""
        values = list(items)
        turns = [self._turn_of(value.id) for value in values if is_final(value)]
        self._put(Record(self._tail + 1, values, turns, history))
        self._tail += length(values)

    def settle(self) -> None:
        """The latest turn has ended."""
        self._mark("settled")

    def reopen(self) -> None:
        """A new turn has begun."""
        self._mark("reopened")

    def complete(self, *, ended: bool = False) -> None:
        """The task was deleted; that observers of this process leave concerns nobody else."""
        if ended:
            self._mark("ended")

    def fail(self, error: Exception) -> None:
        """Watching cannot go on."""
        del error  # the fault before it says why
        self._mark("failed")

    def ack(self, told: str) -> None:
        """Say that something was taken into account that another process has told."""
        self._acks.append(told)
        self._on_filled()

    def take(self) -> Entry:
        """Give out what there is, or the first part of it."""
        entry = Entry(records=self._records[:_AT_ONCE], acks=self._acks)
        del self._records[:_AT_ONCE]
        self._acks = []
        return entry

    def _mark(self, mark: Mark) -> None:
        self._put(Record(self._tail + 1, mark=mark))

    def _put(self, record: Record) -> None:
        self._records.append(record)
        self._on_filled()
