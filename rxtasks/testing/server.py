"""A server on loopback that fails as it is told to."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from aiohttp import ClientResponse, ClientSession, ClientTimeout, web
from yarl import URL

from rxtasks.arguments import check_count, check_is, check_seconds
from rxtasks.client import Client
from rxtasks.errors import ConfigurationError
from rxtasks.platforms.base import Platform
from rxtasks.platforms.checks import check_platform
from rxtasks.server import serve

__all__ = ["FakeServer"]

# Of one connection each: what is passed on has its own. The guard behind wants its own name.
_OWN = frozenset({"connection", "content-length", "host", "keep-alive", "origin", "server", "date"})
_HOP = _OWN | {"transfer-encoding"}
_NO_LIMIT = ClientTimeout(total=None)


@dataclass(slots=True)
class _Fault:
    """What becomes of some requests to come."""

    kind: Literal["refuse", "cut", "stall"]
    left: int
    on: str
    after: int = 0
    status: int = 0
    retry_after: float | None = None


class FakeServer:
    """Serves a platform over HTTP on loopback, as `rxtasks.server` does, with faults.

    ::

        async with FakeServer(ScriptedPlatform(script)) as server:
            server.refuse(503, times=2)
            server.cut(after=3)
            async with Client(Gateway(server.url)) as client:
                ...

    Each fault is for the next requests that it fits, in the order in which faults are given; all
    others are answered as they should. It has sockets, so it runs in real time.

    Attributes:
        url: Where it is, as in "http://127.0.0.1:8000"; once it is entered.
        requests: What was asked for, as in "GET /v1/agents", what was refused included.
        open_streams: How many event streams are open now.
    """

    def __init__(self, platform: Platform) -> None:
        """Make a server; it listens once it is entered.

        Args:
            platform: What is served: a `ScriptedPlatform`, or a `Local` with agents.

        Raises:
            ConfigurationError: It is no platform.
        """
        check_platform(platform)
        self.url: str = ""
        self.requests: list[str] = []
        self.open_streams: int = 0
        self._platform = platform
        self._faults: list[_Fault] = []
        self._open: set[asyncio.Transport] = set()
        self._behind = ""
        self._stack = AsyncExitStack()

    def refuse(
        self, status: int = 503, *, times: int = 1, retry_after: float | None = None, on: str = ""
    ) -> None:
        """Answer the next requests with a status instead of what they ask for.

        Args:
            status: The status, from 400 to 599.
            times: How many requests.
            retry_after: Seconds that `Retry-After` tells; None: there is no such header.
            on: A part of the requests that are meant, as in "POST" or "/events"; "": any.

        Raises:
            ConfigurationError: That is no status of a failure, or `times` is less than 1.
        """
        check_count("status", status)
        check_seconds("retry_after", retry_after, zero=True, optional=True)
        if not 400 <= status <= 599:
            raise ConfigurationError(f"a refusal has a status from 400 to 599, not {status}")
        self._add(_Fault("refuse", times, on, status=status, retry_after=retry_after))

    def cut(self, after: int = 0, *, times: int = 1, on: str = "/events") -> None:
        """Break the connection of the next event streams.

        Args:
            after: How many events come before that.
            times: How many streams.
            on: A part of the requests that are meant. Of one that has no stream the answer is
                lost, although what it asked for has been done.

        Raises:
            ConfigurationError: `times` is less than 1, or `after` less than 0.
        """
        self._add(_Fault("cut", times, on, after))

    def stall(self, after: int = 0, *, times: int = 1, on: str = "/events") -> None:
        """Let the next event streams fall silent, without an end.

        Args:
            after: How many events come before that.
            times: How many streams.
            on: A part of the requests that are meant. Those that have no stream get no answer.

        Raises:
            ConfigurationError: `times` is less than 1, or `after` less than 0.
        """
        self._add(_Fault("stall", times, on, after))

    def hang_up(self) -> None:
        """Break all connections on which something is under way now."""
        for transport in tuple(self._open):
            transport.abort()

    def _add(self, fault: _Fault) -> None:
        check_count("times", fault.left)
        check_count("after", fault.after, least=0)
        check_is("on", fault.on, str, "a str")
        self._faults.append(fault)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client(self._platform))
            self._behind = (await stack.enter_async_context(serve(client))).url
            self._session = await stack.enter_async_context(
                ClientSession(timeout=_NO_LIMIT, auto_decompress=False)
            )
            runner = web.ServerRunner(
                web.Server(self._answer, handler_cancellation=True), shutdown_timeout=0.0
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hang_up()
        await self._stack.aclose()

    # ------------------------------------------------------------------ answering

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = f"{request.method} {request.path_qs}"
        self.requests.append(asked)
        fault = self._fault_of(asked)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        self._open.add(transport)
        try:
            return await self._pass_on(request, fault)
        finally:
            self._open.discard(transport)

    def _fault_of(self, asked: str) -> _Fault | None:
        for fault in self._faults:
            if fault.on in asked:
                fault.left -= 1
                if not fault.left:
                    self._faults.remove(fault)
                return fault
        return None

    async def _pass_on(self, request: web.BaseRequest, fault: _Fault | None) -> web.StreamResponse:
        if fault is not None and fault.kind == "refuse":
            wait = fault.retry_after
            headers = None if wait is None else {"Retry-After": f"{wait:g}"}
            return web.Response(status=fault.status, headers=headers)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _OWN}
        async with self._session.request(
            request.method,
            URL(self._behind + request.raw_path, encoded=True),
            headers=headers,
            data=await request.read() or None,
            allow_redirects=False,
        ) as answer:
            shown = {key: value for key, value in answer.headers.items() if key.lower() not in _HOP}
            if answer.content_type == "text/event-stream":
                return await self._stream(request, answer, shown, fault)
            body = await answer.read()
            if fault is not None:
                await self._break(request, fault)
            return web.Response(status=answer.status, headers=shown, body=body)

    async def _stream(
        self,
        request: web.BaseRequest,
        answer: ClientResponse,
        headers: dict[str, str],
        fault: _Fault | None,
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        self.open_streams += 1
        try:
            left = math.inf if fault is None else fault.after
            rest = b""
            while left and (chunk := await answer.content.readany()):
                *blocks, rest = (rest + chunk).split(b"\n\n")
                for block in blocks:
                    if not left:
                        break
                    await response.write(block + b"\n\n")
                    left -= b"data:" in block
            if fault is not None:
                await self._break(request, fault)
        except ConnectionError:
            pass  # the reader has left
        finally:
            self.open_streams -= 1
        return response

    async def _break(self, request: web.BaseRequest, fault: _Fault) -> None:
        if fault.kind == "stall":
            await asyncio.Event().wait()  # until the client leaves, or the server is left
        if request.transport is not None:
            request.transport.abort()
