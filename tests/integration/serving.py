"""A server on loopback and a client of it, for tests that want both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from rxtasks import Client
from rxtasks.platforms.base import Platform
from rxtasks.platforms.gateway import Gateway
from rxtasks.platforms.local import Local
from rxtasks.server import Running, serve

__all__ = ["behind", "gateway", "until"]


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


async def until(condition: Callable[[], Any], *, seconds: float = 5.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of any kind
            await asyncio.sleep(0.005)
