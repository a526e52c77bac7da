"""The event streams that are open: positions, heartbeats, slow readers, and the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from rxtasks.errors import (
    AgentNotFound,
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    RxTasksError,
    TaskNotFound,
    UnsupportedOperation,
)
from rxtasks.models.encoding import encode
from rxtasks.platforms.gateway.events import End, Live, Reset, frame
from rxtasks.server.frames import Frames, position_in
from rxtasks.server.kept import KeptTasks
from rxtasks.server.limits import StreamSlots
from rxtasks.server.readers import Audience, Reader
from rxtasks.task import Task

__all__ = ["Counters", "EventStreams"]

_RETRY = b"retry: %d\n\n"  # milliseconds after which a browser comes back
_SOON, _LATER = 1000, 5000  # such milliseconds; all readers of a server that stops spread over them
_HEARTBEAT = b":\n\n"
_RESET, _LIVE, _END = encode(Reset()), encode(Live()), encode(End())
_SWEEP = 0.25  # seconds between looks for readers who have left or need a heartbeat
_NO_USE = (
    TaskNotFound,
    AgentNotFound,
    AuthenticationError,
    ConfigurationError,
    UnsupportedOperation,
    ClientClosed,
)


@dataclass(slots=True)
class Counters:
    """What the server has done so far.

    Attributes:
        requests: Requests that came in, also those that were refused.
        events: Events that were written, counted for each reader.
        open_streams: Event streams that are open now.
        too_slow: Readers that were disconnected since they read too slowly.
    """

    requests: int = 0
    events: int = 0
    open_streams: int = 0
    too_slow: int = 0


class _Gone(Exception):
    """The reader has left, or was too slow."""


class EventStreams:
    """All event streams of one server.

    Attributes:
        stopping: Whether nothing new is taken on.
        counters: What was done so far.
    """

    def __init__(
        self,
        kept: KeptTasks,
        slots: StreamSlots,
        counters: Counters,
        *,
        heartbeat: float,
        max_lag: float,
    ) -> None:
        self.stopping: bool = False
        self._kept = kept
        self._slots = slots
        self.counters: Counters = counters
        self._heartbeat = heartbeat
        self._max_lag = max_lag
        self._audiences: dict[Task, Audience] = {}
        self._open: dict[Reader, None] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def serve(self, request: web.Request, task: Task) -> web.StreamResponse:
        """Tell a task's log from a position on, until the task is deleted or the reader leaves.

        Raises:
            TaskNotFound: There is no such task.
            RateLimited: The caller has too many streams open.
            ClientClosed: The server is stopping.
        """
        with self._slots.one(request):
            return await self._serve(request, task)

    async def _serve(self, request: web.Request, task: Task) -> web.StreamResponse:
        log = task.events.log
        asked = request.headers.get("Last-Event-ID") or request.query.get("after") or None
        if not log.ended:
            await self._look_for(task)
        if log.ended and self._was_told(task, asked):
            return web.Response(status=204)  # the end too: do not come back
        if self._closed:
            raise ClientClosed("the server is stopping")
        audience = self._audience(task)
        reader = Reader(audience, request, asyncio.get_running_loop().time())
        self._enter(reader, audience)
        response = web.StreamResponse(
            # A proxy that collects events would deliver them in clumps.
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        connection = _Connection(request, response, reader, self._max_lag)
        try:
            log.admit(reader)
            await task.ready()  # by now it is known what readers elsewhere were told
            position, backlog = position_in(log, asked), log.tail
            await connection.open()
            await self._tell(connection, audience.frames, position, backlog)
        except (_Gone, ConnectionError):
            pass
        except TimeoutError:
            self.counters.too_slow += 1
            connection.abort()
        finally:
            reader.dispose()
            self._leave(reader, task)
        return response

    async def settle(self, seconds: float) -> None:
        """Wait until what has ended is in the logs that are read, for so many seconds at most."""
        waiting = [asyncio.ensure_future(_settled(task, seconds)) for task in self._audiences]
        await asyncio.gather(*waiting)

    def close(self) -> None:
        """End all streams; readers come back to whatever runs next."""
        self.stopping = self._closed = True
        for reader in list(self._open):
            reader.complete()
        self._kept.clear()

    async def _tell(
        self, connection: _Connection, frames: Frames, position: int | None, backlog: int
    ) -> None:
        reader, log = connection.reader, frames.log
        head = _RETRY % _SOON
        if position is None:
            head += frame(b"reset", _RESET, frames.id(0))
        await connection.write(head)
        reader.position = position or 0
        await self._tell_all(connection, frames, backlog)
        await connection.write(frame(b"live", _LIVE))
        while True:
            await self._tell_all(connection, frames, None)
            if reader.done:
                break
            await reader.wait()
            if reader.beat_due:
                reader.beat_due = False
                await connection.write(_HEARTBEAT)
        if log.ended:
            await connection.write(frame(b"end", _END, frames.id(log.tail)))
        elif self._closed:
            await connection.write(_RETRY % random.randint(_SOON, _LATER))
        await connection.end()

    async def _tell_all(self, connection: _Connection, frames: Frames, last: int | None) -> None:
        """Tell what stands after the reader's position."""
        reader = connection.reader
        while (chunk := frames.after(reader.position, last)).events:
            await connection.write(chunk.data)
            reader.position = chunk.position
            self.counters.events += chunk.events
            await asyncio.sleep(0)  # a long log must not keep the others waiting

    async def _look_for(self, task: Task) -> None:
        """Find out if a task exists of which nothing is known, before a stream is opened."""
        kept = self._kept.keep(task)
        if kept.known:
            return
        try:
            await task.poll()
        except _NO_USE:
            raise
        except RxTasksError:
            return  # it may exist; the stream will tell what is wrong
        kept.known = True

    def _was_told(self, task: Task, asked: str | None) -> bool:
        """Whether a reader of a deleted task was told all; who has read nothing finds no task."""
        log = task.events.log
        position = None if asked is None else position_in(log, asked)
        if position is None:
            raise TaskNotFound(f"the task {task.id} was deleted", status=404)
        return position == log.tail

    # ------------------------------------------------------------------ who is there

    def _audience(self, task: Task) -> Audience:
        audience = self._audiences.get(task)
        if audience is None:
            audience = self._audiences[task] = Audience(task, self.counters)
        return audience

    def _enter(self, reader: Reader, audience: Audience) -> None:
        audience.readers += 1
        self._open[reader] = None
        self.counters.open_streams += 1
        if self._sweeper is None:
            self._sweep_later()

    def _leave(self, reader: Reader, task: Task) -> None:
        audience = self._audiences[task]
        audience.readers -= 1
        if not audience.readers:
            del self._audiences[task]
        del self._open[reader]
        self.counters.open_streams -= 1
        if not self._open and self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if not self._closed:
            self._kept.keep(task).known = not reader.failed

    def _sweep_later(self) -> None:
        delay = min(_SWEEP, self._heartbeat / 2)
        self._sweeper = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep(self) -> None:
        """Look after all streams: one timer is cheaper than one for each of them."""
        now = asyncio.get_running_loop().time()
        for reader in self._open:
            if reader.gone:
                reader.complete()
            elif now - reader.written_at >= self._heartbeat:
                reader.beat_due = True
                reader.wake()
        self._sweep_later()


