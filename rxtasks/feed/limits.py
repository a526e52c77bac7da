"""What all tasks of a client share: the loop, the budget, and the places for polls and streams."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from rxtasks.errors import ClientClosed
from rxtasks.feed.cadence import Budget, Cadence

__all__ = ["Limits", "StreamUser"]

_logger = logging.getLogger("rxtasks.feed")

_PATIENCE = 10.0  # seconds for adapters to end what was cancelled


class StreamUser(Protocol):
    """Waits for a place for its stream."""

    def stream_place_free(self) -> None:
        """A place is free: take it, if it is still wanted."""
        ...


class Limits:
    """Shared by the feeds of one client.

    Attributes:
        cadence: The pace of all tasks.
        budget: How much they are slowed down.
        closing: The client is being closed, or is closed.
    """

    def __init__(self, cadence: Cadence, *, max_polls: int, max_streams: int) -> None:
        self.cadence = cadence
        self.budget: Budget = Budget()
        self.closing: bool = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._max_polls = max_polls
        self._max_streams = max_streams
        self._polling = 0
        self._waiting: deque[Callable[[], bool]] = deque()
        self._streaming: set[StreamUser] = set()
        self._stream_queue: dict[StreamUser, None] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        # Timers and tasks of a feed serve all observers: none of them may see the context
        # variables of the observer that happened to come first.
        self.context: contextvars.Context = contextvars.Context()

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind to the loop of the client."""
        self._loop = loop

    def close(self) -> None:
        """Begin to close: nothing new is let in."""
        self.closing = True

    async def aclose(self) -> None:
        """Wait for what is being torn down, then refuse everything."""
        self.closing = True
        end = self.now() + _PATIENCE
        while self._tasks and self.now() < end:
            await asyncio.wait(self._tasks, timeout=_PATIENCE)
        for task in self._tasks:
            _logger.warning("closing does not wait for %r, which was cancelled and goes on", task)
        self._loop = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the client.

        Raises:
            ClientClosed: It is closed, or was never entered.
        """
        if self._loop is None:
            raise ClientClosed(
                "the client has been closed: make a new one"
                if self.closing
                else "the client is not open: use it inside `async with Client(...) as client:`"
            )
        return self._loop

    def check_open(self) -> None:
        """Refuse to go on without an open client.

        Raises:
            ClientClosed: It is closed or being closed, or was never entered.
            RuntimeError: This is another event loop than the client's.
        """
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError(
                "a client is used on the event loop that it was entered on; from another thread, "
                "use asyncio.run_coroutine_threadsafe(..., loop)"
            )
        if self.closing:
            raise ClientClosed("the client is being closed: make a new one")

    def now(self) -> float:
        """The time of the loop, in seconds."""
        return (self._loop or self.loop).time()

    def at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back at a time of the loop."""
        return self.loop.call_at(when, callback, context=self.context)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something in the background, held until it is done.

        A task is made directly, since an eager task factory would let it emit before `subscribe`
        has returned.
        """
        task = asyncio.Task(work, loop=self.loop, context=self.context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._loop:
            self._loop.call_exception_handler(
                {"message": "a feed has crashed", "exception": error, "task": task}
            )

    # ------------------------------------------------------------------ polls

    def submit(self, launch: Callable[[], bool]) -> None:
        """Launch a poll now, or when a place is free.

        Args:
            launch: Starts the poll and returns True, or returns False if it is not wanted any
                more. Whoever started one calls `polled` when it is done.
        """
        if self._polling >= self._max_polls:
            self._waiting.append(launch)
        elif launch():
            self._polling += 1

    def polled(self) -> None:
        """A poll is done: its place is free."""
        self._polling -= 1
        while self._waiting and self._polling < self._max_polls:
            if self._waiting.popleft()():
                self._polling += 1

    # ------------------------------------------------------------------ streams

    def acquire_stream(self, user: StreamUser) -> bool:
        """Take a place for a stream, or be told when one is free."""
        if user in self._streaming:
            return True
        if len(self._streaming) < self._max_streams:
            self._streaming.add(user)
            self._stream_queue.pop(user, None)
            return True
        self._stream_queue[user] = None
        return False

    def release_stream(self, user: StreamUser) -> None:
        """Give a place for a stream back, or stop waiting for one."""
        self._stream_queue.pop(user, None)
        self._streaming.discard(user)
        while self._stream_queue and len(self._streaming) < self._max_streams:
            waiting = next(iter(self._stream_queue))
            del self._stream_queue[waiting]
            waiting.stream_place_free()
