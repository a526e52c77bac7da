"""A hub and a platform that has one stream for all tasks of a client, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rxtasks import AgentMessage, Client, Task, TaskEvent, ToolMessage
from rxtasks.models import TypingMessage
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, status, tool, typing
from tests.unit.memory_hub import MemoryHub

pytestmark = pytest.mark.looptime

TASKS = 5
SHARED = Capabilities(stream="everything", resume="none", stream_scope="client")
SCRIPT = [
    at(0.1, status("running")),
    at(0.5, agent("m1", "one")),
    at(1.0, tool("t1", "look", "running")),
    at(2.0, typing("m2", "two ")),
    at(3.0, typing("m2", "three")),
    at(4.0, tool("t1", "look", "completed", "found")),
    at(5.0, agent("m2", "two three")),
    at(5.1, status("completed")),
]


class Seen:
    """Some tasks, each watched by two clients."""

    def __init__(self, platform: ScriptedPlatform, hub: MemoryHub, tasks: list[list[Task]]) -> None:
        self.platform, self.hub, self.tasks = platform, hub, tasks
        self.events: list[list[list[TaskEvent]]] = [[[] for _ in twins] for twins in tasks]

    def watch(self, number: int, which: int) -> Any:
        return self.tasks[number][which].events.subscribe(self.events[number][which].append)

    async def check(self) -> None:
        """Hold what was seen to what has happened."""
        twins = [twin for pair in self.tasks for twin in pair]
        results = await asyncio.gather(*(task.result(timeout=60) for task in twins))
        assert [result.text for result in results] == ["two three"] * len(twins)
        await asyncio.sleep(1.0)
        for one, other in self.events:
            assert one == other
            assert [e.seq for e in one] == sorted({e.seq for e in one})
            values = [event.value for event in one]
            texts = [each.text for each in values if isinstance(each, AgentMessage)]
            assert texts == ["one", "two three"]
            states = [each.status.value for each in values if isinstance(each, ToolMessage)]
            assert states == ["running", "completed"]
            typed = "".join(each.text for each in values if isinstance(each, TypingMessage))
            assert "two three".startswith(typed)


@asynccontextmanager
async def watched() -> AsyncIterator[Seen]:
    platform, hub = ScriptedPlatform(SCRIPT, capabilities=SHARED), MemoryHub()
    async with Client(platform, hub=hub) as first, Client(platform, hub=hub) as second:
        tasks = [await first.agent("a").run("go") for _ in range(TASKS)]
        yield Seen(platform, hub, [[task, second.task(task.ref)] for task in tasks])
    assert platform.open_streams == 0


async def test_one_client_leads_and_one_connection_is_enough() -> None:
    async with watched() as seen:
        for number in range(TASKS):
            seen.watch(number, 0)
        for number in range(TASKS):
            seen.watch(number, 1)
        await seen.check()
        assert len(seen.platform.streams) == 1
        assert seen.hub.token == TASKS


async def test_each_client_may_lead_some() -> None:
    async with watched() as seen:
        for number in range(TASKS):
            seen.watch(number, number % 2)
        await asyncio.sleep(0.2)
        for number in range(TASKS):
            seen.watch(number, 1 - number % 2)
        await seen.check()
        assert len(seen.platform.streams) == 2
        assert seen.hub.token == TASKS


@pytest.mark.parametrize("when", [0.3, 0.7, 1.5, 2.5, 4.5, 5.05])
@pytest.mark.parametrize("how", ["fenced", "left"])
async def test_another_client_goes_on_with_a_connection_of_its_own(how: str, when: float) -> None:
    async with watched() as seen:
        first = [seen.watch(number, 0) for number in range(TASKS)]
        for number in range(TASKS):
            seen.watch(number, 1)
        await asyncio.sleep(when)
        if how == "fenced":
            seen.hub.fence()
        else:
            for subscription in first:
                subscription.dispose()
            await asyncio.sleep(1.0)
            for number in range(TASKS):
                stream = seen.tasks[number][0].events
                log = seen.events[number][0]
                stream.after(log[-1].seq).subscribe(log.append)
        await asyncio.sleep(0.1)
        assert seen.platform.open_streams <= 1
        await seen.check()
        assert seen.hub.token == 2 * TASKS
