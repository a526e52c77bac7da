"""A log that is written from elsewhere, where it is shared: it can lag behind, and be exchanged."""

from __future__ import annotations

from rxtasks.models import EventValue, Gap, TaskUpdate
from rxtasks.streams.ends import Subscriber
from rxtasks.streams.entry import ERRORS, MESSAGES, UPDATES, Entry, entry_of
from rxtasks.streams.log import TaskLog

__all__ = ["FollowingLog"]


class FollowingLog(TaskLog):
    """A log that follows another one.

    Attributes:
        held: Who comes has to wait: what it is to read is being fetched.
    """

    held: bool = False
    tail: int
    trimmed: int
    settled: bool
    settled_at: int
    latest: tuple[int, TaskUpdate] | None

    @property
    def read(self) -> bool:
        """Whether somebody has begun to read and has not left."""
        return bool(self._subscribers)

    def advance(self, position: int) -> None:
        """Leave out the positions up to this one: what stood there is worth nothing any more."""
        self.enqueue(lambda: setattr(self, "tail", max(self.tail, position)))

    def skip(self, position: int, update: tuple[int, TaskUpdate] | None) -> None:
        """Leave out what stood up to this position: it cannot be had, and a `Gap` says so.

        Args:
            position: Of the last value that is missing.
            update: The newest update up to there, and its position.
        """
        self.enqueue(lambda: self._skip(position, update))

    def announce(self, value: EventValue) -> None:
        """Deliver a fault to those who observe faults now; it has no place in the log."""
        self.enqueue(lambda: self._announce(entry_of(self.tail, value)))

    def unhold(self) -> None:
        """Let those begin who had to wait."""
        self.held = False
        self.enqueue(self._start_all)

    def rebase(self, epoch: str) -> None:
        """Become another log, which is empty; nobody reads this one now."""
        self.epoch, self.tail, self.trimmed, self.settled_at = epoch, 0, 0, 0
        self.settled, self.latest = False, None
        self._entries, self._open = [], {}

    def _skip(self, position: int, update: tuple[int, TaskUpdate] | None) -> None:
        if position <= self.tail:
            return
        tail, found = self.tail, list[Entry]()
        self._entries, self._open = [], {}
        self.tail = self.trimmed = position
        if update is not None and update[0] > tail:  # what counts of these is the newest
            self.latest = update
            found.append(entry_of(*update))
        at = position - 1 if found and found[0].seq == position else position
        if at > tail:
            gap = Gap(after=tail or None, before=position + 1)
            found.append(Entry(at, (gap,), MESSAGES | ERRORS, key=None, history=False))
        for entry in sorted(found, key=lambda entry: entry.seq):
            for subscriber in self._subscribers:
                subscriber.deliver(entry)

    def next_after(self, position: int, mask: int) -> tuple[Entry, int] | None:
        """Find the next value of a channel: its entry, and the index of the value in it."""
        if mask == UPDATES and self.latest and position < self.latest[0] <= self.trimmed:
            return entry_of(*self.latest), 0  # what counts is the newest, also of what is missing
        return super().next_after(position, mask)

    def _start(self, subscriber: Subscriber) -> None:
        if not self.held:
            super()._start(subscriber)

    def _start_all(self) -> None:
        for subscriber in tuple(self._admitted):
            self._start(subscriber)

    def _finish(self, error: Exception | None, *, ended: bool, before: int | None = None) -> None:
        held, self.held = self.held, False
        super()._finish(error, ended=ended, before=before)
        if held and before is not None and self._admitted:
            self.held = True  # for those that go on waiting

    def _announce(self, entry: Entry) -> None:
        for subscriber in (*self._subscribers, *self._admitted):
            if not subscriber.closed and getattr(subscriber, "takes_faults", False):
                subscriber.deliver(entry)
