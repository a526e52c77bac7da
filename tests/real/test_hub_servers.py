"""Real `rxtasks serve` processes behind a balancer: whichever answers, a browser sees the same."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

import aiohttp
import pytest

from rxtasks import AgentMessage, Client
from rxtasks.hub import RedisHub
from rxtasks.models import Gap, Message, TaskUpdate, ThinkingMessage, TypingMessage
from rxtasks.platforms import Gateway, OpenCode, Swarmlord
from rxtasks.platforms.base import Platform
from tests.integration import opencode_server, swarmlord_server
from tests.integration.serving import until
from tests.integration.swarmlord_server import Session, at
from tests.real.balancer import Balancer, balancer
from tests.real.redis_server import RedisServer

pytestmark = pytest.mark.timeout(90)

LEASE = 5.0  # that of `rxtasks serve`
READERS = 6
Event = tuple[int, str, dict[str, Any]]


class Browser:
    """Reads a task's events as an EventSource does: it comes back with the id that it has."""

    def __init__(self, url: str, task: str) -> None:
        self.events: list[Event] = []
        self.epochs: set[str] = set()
        self.connections = 0
        self._url = f"{url}/v1/tasks/{task}/events"
        self._last_id = ""

    async def read(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError):
                    await self._once(session)
                await asyncio.sleep(0.05)

    async def _once(self, session: aiohttp.ClientSession) -> None:
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        async with session.get(self._url, headers=headers) as response:
            self.connections += 1
            event: dict[str, str] = {}
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    event[name] = value
                    continue
                self._take(event)
                event = {}

    def _take(self, event: dict[str, str]) -> None:
        assert event.get("event") not in ("reset", "gap"), event
        if "id" in event:
            self._last_id = event["id"]
            epoch, _, position = event["id"].partition(":")
            self.epochs.add(epoch)
            self.events.append((int(position), event["event"], json.loads(event["data"])))

    def whole(self) -> list[Event]:
        """List all but deltas, of which one that comes back gets several as one."""
        return [
            (position, kind, _told(data) if kind == "update" else data)
            for position, kind, data in self.events
            if kind not in ("typing", "thinking")
        ]

    def has_seen(self, text: str) -> bool:
        return any(data.get("text") == text for _, kind, data in self.events if kind == "agent")

    def problems(self) -> list[str]:
        positions = [position for position, _, _ in self.events]
        wrong = [] if positions == sorted(set(positions)) else ["positions do not increase"]
        final = {data["id"]: data["text"] for _, kind, data in self.events if kind == "agent"}
        for id, text in final.items():
            typed = [d["text"] for _, kind, d in self.events if kind == "typing" and d["id"] == id]
            if not text.startswith("".join(typed)):
                wrong.append(f"of {text!r} was typed {typed}")
        return wrong


