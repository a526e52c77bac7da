"""What all scripted platforms have in common: scripts, faults, streams, and who has asked for what.

A script is a list of steps, `at(seconds, *happenings)`; what begins a turn plays the next one.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from aiohttp import web

from tests.integration.serving import on_loopback

RESET = 0


@dataclass
class Fault:
    """How to answer a request instead of as usual.

    Attributes:
        status: The HTTP status; RESET resets the connection; None: the usual answer, but late.
        body: The body, instead of the usual answer.
        wait: Seconds to wait before that.
    """

    status: int | None = 500
    body: bytes = b'{"message": "the platform is down"}'
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json"
    wait: float = 0.0


@dataclass
class Request:
    time: float
    route: str
    path: str
    body: Any
    headers: dict[str, str]
    query: dict[str, str]


@dataclass
class Step:
    after: float
    happenings: tuple[Any, ...]


def at(after: float, *happenings: Any) -> Step:
    return Step(after, happenings)


class Stream:
    """One connection that carries events."""

    def __init__(self, request: web.Request) -> None:
        self.ended = asyncio.Event()
        self._request = request

    def write(self, data: bytes) -> None:
        transport = self._request.transport
        if transport is not None and not transport.is_closing() and not self.ended.is_set():
            transport.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def cut(self) -> None:
        self.ended.set()
        if self._request.transport is not None:
            self._request.transport.close()

    def finish(self) -> None:
        self.ended.set()


class Scripted:
    """A task of a scripted platform: what happens to it, and who watches."""

    def __init__(self) -> None:
        self.streams: set[Any] = set()
        self.timers: list[asyncio.TimerHandle] = []

    def happen(self, happening: Any) -> None:
        happening(self)

    def play(self, script: Sequence[Step]) -> None:
        loop = asyncio.get_running_loop()
        for step in script:
            for happening in step.happenings:
                if step.after <= 0:
                    self.happen(happening)
                else:
                    self.timers.append(loop.call_later(step.after, self.happen, happening))

    def write(self, data: bytes) -> None:
        for stream in list(self.streams):
            stream.write(data)

    def drop(self) -> None:
        for stream in list(self.streams):
            stream.cut()

    def close(self) -> None:
        for timer in self.timers:
            timer.cancel()
        for stream in list(self.streams):
            stream.finish()


T = TypeVar("T", bound=Scripted)
Answer: TypeAlias = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


class PlatformServer(Generic[T]):
    """Answers.

    Attributes:
        tasks: The tasks by their ids.
        scripts: What each turn plays; the last one again and again.
        faults: Faults by route, used up in order.
        always: Faults by route that stay.
        cuts: After how many events to cut each stream that is opened, used up in order.
        requests: What was asked for.
        on_request: Is told of each request before it is answered.
        most_streams: How many streams were open at once, at most.
    """

    files: frozenset[str] = frozenset()
    """Routes whose bodies are files of any kind."""

    def __init__(self) -> None:
        self.tasks: dict[str, T] = {}
        self.scripts: list[Sequence[Step]] = []
        self.faults: defaultdict[str, list[Any]] = defaultdict(list)
        self.always: dict[str, Any] = {}
        self.cuts: list[int] = []
        self.requests: list[Request] = []
        self.on_request: Callable[[Request], None] = lambda _: None
        self.most_streams = 0
        self.url = ""

    def asked(self, *routes: str) -> list[Request]:
        return [each for each in self.requests if each.route in routes]

    @property
    def open_streams(self) -> int:
        return sum(len(task.streams) for task in self.tasks.values())

    def play_next(self, task: T) -> None:
        if self.scripts:
            task.play(self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0])

    def table(self) -> list[tuple[str, str, str, Answer]]:
        """List what is answered: method, path, name of the route, and how."""
        raise NotImplementedError

    def refusal(self, route: str, request: web.Request) -> web.Response | None:
        """Say no to a request that the platform would not answer."""
        raise NotImplementedError

    async def answer(self, route: str, do: Answer, request: web.Request) -> web.StreamResponse:
        """Answer a request, or fail as is told."""
        body = None
        if request.body_exists and route not in self.files:
            body = await request.json()
        now = asyncio.get_running_loop().time()
        headers, query = dict(request.headers), dict(request.query)
        asked = Request(now, route, request.path, body, headers, query)
        self.requests.append(asked)
        self.on_request(asked)
        queue = self.faults[route]
        fault = queue.pop(0) if queue else self.always.get(route)
        if fault is not None:
            await asyncio.sleep(fault.wait)
            if fault.status == RESET:
                return _reset(request)
            if fault.status is not None:
                return web.Response(
                    status=fault.status,
                    body=fault.body,
                    headers=fault.headers,
                    content_type=fault.kind,
                )
        return self.refusal(route, request) or await do(request, body)

    async def carry(
        self, request: web.Request, stream: Any, task: T, begin: Callable[[], None] = lambda: None
    ) -> web.StreamResponse:
        """Answer with a stream of events, until it ends; `begin` writes what comes first."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        begin()
        task.streams.add(stream)
        self.most_streams = max(self.most_streams, self.open_streams)
        try:
            await stream.ended.wait()
        finally:
            task.streams.discard(stream)
        return response

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Serve on loopback until the block is left."""
        app = web.Application(client_max_size=64 * 2**20)
        app.add_routes(
            [web.route(m, path, self._answering(name, do)) for m, path, name, do in self.table()]
        )
        async with on_loopback(app, handler_cancellation=True, shutdown_timeout=0.1) as self.url:
            try:
                yield
            finally:
                for task in self.tasks.values():
                    task.close()

    def _answering(self, route: str, do: Answer) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await self.answer(route, do, request)

        return answer


def _reset(request: web.Request) -> web.Response:
    assert request.transport is not None
    sock = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()
