"""The embedded platform, its feeds shared by way of a real Redis server."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from rxtasks import Client
from rxtasks.hub import RedisHub
from rxtasks.platforms.base import Platform
from tests.conformance.actor import actor
from tests.conformance.script import Stage
from tests.conformance.setups import EVERYTHING, Bench, Can, Counted, Setup, Traffic
from tests.real.redis_server import shared_redis

__all__ = ["HUB_SETUPS"]


class _Process(Client):
    """A client with a hub of its own."""

    def __init__(self, hub: RedisHub, platform: Platform) -> None:
        super().__init__(platform, hub=hub)
        self._own_hub = hub

    async def __aenter__(self) -> Self:
        if not self._entered:
            await self._own_hub.__aenter__()
        return await super().__aenter__()

    async def aclose(self) -> None:
        await super().aclose()
        await self._own_hub.aclose()


@dataclass(frozen=True)
class HubSetup:
    """Another client of the same platform is another process, as far as the hub can tell."""

    name: str = "hub"
    can: frozenset[Can] = EVERYTHING

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        stage = Stage()
        platform = Counted(agents={"actor": actor(stage)})
        platform.traffic, platform.less = Traffic(), {}
        prefix = uuid.uuid4().hex

        def another() -> Client:
            return _Process(RedisHub(shared_redis().url, prefix=prefix), platform)

        async with another() as client:
            yield Bench(client, stage, self.can, another, traffic=platform.traffic)


HUB_SETUPS: tuple[Setup, ...] = (HubSetup(can=EVERYTHING - {Can.TRAFFIC, Can.SEPARATE}),)