async def _settled(task: Task, seconds: float) -> None:
    with suppress(TimeoutError, RxTasksError):
        async with asyncio.timeout(seconds):
            if (await task.poll()).is_final:  # else it runs elsewhere, and goes on
                await task.result(timeout=None)


class _Connection:
    """One open stream, as far as writing to it goes; every write is bounded in time."""

    def __init__(
        self, request: web.Request, response: web.StreamResponse, reader: Reader, seconds: float
    ) -> None:
        self.reader = reader
        self._request = request
        self._response = response
        self._seconds = seconds
        self._now: Callable[[], float] = asyncio.get_running_loop().time

    async def open(self) -> None:
        """Send the head."""
        async with asyncio.timeout(self._seconds):
            await self._response.prepare(self._request)
        # HTTP/1.0 knows no chunks. `chunked` of the response says only if they were asked for.
        self.reader.chunked = self._response.headers.get("Transfer-Encoding") == "chunked"

    async def write(self, data: bytes) -> None:
        """Send bytes; it returns when a bounded buffer has taken them."""
        if self._request.transport is None:
            raise _Gone
        async with asyncio.timeout(self._seconds):
            await self._response.write(data)
        self.reader.written_at = self._now()

    async def end(self) -> None:
        """Send the end, so that it can be told from a break."""
        if self._request.transport is None:
            raise _Gone
        async with asyncio.timeout(self._seconds):
            await self._response.write_eof()

    def abort(self) -> None:
        """Break the connection, with all that was not read."""
        if self._request.transport is not None:
            self._request.transport.abort()
