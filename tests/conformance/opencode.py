"""A real OpenCode server, whose language model plays the prompts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rxtasks import AgentNotFound, Client, RxTasksError
from rxtasks.platforms import OpenCode
from tests.conformance.script import Stage, prompt, types
from tests.conformance.setups import EVERYTHING, Bench, Can, Setup
from tests.real.model import model
from tests.real.opencode_server import shared_server

CANNOT = frozenset(
    {
        Can.EVERY_STATE,  # what is told before somebody listens is not told again
        Can.KEYS,  # the server knows none
        Can.CATCH_UP,  # it stores a text when it is finished, and its stream repeats nothing
        Can.TRAFFIC,  # it runs for itself
    }
)


@dataclass(frozen=True)
class OpenCodeSetup:
    """One server for all tests: each begins and ends without a session."""

    name: str = "opencode"
    can: frozenset[Can] = EVERYTHING - CANNOT

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        """Set it up, and take everything down in the end."""
        stage, server = Stage(), shared_server()

        def another() -> Client:
            return Client(OpenCode(server.url))

        async with model(server.listening, stage):
            try:
                async with another() as client:
                    yield Bench(client, stage, self.can, another, no_task="ses_nothing", many=12)
            finally:
                async with another() as client:
                    await _clear(client)


async def _clear(client: Client) -> None:
    with contextlib.suppress(AgentNotFound):
        for agent in await client.platform.list_agents():  # type: ignore[attr-defined]
            async for task in client.agent(agent.id).tasks():
                with contextlib.suppress(RxTasksError):
                    await task.end()


def warm_up() -> None:
    """Start the server and let it answer once, which takes it seconds the first time."""

    async def answer() -> None:
        async with OpenCodeSetup().bench() as bench:
            task = await bench.agent.run(prompt(types("a")))
            await task.result(timeout=30.0)

    asyncio.run(answer())


OPENCODE_SETUPS: tuple[Setup, ...] = (OpenCodeSetup(),)
