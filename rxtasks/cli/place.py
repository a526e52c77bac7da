"""A client for the tasks of a command, and how others reach the same tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from rxtasks.cli.asking import Answering
from rxtasks.cli.options import Reach
from rxtasks.cli.reaching import command, platform_at
from rxtasks.cli.settings import UsageError
from rxtasks.client import AgentHandle, Client
from rxtasks.errors import ConfigurationError
from rxtasks.platforms.local import Local
from rxtasks.task import Task

__all__ = ["Place", "Traffic", "place_at"]


class Traffic:
    """Counts the requests of the sessions that it makes."""

    def __init__(self) -> None:
        self.requests: int = 0

    def session(self) -> aiohttp.ClientSession:
        """Make a session whose requests are counted."""
        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(self._count)
        return aiohttp.ClientSession(trace_configs=[tracing])

    async def _count(self, *details: object) -> None:
        del details
        self.requests += 1


@dataclass(frozen=True)
class Place:
    """A client, and how others reach its tasks.

    Attributes:
        client: The client.
        reach: Where its tasks are; None: in this process, and nobody else reaches them.
        traffic: Counts its requests; None: they are not counted.
    """

    client: Client
    reach: Reach | None = None
    traffic: Traffic | None = None

    @property
    def requests(self) -> int | None:
        """How many requests there were."""
        return None if self.traffic is None else self.traffic.requests

    @property
    def can_answer(self) -> bool:
        """Whether what an agent asks can be answered from here."""
        return self.client.platform.capabilities.respond

    def answering(self) -> Answering | None:
        """Name the command that answers a task; None: nobody else can answer it."""
        reach = self.reach
        return None if reach is None else lambda task: self._answer(task, reach)

    def _answer(self, task: Task, reach: Reach) -> str:
        if not self.can_answer:
            return f"where {self.client.platform.name} asks for it, since it takes none from here"
        request = ["--request", task.requests[0].id] if len(task.requests) > 1 else []
        return command("respond", reach, task.ref, "ANSWER", options=request)

    def handle(self, agent: str, *, workforce: bool) -> AgentHandle:
        """Name an agent, or a workforce."""
        return self.client.workforce(agent) if workforce else self.client.agent(agent)

    def task(self, ref: str) -> Task:
        """Open a task.

        Raises:
            UsageError: The platform needs its agent, too.
        """
        try:
            return self.client.task(ref)
        except ConfigurationError as error:
            if not self.client.platform.capabilities.needs_agent:
                raise
            name = self.client.platform.name
            wanted = f"{name} needs the agent of a task as well: agent/AGENT/{ref}"
            raise UsageError(wanted) from error


@asynccontextmanager
async def place_at(reach: Reach, here: Local | None = None) -> AsyncGenerator[Place, None]:
    """Enter a client.

    Args:
        reach: Where its tasks are.
        here: The embedded platform, instead.

    Raises:
        UsageError: Something is missing, or cannot be used.
    """
    if here is not None:
        async with Client(here) as client:
            yield Place(client)
        return
    platform = platform_at(reach)
    # Only those of a gateway: its requests are safe to repeat, which a plain session may need.
    traffic = Traffic() if platform.name == "gateway" else None
    factory = None if traffic is None else traffic.session
    async with Client(platform, session_factory=factory) as client:
        yield Place(client, reach, traffic)
