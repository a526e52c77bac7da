"""The numbered log of one task, and the waiting for its next entry."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

from rxtasks.models import Message, TaskInfo, ThinkingMessage, TypingMessage

__all__ = ["ItemLog", "LogItem"]

LogItem: TypeAlias = Message | TaskInfo
"""A message, a delta, or what became of the task."""


class ItemLog:
    """Entries at increasing positions, from 1.

    An entry that nobody needs any more is dropped; the positions of the others stay as they are.
    Readers keep a position, not a queue: an append wakes those that wait, once, whatever number of
    entries follows before they run.

    Attributes:
        on_append: Called after each append; for who keeps a copy of the log elsewhere.
    """

    __slots__ = (
        "_closed",
        "_dropped",
        "_items",
        "_last",
        "_positions",
        "_saved",
        "_waiters",
        "on_append",
    )

    def __init__(self) -> None:
        self.on_append: Callable[[], None] | None = None
        self._saved = 0
        self._dropped: list[int] = []
        self._positions: list[int] = []
        self._items: list[LogItem] = []
        self._last = 0
        self._closed = False
        self._waiters: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def last(self) -> int:
        """The position of the newest entry, 0 if there never was one."""
        return self._last

    @property
    def closed(self) -> bool:
        """Whether readers that have read everything are to stop."""
        return self._closed

    def append(self, item: LogItem, position: int | None = None) -> int:
        """Add an entry and give its position, which is the next one unless it is given."""
        self._last = self._last + 1 if position is None else position
        self._positions.append(self._last)
        self._items.append(item)
        if self._waiters:
            self._wake()
        if self.on_append is not None:
            self.on_append()
        return self._last

    def skip(self, count: int) -> None:
        """Leave positions out."""
        self._last += count

    def after(self, position: int) -> tuple[Sequence[int], Sequence[LogItem]]:
        """Give what stands after a position: the positions, and the entries at them."""
        start = bisect_right(self._positions, position)
        return self._positions[start:], self._items[start:]

    def drop(self, position: int) -> None:
        """Forget the entry at a position, if there is one."""
        index = bisect_left(self._positions, position)
        if index < len(self._positions) and self._positions[index] == position:
            del self._positions[index], self._items[index]
            if position <= self._saved:
                self._dropped.append(position)

    def drop_deltas(self, message_id: str, first: int) -> None:
        """Forget all deltas of a message, the first of which stands at a position."""
        start = bisect_left(self._positions, first)
        positions, items = self._positions[start:], self._items[start:]
        kept = [
            (position, item)
            for position, item in zip(positions, items, strict=True)
            if not isinstance(item, ThinkingMessage | TypingMessage) or item.id != message_id
        ]
        self._positions[start:] = [position for position, _ in kept]
        self._items[start:] = [item for _, item in kept]
        saved = positions[: bisect_right(positions, self._saved)]
        self._dropped += set(saved).difference(self._positions[start:])

    # ------------------------------------------------------------------ a copy elsewhere

    def unsaved(self) -> tuple[list[tuple[int, LogItem]], list[int]]:
        """Give what a copy lacks since the last call: new entries, and positions to forget."""
        start = bisect_right(self._positions, self._saved)
        entries = list(zip(self._positions[start:], self._items[start:], strict=True))
        dropped, self._dropped = self._dropped, []
        self._saved = self._last
        return entries, dropped

    def mark_saved(self) -> None:
        """Count everything that stands in the log as known to the copy."""
        self._saved = self._last
        self._dropped.clear()

    # ------------------------------------------------------------------ waiting

    async def changed(self, position: int) -> None:
        """Wait until something stands after a position, or readers are woken for another reason."""
        if self._last > position or self._closed:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    @contextlib.contextmanager
    def waking(self, seconds: float) -> Generator[None]:
        """Wake those that wait each so many seconds: one timer, not one for each wait."""
        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []

        def beat() -> None:
            timers[:] = [loop.call_later(seconds, beat)]
            self._wake()

        timers.append(loop.call_later(seconds, beat))
        try:
            yield
        finally:
            timers[0].cancel()

    def close(self) -> None:
        """Let every reader stop as soon as it has read everything."""
        self._closed = True
        self._wake()

    def reopen(self) -> None:
        """Let new readers wait again."""
        self._closed = False

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()
