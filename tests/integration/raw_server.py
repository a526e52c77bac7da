"""An HTTP server that answers byte by byte as it is told, also wrongly. It runs no asyncio task."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias, TypeVar

Step: TypeAlias = bytes | float | Literal["close", "reset"]
"""Bytes to send, seconds to wait, or how to end the connection."""
Answer: TypeAlias = list[Step]

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
OPEN: bytes = SSE + b"Connection: close\r\n\r\n"  # the body ends with the connection
CHUNKED: bytes = SSE + b"Transfer-Encoding: chunked\r\n\r\n"
NO_CONTENT: bytes = b"HTTP/1.1 204 No Content\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class RawServer:
    """Gives each request the next answer; the last one again and again."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []
        self.connections: set[_Connection] = set()
        self.made = 0
        self.port = 0
        self._asked = asyncio.Event()
        self._listening: asyncio.Server | None = None

    async def listen(self, port: int = 0) -> None:
        """Take connections."""
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port)
        self._listening, self.port = listening, listening.sockets[0].getsockname()[1]

    def hang_up(self) -> None:
        """Refuse connections, and break those that stand."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for connection in list(self.connections):
            connection.transport.abort()

    def ask(self, request: str) -> Answer:
        self.requests.append(request)
        self._asked.set()
        return list(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    async def asked(self, times: int = 1) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(5):
            while len(self.requests) < times:
                self._asked.clear()
                await self._asked.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def header(self, name: str, request: int = -1) -> str | None:
        for line in self.requests[request].split("\r\n\r\n")[0].split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None


Served = TypeVar("Served", bound=RawServer)


class _Connection(asyncio.Protocol):
    def __init__(self, server: RawServer) -> None:
        self.server = server
        self.received = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.made += 1
        self.server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line[15:])
        if len(body) >= length:
            self.received = body[length:]
            self.go_on(self.server.ask((head + end + body[:length]).decode()))

    def go_on(self, steps: Answer) -> None:
        while steps and not self.transport.is_closing():
            match steps.pop(0):
                case "close":
                    self.transport.close()
                case "reset":
                    linger = struct.pack("ii", 1, 0)
                    sock = self.transport.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.transport.abort()
                case bytes() as data:
                    self.transport.write(data)
                case seconds:
                    loop = asyncio.get_running_loop()
                    self.timer = loop.call_later(seconds, self.go_on, steps)
                    return


@asynccontextmanager
async def raw_server(*answers: Answer, port: int = 0) -> AsyncIterator[RawServer]:
    """Serve on loopback until the block is left."""
    async with serving(RawServer(answers), port=port) as server:
        yield server


@asynccontextmanager
async def serving(server: Served, *, port: int = 0) -> AsyncIterator[Served]:
    """Let a server listen on loopback until the block is left."""
    await server.listen(port)
    try:
        yield server
    finally:
        server.hang_up()
        await asyncio.sleep(0)


def free_port() -> int:
    """Find a port where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def assert_no_tasks() -> None:
    """Nothing runs but the test itself."""
    assert len(asyncio.all_tasks()) == 1