def _told(update: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is no part of an update, but known of the task beside it."""
    return {name: update[name] for name in TaskUpdate.__struct_fields__}


@asynccontextmanager
async def processes(count: int, *flags: str, **environment: str) -> AsyncIterator[dict[int, Any]]:
    """Run servers; give them by their ports."""
    found: dict[int, Any] = {}
    try:
        for _ in range(count):
            served = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rxtasks", "serve", "--port=0", *flags),
                env={**os.environ, **environment},
                stdout=asyncio.subprocess.PIPE,
            )
            assert served.stdout is not None
            async with asyncio.timeout(30):
                said = (await served.stdout.readline()).decode()
            found[int(said.rpartition(":")[2])] = served
        yield found
    finally:
        for served in found.values():
            if served.returncode is None:
                served.kill()
            await served.wait()


@asynccontextmanager
async def swarmlord() -> AsyncIterator[tuple[Any, Platform, dict[str, str], str]]:
    """A platform that says thirty things in six seconds; its server, and what reaches it."""
    script = []
    for number in range(30):
        when, id = 0.2 * number + 0.1, f"a{number}"
        script += [
            at(when, partial(Session.begin, id=id)),
            at(when + 0.05, partial(Session.add, id=id, text=f"{number} ")),
            at(when + 0.1, partial(Session.add, id=id, text="yes")),
        ]
    script.append(at(6.3, Session.complete))
    async with swarmlord_server.swarmlord_server() as server:
        server.scripts = [script]
        environment = {"SWARMLORD_API_KEY": swarmlord_server.KEY, "SWARMLORD_URL": server.url}
        yield server, Swarmlord(swarmlord_server.KEY, server.url), environment, "writer"


@asynccontextmanager
async def opencode() -> AsyncIterator[tuple[Any, Platform, dict[str, str], str]]:
    """A platform with one stream for all sessions, that plays a recorded turn in six seconds."""
    async with opencode_server.opencode_server() as server:
        server.gap = 0.1
        password = opencode_server.PASSWORD
        platform = OpenCode(server.url, password=password)
        environment = {"OPENCODE_SERVER_PASSWORD": password, "OPENCODE_URL": server.url}
        yield server, platform, environment, "build"


async def leader(hub: RedisHub, task: str, servers: dict[int, Any]) -> int:
    """Find the port of the server that leads a task."""
    async with asyncio.timeout(20):
        while True:
            for each in await hub.status():
                found = re.search(r"-(\d+)-\w+\.\d+$", each.leader)
                if each.name.endswith(task) and found is not None:
                    return next(p for p, s in servers.items() if s.pid == int(found[1]))
            await asyncio.sleep(0.05)


async def test_a_browser_sees_all_whichever_server_answers_and_one_is_killed(
    playing: Any,
) -> None:
    redis = RedisServer()
    async with AsyncExitStack() as stack:
        stack.callback(redis.close)
        _server, platform, environment, agent_id = await stack.enter_async_context(playing())
        flags = [f"--platform={playing.__name__}", f"--hub={redis.url}"]
        servers = await stack.enter_async_context(processes(3, *flags, **environment))
        front: Balancer = await stack.enter_async_context(balancer(list(servers)))
        hub = await stack.enter_async_context(RedisHub(redis.url))
        client = await stack.enter_async_context(Client(Gateway(front.url)))
        plain = await stack.enter_async_context(Client(platform))

        task = await client.agent(agent_id).run("Go")
        seen: list[Message] = []
        task.messages.subscribe(seen.append)
        readers = [Browser(front.url, task.id) for _ in range(READERS)]
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(each.read()) for each in readers]
            await until(lambda: all(len(each.events) > 4 for each in readers), seconds=30)
            killed = await leader(hub, task.id, servers)
            front.cut()
            await asyncio.sleep(0.5)
            servers[killed].kill()
            await asyncio.sleep(1.0)
            front.cut()

            result = await task.result(timeout=60)
            history = await plain.task(task.ref).get_messages()
            texts = [each.text for each in history if isinstance(each, AgentMessage)]
            await until(lambda: all(each.has_seen(texts[-1]) for each in readers), seconds=20)
            await until(lambda: len({len(each.whole()) for each in readers}) == 1, seconds=20)
            for reading in work:
                reading.cancel()

        assert result.text == texts[-1]
        assert await leader(hub, task.id, servers) != killed
    assert len({frozenset(each.epochs) for each in readers}) == len(readers[0].epochs) == 1
    for each in readers:
        assert each.problems() == []
        assert each.whole() == readers[0].whole()
        assert each.connections >= 3
    shown = [data["text"] for _, kind, data in readers[0].events if kind == "agent"]
    assert shown == texts
    final = [m for m in seen if not isinstance(m, TypingMessage | ThinkingMessage)]
    assert not any(isinstance(each, Gap) for each in seen)
    assert [each.text for each in final if isinstance(each, AgentMessage)] == texts
    assert len(front.taken) == 3


@pytest.fixture(params=[swarmlord, opencode], ids=["swarmlord", "opencode"])
def playing(request: pytest.FixtureRequest) -> Any:
    return request.param
