"""A balancer on loopback: each connection goes to the next server that takes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from tests.integration.relaying import CHUNK, copied, relaying

__all__ = ["Balancer", "Scissors", "balancer", "scissors"]

B = TypeVar("B", bound="Balancer")


class Balancer:
    """Passes bytes on, and can cut connections.

    Attributes:
        url: Where it listens.
        port: The same.
        taken: How many connections went to each port.
    """

    def __init__(self, ports: list[int]) -> None:
        self.url = ""
        self.port = 0
        self.taken: Counter[int] = Counter()
        self._ports = ports
        self._turn = 0
        self._open: dict[asyncio.StreamWriter, None] = {}

    def cut(self) -> None:
        """Cut all connections, as one that is reloaded would."""
        for writer in tuple(self._open):
            writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            up_reader, up_writer = await self._next()
        except OSError:
            writer.transport.abort()
            return
        self._open[writer] = None
        up = asyncio.ensure_future(copied(reader, up_writer))
        down = asyncio.ensure_future(self.answer(up_reader, writer))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First of all, since this may be cancelled while it waits.
            del self._open[writer]
            for each in (writer, up_writer):
                each.transport.abort()
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes back over one connection."""
        await copied(reader, writer)

    async def _next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in self._ports:
            port = self._ports[self._turn % len(self._ports)]
            self._turn += 1
            with contextlib.suppress(OSError):
                found = await asyncio.open_connection("127.0.0.1", port)
                self.taken[port] += 1
                return found
        raise OSError("no server takes connections")


class Scissors(Balancer):
    """Cuts event streams after so many bytes, each at its own place, until none is left.

    Attributes:
        after: After how many bytes the next ones are cut.
    """

    def __init__(self, port: int, after: Sequence[int]) -> None:
        super().__init__([port])
        self.after = list(after)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if b"text/event-stream" in data and self.after:
                left = self.after.pop(0)
                while data and left > 0:
                    writer.write(data[:left])
                    await writer.drain()
                    left -= len(data)
                    data = await reader.read(CHUNK) if left > 0 else b""
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def balancer(ports: list[int]) -> AsyncIterator[Balancer]:
    """Listen before some ports."""
    async with listening(Balancer(ports)) as made:
        yield made


@asynccontextmanager
async def scissors(port: int, after: Sequence[int]) -> AsyncIterator[Scissors]:
    """Listen before a port, and cut."""
    async with listening(Scissors(port, after)) as made:
        yield made


@asynccontextmanager
async def listening(made: B) -> AsyncIterator[B]:
    """Let one listen."""
    async with relaying(made.handle) as made.port:
        made.url = f"http://127.0.0.1:{made.port}"
        yield made
