"""A server in front of another one, to be killed: `python gate.py URL PORT [TOKEN]`."""

from __future__ import annotations

import asyncio
import sys

from rxtasks import Client
from rxtasks.platforms.gateway import Gateway
from rxtasks.server import serve


async def main(url: str, port: str, token: str | None = None) -> None:
    async with (
        Client(Gateway(url)) as client,
        serve(client, port=int(port), token=token) as running,
    ):
        print(running.port, flush=True)
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
