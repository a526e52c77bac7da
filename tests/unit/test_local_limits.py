"""How many turns run at once, for how long one may, and what may be deleted for its age."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rxtasks import Client, ConfigurationError, Task, TaskNotFound, TaskStatus
from rxtasks.local import Context, message, typing
from rxtasks.local.limits import Slots
from rxtasks.platforms import Local


class Gates:
    """Agents that wait until they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.open: dict[str, asyncio.Event] = {}

    async def wait(self, ctx: Context) -> Any:
        self.begun.append(ctx.text)
        await self.open.setdefault(ctx.text, asyncio.Event()).wait()
        yield message("done")

    async def ask(self, ctx: Context) -> Any:
        self.begun.append(ctx.text)
        yield message(await ctx.ask("Well?"))
        await self.open.setdefault(ctx.text, asyncio.Event()).wait()

    def let(self, name: str) -> None:
        self.open.setdefault(name, asyncio.Event()).set()


@asynccontextmanager
async def limited(**limits: Any) -> AsyncIterator[tuple[Client, Gates]]:
    gates = Gates()
    async with Client(Local({"wait": gates.wait, "ask": gates.ask}, **limits)) as client:
        yield client, gates


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def status(task: Task) -> TaskStatus:
    return await task.poll()


async def test_no_more_turns_run_at_once_than_may_and_who_comes_first_goes_first() -> None:
    async with limited(max_running=2) as (client, gates):
        agent = client.agent("wait")
        tasks = [await agent.run(name) for name in "abcd"]
        await turns()

        assert gates.begun == ["a", "b"]
        assert [await status(each) for each in tasks] == ["running", "running", "queued", "queued"]
        gates.let("b")
        assert (await tasks[1].result()).status == "completed"
        await turns()
        assert gates.begun == ["a", "b", "c"]
        await tasks[3].cancel()
        assert await status(tasks[3]) is TaskStatus.CANCELLED
        gates.let("a")
        gates.let("c")
        assert [(await each.result()).status for each in (tasks[0], tasks[2])] == ["completed"] * 2
        await turns()
        assert gates.begun == ["a", "b", "c"]


async def test_who_waits_for_an_answer_takes_no_place() -> None:
    async with limited(max_running=1) as (client, gates):
        asking = await client.agent("ask").run("a")
        await turns()
        waiting = await client.agent("wait").run("b")
        await turns()
        assert (await status(asking), await status(waiting)) == ("action", "running")

        third = await client.agent("wait").run("c")
        await asking.respond(asking.requests[0].id, "yes")
        await turns()
        assert await status(asking) is TaskStatus.RUNNING
        gates.let("b")
        await waiting.result()
        await turns()
        assert await status(third) is TaskStatus.QUEUED  # the one that was answered still runs
        gates.let("a")
        await asking.result()
        await turns()
        assert gates.begun == ["a", "b", "c"]
        gates.let("c")
        await third.result()


async def test_a_place_that_was_given_to_who_gave_up_goes_to_the_next() -> None:
    slots = Slots(1)
    await slots.acquire()
    first, second = (asyncio.ensure_future(slots.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    slots.release()
    first.cancel()
    await asyncio.wait([first, second], timeout=1)

    assert first.cancelled()
    assert second.done()
    assert not second.cancelled()


@pytest.mark.looptime
async def test_a_turn_that_takes_too_long_is_an_error_that_says_so() -> None:
    async def slow(ctx: Context) -> Any:
        yield typing("half")
        await asyncio.sleep(60)

    async def stubborn(ctx: Context) -> Any:
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                seen.append(ctx.cancelled)
        yield message("too late")

    seen: list[bool] = []
    loop = asyncio.get_running_loop()
    platform = Local({"slow": slow, "stubborn": stubborn}, time_limit=10)
    async with Client(platform) as client:
        began = loop.time()
        result = await (await client.agent("slow").run("go")).result()
        took = loop.time() - began
        other = await (await client.agent("stubborn").run("go")).result()

    assert (result.status, result.text) == ("error", "half")
    assert result.error == "TimeoutError: the turn has taken longer than its 10 seconds"
    assert took == pytest.approx(10, abs=1)
    assert (other.status, other.error) == ("error", result.error)
    assert seen == [True, True]


@pytest.mark.looptime
async def test_the_time_in_which_a_turn_waits_does_not_count() -> None:
    async def agent(ctx: Context) -> Any:
        await asyncio.sleep(6)
        yield message(await ctx.ask("Well?"))
        await asyncio.sleep(6 if ctx.text == "long" else 3)

    async with Client(Local({"agent": agent}, time_limit=10, max_running=1)) as client:
        results = []
        for text in ("short", "long"):
            task = await client.agent("agent").run(text)
            await task.updates.first(lambda update: bool(update.requests))
            await asyncio.sleep(100)
            await task.respond(task.requests[0].id, "yes")
            results.append((await task.result()).status)

    assert results == ["completed", "error"]


@pytest.mark.parametrize(
    "wrong", [{"max_running": 0}, {"time_limit": -1.0}, {"owner_timeout": 0.0}]
)
def test_limits_that_let_nothing_run_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Local({"wait": Gates().wait}, **wrong)


@pytest.mark.parametrize("durable", [False, True])
async def test_old_tasks_at_rest_are_pruned(durable: bool, tmp_path: Any) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    gates = Gates()
    place = {"path": tmp_path / "tasks.db"} if durable else {}
    platform = Local({"wait": gates.wait}, clock=lambda: now, **place)
    async with Client(platform) as client:
        agent = client.agent("wait")
        for name in ("old", "new"):
            gates.let(name)
        old, runs = await agent.run("old", idempotency_key="k"), await agent.run("runs")
        await old.result()
        now += timedelta(days=30)
        new = await agent.run("new")
        await new.result()

        assert await platform.prune(older_than=timedelta(days=40)) == 0
        assert await platform.prune(older_than=timedelta(days=20)) == 1
        assert {task.id async for task in agent.tasks()} == {runs.id, new.id}
        with pytest.raises(TaskNotFound):
            await old.poll()
        assert (await agent.run("old", idempotency_key="k")).id != old.id
        gates.let("runs")
        assert (await runs.result()).status == "completed"
