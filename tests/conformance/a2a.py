"""A real server of the Agent2Agent protocol, whose agent plays the prompts."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rxtasks import Client
from rxtasks.platforms import A2A
from tests.conformance.setups import EVERYTHING, Bench, Can, Setup
from tests.real.a2a_server import gates, shared_a2a

CANNOT = frozenset(
    {
        Can.THINK,  # the protocol knows no thoughts,
        *(Can.TOOLS, Can.EVERY_STATE),  # no tools,
        Can.OPTIONS,  # no answers to choose from,
        Can.USAGE,  # no tokens and no costs,
        Can.TIMES,  # and no times but that of the latest state
        Can.FINALS,  # it is finished when another one begins, or the task has ended
        *(Can.AGAIN, Can.QUEUE),  # a task ends with its turn
        Can.DELETE,  # tasks are not deleted,
        *(Can.SEARCH, Can.SORT),  # and listed in one order, without a search
        Can.KEYS,  # the server knows none
        Can.TRAFFIC,  # it runs for itself
    }
)


@dataclass(frozen=True)
class A2ASetup:
    """A server for each test, by one binding of the protocol or the other."""

    name: str = "a2a"
    binding: str = "rpc"
    can: frozenset[Can] = EVERYTHING - CANNOT

    @asynccontextmanager
    async def bench(self) -> AsyncIterator[Bench]:
        """Set it up, and take everything down in the end."""
        server = shared_a2a()
        url = f"{server.url(uuid.uuid4().hex)}/{self.binding}"

        def another() -> Client:
            return Client(A2A(url))

        async with gates(server) as stage, another() as client:
            yield Bench(client, stage, self.can, another)


A2A_SETUPS: tuple[Setup, ...] = (A2ASetup(), A2ASetup("a2a-rest", "rest"))
