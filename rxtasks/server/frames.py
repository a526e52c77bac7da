"""A task's log as events: written once for all readers, each of which has its own position."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

from rxtasks.models import TaskUpdate
from rxtasks.models.encoding import encode
from rxtasks.platforms.cursors import number_of
from rxtasks.platforms.gateway.events import frame, update_of
from rxtasks.streams.entry import EVENTS, Entry
from rxtasks.streams.log import TaskLog
from rxtasks.task import Task

__all__ = ["Chunk", "Frames", "position_in"]

_CHUNK = 64 * 2**10  # bytes that are written at once, about
_SHARED = 8  # chunks that are kept for the other readers of a task


class Chunk(NamedTuple):
    """Some events, written.

    Attributes:
        data: Their bytes; empty where there is nothing to tell.
        position: Where the next ones stand.
        events: How many they are.
    """

    data: bytes
    position: int
    events: int


class Frames:
    """Writes the log of one task.

    Attributes:
        log: The log.
    """

    def __init__(self, task: Task) -> None:
        self.log: TaskLog = task.events.log
        self._task = task
        self._epoch = self.log.epoch
        self._shared: OrderedDict[tuple[int, int | None], Chunk] = OrderedDict()

    def id(self, position: int) -> bytes:
        """Name a position in this log."""
        return b"%s:%d" % (self.log.epoch.encode(), position)

    def after(self, position: int, last: int | None = None) -> Chunk:
        """Write what stands after a position, or the first 64 KiB of it.

        Args:
            position: The position.
            last: Nothing that begins after this position; None: everything.
        """
        if self._epoch != self.log.epoch:  # what was written bears the old name
            self._epoch = self.log.epoch
            self._shared.clear()
        shared = self._shared.get((position, last))
        if shared is not None:
            return shared
        frames: list[bytes] = []
        size, end = 0, position
        while size < _CHUNK and (found := self.log.next_after(end, EVENTS)) is not None:
            entry, index = found
            if last is not None and entry.seq + index > last:
                break
            written = self._entry(entry, index)
            frames += written
            size += sum(map(len, written))
            end = max(entry.last, self.log.trimmed)
        chunk = Chunk(b"".join(frames), end, len(frames))
        if frames:
            self._shared[position, last] = chunk
            if len(self._shared) > _SHARED:
                self._shared.popitem(last=False)
        return chunk

    def _entry(self, entry: Entry, index: int) -> list[bytes]:
        kind = entry.values[index].__struct_config__.tag.encode()
        first = entry.seq + index
        return [
            frame(kind, self._data(value), self.id(first + offset))
            for offset, value in enumerate(entry.values[index:])
        ]

    def _data(self, value: Any) -> bytes:
        if isinstance(value, TaskUpdate):
            return encode(update_of(value, self._task.info))
        return encode(value)


def position_in(log: TaskLog, last_event_id: str | None) -> int | None:
    """Read a `Last-Event-ID`; None for one that this log never gave."""
    if last_event_id is None:
        return 0
    epoch, _, seq = last_event_id.partition(":")
    position = number_of(seq) if epoch == log.epoch else None
    return position if position is not None and position <= log.tail else None
