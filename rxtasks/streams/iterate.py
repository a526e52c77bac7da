"""The bridge from a log to `async for`."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from rxtasks.arguments import check_choice, check_count
from rxtasks.errors import ConfigurationError, ReaderTooSlow, fresh
from rxtasks.models import Message
from rxtasks.streams.entry import UPDATES, DeltaKey, Entry, View
from rxtasks.streams.log import TaskLog
from rxtasks.streams.subscription import LogReader

__all__ = ["Iteration", "check_bound"]

T = TypeVar("T", covariant=True)

_OVERFLOWS = ("error", "drop_oldest", "drop_newest")


class _Reader(LogReader):
    """What the log knows of an iteration: it wakes the reader, and keeps what a bound allows.

    It is apart from the iteration so that the log does not keep that one alive: an `async for`
    that is left by `break` is disposed of when its iteration is collected.
    """

    __slots__ = (
        "backlog_end",
        "buffer",
        "done",
        "dropped",
        "error",
        "maxsize",
        "overflow",
        "position",
        "waiter",
    )

    def __init__(
        self,
        log: TaskLog,
        mask: int,
        view: View,
        *,
        history: bool,
        maxsize: int | None,
        overflow: str,
    ) -> None:
        super().__init__(log, mask, view, history=history)
        self.maxsize = maxsize
        self.overflow = overflow
        self.buffer: deque[Any] = deque()
        self.dropped = 0
        self.position = 0
        self.backlog_end = 0
        self.done = False
        self.error: Exception | None = None
        self.waiter: asyncio.Future[None] | None = None

    def start(self) -> None:
        # What was appended since the reader last looked was delivered to nobody: it is read from
        # the log, and what comes from now on is delivered.
        self.backlog_end = self.log.tail
        self.wake()

    def deliver(self, entry: Entry) -> None:
        if not entry.mask & self.mask or (entry.history and not self.history):
            return
        if self.maxsize is not None:
            self._keep(entry, self.maxsize)
        self.wake()

    def settled(self) -> None:
        self.wake()

    def complete(self) -> None:
        self.done = True
        self.wake()
        self.dispose()

    def fail(self, error: Exception) -> None:
        if not self.takes_faults:
            self.error = error
        self.complete()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def wait(self) -> None:
        self.waiter = self.log.source.loop.create_future()
        try:
            await self.waiter
        finally:
            self.waiter = None

    def _keep(self, entry: Entry, maxsize: int) -> None:
        if entry.message_id and entry.key is None:  # its deltas have become pointless
            kept = [v for v in self.buffer if not _is_delta_of(v, entry.message_id)]
            self.buffer = deque(kept)
        for value in self.view(entry):
            if len(self.buffer) < maxsize:
                self.buffer.append(value)
                continue
            self.dropped += 1
            if self.overflow == "drop_oldest":
                self.buffer.popleft()
                self.buffer.append(value)
            elif self.overflow == "error":
                self.error = ReaderTooSlow(
                    f"the reader lagged more than {maxsize} values behind; read faster, raise "
                    "maxsize, or let values be dropped with overflow='drop_oldest'"
                )
                return self.complete()
        return None


def _is_delta_of(value: Any, message_id: str) -> bool:
    value = getattr(value, "value", value)  # a TaskEvent holds one
    return isinstance(value, Message) and (
        value.id == message_id and (value.is_typing() or value.is_thinking())
    )


def check_bound(maxsize: int | None, overflow: str) -> None:
    """Refuse a bound that cannot be.

    Raises:
        ConfigurationError: `maxsize` is less than 1, or `overflow` is none of the three, or says
            what to drop although there is no bound.
    """
    check_count("maxsize", maxsize, optional=True)
    check_choice("overflow", overflow, _OVERFLOWS)
    if maxsize is None and overflow != "error":
        raise ConfigurationError(
            f'overflow="{overflow}" needs a maxsize: without one, no reader ever lags too far'
        )


class Iteration(Generic[T]):
    """An asynchronous iterator over a stream, and the context manager that disposes of it.

    It starts with `async with`, or with the first step. It ends when the latest turn has ended
    (unless told otherwise) and where the stream completes, and raises where the stream fails.
    """

    def __init__(
        self,
        log: TaskLog,
        mask: int,
        view: View,
        *,
        history: bool,
        after: int,
        until_settled: bool,
        maxsize: int | None,
        overflow: Literal["error", "drop_oldest", "drop_newest"],
    ) -> None:
        self._started = self._placed = False
        self._steps = 0
        self._first: Any = None  # the present, which comes before what is read from the log
        check_bound(maxsize, overflow)
        self._reader = _Reader(log, mask, view, history=history, maxsize=maxsize, overflow=overflow)
        self._after = after
        self._unfinished: dict[DeltaKey, int] = {}
        self._until_settled = until_settled
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many values were dropped because the reader was too slow."""
        return self._reader.dropped

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Dispose: nothing is read any more. Idempotent."""
        self._closed = True
        self._reader.dispose()
        self._reader.wake()

    def __del__(self) -> None:
        if self._started:
            self._reader.dispose()

    async def __anext__(self) -> T:
        self._start()
        reader = self._reader
        if reader.waiter is not None:
            raise RuntimeError("an iteration takes one step at a time: make one for each reader")
        # Steps that find something must still let the loop turn: else a reader that has much to
        # catch up with would starve everybody else. Once a value is taken, it may not wait any
        # more: a step that is cancelled would lose it.
        self._steps += 1
        if self._steps % 64 == 0:
            await asyncio.sleep(0)
        while True:
            if self._closed:
                raise StopAsyncIteration
            if reader.log.held and not reader.done:
                await reader.wait()
                continue
            self._place()
            found: T | None = self._take()
            if found is not None:
                return found
            if reader.error is not None:
                error, reader.error = reader.error, None
                await self.aclose()
                raise fresh(error)
            if reader.done or (self._until_settled and reader.log.settled):
                await self.aclose()
                raise StopAsyncIteration
            await reader.wait()

    def _start(self) -> None:
        if self._started:
            return
        self._reader.log.admit(self._reader)
        self._started = True
        if not self._reader.log.held:
            self._place()

    def _place(self) -> None:
        """Begin where the stream begins; in a log that is held, once that is known."""
        reader, log = self._reader, self._reader.log
        if self._placed:
            return
        self._placed = True
        reader.backlog_end = log.tail
        self._unfinished = log.unfinished()
        if not reader.history:
            reader.position = log.tail
        elif reader.mask == UPDATES:
            reader.position = log.tail
            self._first = None if log.latest is None else log.latest[1]
        else:
            reader.position = self._after

    def _take(self) -> Any:
        """Take the next value; None: there is none yet."""
        reader = self._reader
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if reader.maxsize is None:
            return self._next_in_log(None)
        found = self._next_in_log(reader.backlog_end)
        if found is None and reader.buffer:
            return reader.buffer.popleft()
        return found

    def _next_in_log(self, end: int | None) -> Any:
        reader = self._reader
        while (found := reader.log.next_after(reader.position, reader.mask)) is not None:
            entry, index = found
            if end is not None and entry.seq + index > end:
                return None
            if entry.history and not reader.history:
                reader.position = entry.last
                continue
            key = entry.key
            if key is not None and entry.last <= self._unfinished.get(key, 0):
                # Of what was unfinished when the reader came, it gets the text so far as one.
                reader.position = entry.last
                if entry.last < self._unfinished[key]:
                    continue
                merged = reader.log.text_so_far(key, self._after, entry.last)
                return reader.view(merged)[0]
            reader.position = max(entry.seq + index, reader.log.trimmed)
            return reader.view(entry)[index]
        return None
