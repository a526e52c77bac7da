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

from tests.integration.relaying import CHUNK, copied, relaying

Fate: TypeAlias = Literal["none", "refuse", "cut", "reset", "stall"]

_STALL = 8.0  # seconds of silence before the connection is cut at last


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
        up = asyncio.ensure_future(copied(reader, up_writer))
        try:
            while data := await up_reader.read(CHUNK):
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


@asynccontextmanager
async def proxy(
    port: int, dice: random.Random, faults: Counter[str], *, rate: float
) -> AsyncIterator[int]:
    """Listen before a port, and give the port to use instead."""
    async with relaying(Proxy(port, dice, faults, rate).handle) as instead:
        yield instead
