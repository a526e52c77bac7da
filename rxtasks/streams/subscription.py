"""One observer's subscription to a log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from reactivex.abc import DisposableBase

from rxtasks.streams.entry import ERRORS, MESSAGES, UPDATES, Entry, View
from rxtasks.streams.log import TaskLog

__all__ = ["LogReader", "SettledWatch", "Subscription"]


class LogReader(DisposableBase):
    """A place in a log that can be left from any thread.

    Attributes:
        closed: Whether it has been left: nothing is delivered after that.
        since: How many departures there had been when its observer came.
    """

    __slots__ = ("__weakref__", "closed", "history", "log", "mask", "since", "view")

    def __init__(self, log: TaskLog, mask: int, view: View, *, history: bool) -> None:
        self.log: TaskLog = log
        self.mask: int = mask
        self.view: View = view
        self.history: bool = history
        self.closed: bool = False
        self.since: int = log.departures

    @property
    def takes_faults(self) -> bool:
        """Whether it reads the stream of faults, which completes where others fail."""
        return self.mask == ERRORS

    def dispose(self) -> None:
        """Leave; nothing is delivered any more. Idempotent, from any thread."""
        if not self.closed:
            self.closed = True
            self.log.discard(self)

    def start(self) -> None:
        """Begin to read."""

    def deliver(self, entry: Entry) -> None:
        """Take an entry."""

    def settled(self) -> None:
        """Take note that the latest turn has ended."""

    def complete(self) -> None:
        """Take the end."""
        self.dispose()

    def fail(self, error: Exception) -> None:
        """Take the end and its reason."""
        del error
        self.complete()


class Subscription(LogReader):
    """Calls an observer.

    An exception of the observer goes to the loop's exception handler, and the observer stays
    subscribed: it has hurt nobody but itself.
    """

    __slots__ = ("_on_completed", "_on_error", "_on_next", "after")

    def __init__(
        self,
        log: TaskLog,
        mask: int,
        view: View,
        *,
        history: bool,
        after: int,
        on_next: Callable[[Any], None] | None,
        on_error: Callable[[Exception], None] | None,
        on_completed: Callable[[], None] | None,
    ) -> None:
        super().__init__(log, mask, view, history=history)
        self.after: int = after
        self._on_next = on_next
        self._on_error = on_error
        self._on_completed = on_completed

    def start(self) -> None:
        """Read what has been."""
        if not self.history:
            return
        if self.mask == UPDATES:
            if self.log.latest is not None:
                self._push((self.log.latest[1],))
            return
        for entry in self.log.replay(self.after):
            if self.closed:
                return
            if entry.mask & self.mask:
                self._push(self.view(entry))

    def deliver(self, entry: Entry) -> None:
        """Call the observer with what the entry holds."""
        if entry.mask & self.mask and (self.history or not entry.history):
            self._push(self.view(entry))

    def complete(self) -> None:
        """Call the observer for the last time."""
        self._end(self._on_completed)

    def fail(self, error: Exception) -> None:
        """Call the observer for the last time."""
        if self.takes_faults:
            self.complete()
        elif self._on_error is None:
            self._report(error, "a stream failed, and its observer has no on_error")
            self._end(None)
        else:
            self._end(self._on_error, error)

    def _push(self, values: Iterable[Any]) -> None:
        on_next = self._on_next
        if on_next is None:
            return
        for value in values:
            if self.closed:
                return
            try:
                on_next(value)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - reported
                self._report(error, "an observer raised in on_next")

    def _end(self, last: Callable[..., None] | None, *arguments: Any) -> None:
        if self.closed:
            return
        self.dispose()
        if last is None:
            return
        try:
            last(*arguments)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - reported
            self._report(error, "an observer raised in on_completed or on_error")

    def _report(self, error: BaseException, what: str) -> None:
        loop = self.log.source.loop
        loop.call_exception_handler({"message": what, "exception": error, "observer": self})


class SettledWatch(LogReader):
    """Calls back when the latest turn has ended, or at once in the next turn of the loop."""

    __slots__ = ("_on_end", "_on_error")

    def __init__(
        self,
        log: TaskLog,
        on_end: Callable[[], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        super().__init__(log, MESSAGES, Entry.as_messages, history=False)
        self._on_end = on_end
        self._on_error = on_error

    def settled(self) -> None:
        """Call back."""
        self.complete()

    def complete(self) -> None:
        """Call back: no turn will end any more."""
        if not self.closed:
            self.dispose()
            self._on_end()

    def fail(self, error: Exception) -> None:
        """Call back with the reason."""
        if not self.closed:
            self.dispose()
            self._on_error(error)
