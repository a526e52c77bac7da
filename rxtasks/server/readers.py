"""The readers of one task's log: those who have read everything are told at once, all together.

A reader begins in a task of its own, which writes what stands in the log and waits where the
connection is slow. As soon as it has read everything it joins the others: what comes then is put
together once and handed to the transport of each of them, without a task being woken. A reader
whose transport still holds much goes back to its own task, from where it stands.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiohttp import web

from rxtasks.models import FatalFault
from rxtasks.server.frames import Frames
from rxtasks.streams.entry import EVENTS, Entry
from rxtasks.streams.subscription import LogReader
from rxtasks.task import Task

__all__ = ["Audience", "Reader"]

_HIGH = 64 * 2**10  # bytes that a transport may hold before its reader is waited for


class _Counts(Protocol):
    events: int


class Audience:
    """All readers of one task.

    Attributes:
        frames: The task's log as events.
        readers: How many there are.
    """

    def __init__(self, task: Task, counters: _Counts) -> None:
        self.frames: Frames = Frames(task)
        self.readers: int = 0
        self._counters = counters
        self._position = 0  # where all those stand who have joined
        self._joined: dict[Reader, None] = {}
        self._due = False

    def join(self, reader: Reader) -> None:
        """Let a reader in that has read everything there is."""
        self._tell()  # the others too: so all stand at the end of the log
        self._position = max(self._position, reader.position)
        self._joined[reader] = None

    def leave(self, reader: Reader) -> None:
        """Let a reader go on by itself, from where it stands."""
        if reader in self._joined:
            del self._joined[reader]
            reader.position = self._position

    def has(self, reader: Reader) -> bool:
        """Whether a reader is told along with the others."""
        return reader in self._joined

    def tell_soon(self) -> None:
        """Tell what has come, in the next turn of the loop: by then there may be more."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._due = False
        while self._joined and (chunk := self.frames.after(self._position)).events:
            framed = b"%x\r\n%b\r\n" % (len(chunk.data), chunk.data)
            now = asyncio.get_running_loop().time()
            for reader in tuple(self._joined):
                if reader.push(chunk.data, framed, now):
                    self._counters.events += chunk.events
                else:
                    self.leave(reader)
                    reader.wake()
            self._position = chunk.position


class Reader(LogReader):
    """Retains a task's feed for one connection, and wakes it when there is something to do.

    Attributes:
        position: Up to where it has read; while it has joined the audience, that knows better.
        done: Nothing more will come.
        failed: A fatal fault was the last thing that came.
        beat_due: Nothing was written for so long that a heartbeat is due.
        written_at: When something was written last, by the loop's clock.
    """

    __slots__ = (
        "_audience",
        "_request",
        "beat_due",
        "chunked",
        "done",
        "failed",
        "position",
        "waiter",
        "written_at",
    )

    def __init__(self, audience: Audience, request: web.Request, now: float) -> None:
        super().__init__(audience.frames.log, EVENTS, Entry.as_events, history=True)
        self._audience = audience
        self._request = request
        self.waiter: asyncio.Future[None] | None = None
        self.position: int = 0
        self.chunked: bool = True
        self.done: bool = False
        self.failed: bool = False
        self.beat_due: bool = False
        self.written_at: float = now

    @property
    def gone(self) -> bool:
        """Whether the connection is closed."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    def start(self) -> None:
        """Let the connection look: what came before this was not delivered here."""
        self.wake()

    def deliver(self, entry: Entry) -> None:
        """Let the connection look, or the audience."""
        self.failed = self.failed or isinstance(entry.values[0], FatalFault)
        if self._audience.has(self):
            self._audience.tell_soon()
        else:
            self.wake()

    def push(self, data: bytes, framed: bytes, now: float) -> bool:
        """Hand bytes to the transport, unless it is closed or still holds much."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > _HIGH:
            return False
        transport.write(framed if self.chunked else data)
        self.written_at = now
        return True

    def complete(self) -> None:
        """Let the connection end, when it has told everything."""
        self.done = True
        self.wake()
        self.dispose()

    def wake(self) -> None:
        """Let the connection look."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def wait(self) -> None:
        """Wait, along with the others, until something happens that the audience cannot do."""
        self.waiter = asyncio.get_running_loop().create_future()
        self._audience.join(self)
        try:
            await self.waiter
        finally:
            self.waiter = None
            self._audience.leave(self)
