"""A proxy on loopback that breaks connections."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal, TypeAlias

Fate: TypeAlias = Literal["none", "refuse", "cut", "reset", "stall"]

_STALL = 8.0  # seconds of silence before the connection is cut at last
_CHUNK = 4096


class Proxy:
    """Passes bytes on to a port, until it breaks the connection."""

    def __init__(self, port: int, dice: random.Random, faults: Counter[str], rate: float) -> None:
        self._port = port
        self._dice = dice
        self._faults = faults
        self._rate = rate

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        fate: Fate = "none"
        if self._dice.random() < self._rate:
            fates: list[Fate] = ["refuse", "cut", "cut", "cut", "reset", "reset", "stall"]
            fate = self._dice.choice(fates)
        budget = self._dice.choice([0, 100, 600, 3000, 20000])
        try:
            if fate == "refuse":
                self._faults["connection refused"] += 1
                return
            await self._pass(reader, writer, fate, budget)
        except OSError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fate: Fate, budget: int
    ) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        up = asyncio.ensure_future(_copy(reader, up_writer))
        try:
            while data := await up_reader.read(_CHUNK):
                if fate != "none" and len(data) > budget:
                    writer.write(data[:budget])
                    await self._break(writer, fate)
                    return
                budget -= len(data)
                writer.write(data)
                await writer.drain()
        finally:
            up.cancel()
            up_writer.close()
            with contextlib.suppress(OSError):
                await up_writer.wait_closed()

    async def _break(self, writer: asyncio.StreamWriter, fate: Fate) -> None:
        self._faults[f"connection {fate}"] += 1
        if fate == "stall":
            await asyncio.sleep(_STALL)
        elif fate == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxy(
    port: int, dice: random.Random, faults: Counter[str], *, rate: float
) -> AsyncIterator[int]:
    """Listen before a port, and give the port to use instead."""
    made = Proxy(port, dice, faults, rate)
    serving: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        # asyncio complains of a handler that ends by being cancelled, as it is in the end.
        with contextlib.suppress(asyncio.CancelledError):
            await made.handle(reader, writer)
        serving.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
