"""A log that is written from elsewhere, where it is shared: it can lag behind, and be exchanged."""

from __future__ import annotations

from rxtasks.models import EventValue, TaskUpdate
from rxtasks.streams.ends import Subscriber
from rxtasks.streams.entry import Entry, entry_of
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
    latest: tuple[int, TaskUpdate] | None

    @property
    def read(self) -> bool:
        """Whether somebody has begun to read and has not left."""
        return bool(self._subscribers)

    def advance(self, position: int) -> None:
        """Leave out the positions up to this one: what stood there is worth nothing any more."""
        self.enqueue(lambda: setattr(self, "tail", max(self.tail, position)))

    def announce(self, value: EventValue) -> None:
        """Deliver a fault to those who observe faults now; it has no place in the log."""
        self.enqueue(lambda: self._announce(entry_of(self.tail, value)))

    def unhold(self) -> None:
        """Let those begin who had to wait."""
        self.held = False
        self.enqueue(self._start_all)

    def rebase(self, epoch: str) -> None:
        """Become another log, which is empty; nobody reads this one now."""
        self.epoch, self.tail, self.trimmed = epoch, 0, 0
        self.settled, self.latest = False, None
        self._entries, self._open = [], {}

    def _start(self, subscriber: Subscriber) -> None:
        if not self.held:
            super()._start(subscriber)

    def _start_all(self) -> None:
        for subscriber in tuple(self._admitted):
            self._start(subscriber)

    def _finish(self, error: Exception | None, *, ended: bool) -> None:
        self.held = False
        super()._finish(error, ended=ended)

    def _announce(self, entry: Entry) -> None:
        for subscriber in (*self._subscribers, *self._admitted):
            if not subscriber.closed and getattr(subscriber, "takes_faults", False):
                subscriber.deliver(entry)
