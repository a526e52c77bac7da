"""Pages of a listing that only goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from rxtasks import Client, Task
from rxtasks.server.listing import ListQuery, page_of
from rxtasks.testing import ScriptedPlatform


class Endless:
    """An agent with tasks without an end, of which some were deleted."""

    def __init__(self, client: Client, *gone: str) -> None:
        self.client = client
        self.gone = gone
        self.listed = 0

    async def tasks(self, **_: Any) -> AsyncGenerator[Task, None]:
        for number in range(1_000_000):
            if (name := f"t{number}") not in self.gone:
                self.listed += 1
                yield self.client.task(name)


async def everything(_: Task) -> bool:
    return True


async def ids(agent: Any, cursor: str | None) -> tuple[list[str], str | None]:
    page = await page_of(agent, ListQuery(limit=2, cursor=cursor), everything)
    return [task.id for task in page.tasks], page.cursor


async def test_a_page_begins_behind_the_last_one() -> None:
    async with Client(ScriptedPlatform([])) as client:
        agent = Endless(client)
        assert await ids(agent, None) == (["t0", "t1"], "2.t1")
        assert await ids(agent, "2.t1") == (["t2", "t3"], "4.t3")
        assert await ids(agent, "2.t7") == (["t8", "t9"], "10.t9")  # others were started meanwhile


async def test_the_last_task_of_a_page_may_be_gone_by_the_next() -> None:
    async with Client(ScriptedPlatform([])) as client:
        agent = Endless(client, "t1")
        assert await ids(agent, "2.t1") == (["t2", "t3"], "3.t3")
        assert agent.listed < 2000, "of a listing that goes on for ever"
