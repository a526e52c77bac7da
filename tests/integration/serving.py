"""Servers on loopback: ours, with a client of it, and any application of aiohttp."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from rxtasks import Client
from rxtasks.platforms.base import Platform
from rxtasks.platforms.gateway import Gateway
from rxtasks.platforms.local import Local
from rxtasks.server import Running, serve

__all__ = ["at_socket", "behind", "gateway", "on_loopback", "until"]


@asynccontextmanager
async def behind(platform: Platform, **options: Any) -> AsyncIterator[Running]:
    """Serve a platform, with options of `serve`."""
    async with Client(platform) as client, serve(client, **options) as running:
        yield running


@asynccontextmanager
async def gateway(agents: Mapping[str, Any], **options: Any) -> AsyncIterator[Client]:
    """Serve embedded agents, and give a client that reaches them through the server.

    Args:
        agents: What `Local` takes.
        options: What `Client` takes, for the client that is given.
    """
    async with (
        behind(Local(agents=agents)) as running,
        Client(Gateway(running.url), **options) as client,
    ):
        yield client


@asynccontextmanager
async def on_loopback(app: web.Application, *, port: int = 0, **options: Any) -> AsyncIterator[str]:
    """Serve an application of aiohttp, with options of its runner, and give its URL."""
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def at_socket(app: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    """Serve an application of aiohttp at a socket that stays open after it."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.SockSite(runner, listening.dup()).start()
        yield
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], Any], *, seconds: float = 15.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of any kind
            await asyncio.sleep(0.005)
