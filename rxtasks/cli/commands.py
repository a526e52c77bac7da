"""Commands about tasks: run, watch, tasks, cancel, respond."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from rxtasks.cli.asking import elsewhere
from rxtasks.cli.settings import UsageError, embedded, token_from
from rxtasks.cli.view import View, view_for
from rxtasks.cli.wording import Seen, clean
from rxtasks.client import Client
from rxtasks.errors import ConfigurationError, RxTasksError
from rxtasks.platforms.gateway import Gateway
from rxtasks.task import Task

__all__ = ["Traffic", "cancel", "follow_or_cancel", "respond", "run_here", "run_there", "tasks"]

_CANCELLING = 5.0


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


async def run_here(agent: str, text: str, *, agents: str | None, path: Path, plain: bool) -> int:
    """Run a task in this process, and show it."""
    view = view_for(sys.stdout, plain=plain)
    async with Client(embedded(agents, path)) as client:
        task = await client.agent(agent).run(text)
        return _ended(view, await follow_or_cancel(task, view), None)


async def run_there(
    agent: str, text: str, *, url: str, token_file: Path | None, plain: bool
) -> int:
    """Run a task on a server, and show it."""
    traffic = Traffic()
    view = view_for(sys.stdout, plain=plain, answering=elsewhere(url, token_file))
    async with _connected(url, token_file, traffic) as client:
        task = await client.agent(agent).run(text)
        view.say(f"task     {task.ref}")
        return _ended(view, await follow_or_cancel(task, view), traffic.requests)


async def watch(ref: str, *, url: str, token_file: Path | None, plain: bool) -> int:
    """Show a task on a server."""
    traffic = Traffic()
    view = view_for(sys.stdout, plain=plain, answering=elsewhere(url, token_file))
    async with _connected(url, token_file, traffic) as client:
        task = client.task(ref)
        await task.poll()  # a server that was never reached is no fault to wait out
        return _ended(view, await view.follow(task), traffic.requests)


async def tasks(agent: str, *, url: str, token_file: Path | None, limit: int) -> int:
    """List tasks on a server."""
    async with _connected(url, token_file) as client:
        async for task in client.agent(agent).tasks(sort="-created_at", limit=limit):
            name = " ".join(clean(task.name or "").split())
            print(f"{task.ref}  {task.status:<9}  {name}".rstrip())
    return 0


async def cancel(ref: str, *, url: str, token_file: Path | None) -> int:
    """Cancel a task on a server."""
    async with _connected(url, token_file) as client:
        task = client.task(ref)
        await task.cancel()
        print(await task.poll())
    return 0


async def respond(
    ref: str, answer: str, *, request: str | None, url: str, token_file: Path | None
) -> int:
    """Answer a request of a task on a server."""
    async with _connected(url, token_file) as client:
        task = client.task(ref)
        if request is None:
            await task.poll()
            waiting = [each.id for each in task.requests]
            if len(waiting) != 1:
                known = ", ".join(waiting) or "nothing"
                raise UsageError(f"the task waits for {known}: name one with --request ID")
            request = waiting[0]
        await task.respond(request, answer)
    return 0


async def follow_or_cancel(task: Task, view: View) -> Seen:
    """Show a task until its turn has ended; being cancelled cancels the task as well."""
    try:
        return await view.follow(task)
    except BaseException:
        # Whatever keeps us from watching: nobody else knows of this task.
        with suppress(RxTasksError, TimeoutError):
            async with asyncio.timeout(_CANCELLING):
                await task.cancel()
        raise


def _ended(view: View, seen: Seen, requests: int | None) -> int:
    view.end(seen, requests)
    return 0 if seen.result.status == "completed" else 1


@asynccontextmanager
async def _connected(
    url: str, token_file: Path | None, traffic: Traffic | None = None
) -> AsyncGenerator[Client, None]:
    factory = None if traffic is None else traffic.session
    try:
        platform = Gateway(url, token=token_from(token_file))
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    async with Client(platform, session_factory=factory) as client:
        yield client
