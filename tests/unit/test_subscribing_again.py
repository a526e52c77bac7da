"""Operators that subscribe again by themselves, and what becomes of them when the client closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import operators as ops

from rxtasks import Client, ClientClosed, Task, TaskNotFound
from rxtasks.operators import merge, until_settled
from rxtasks.streams import LoopScheduler
from rxtasks.streams.log import TaskLog
from rxtasks.testing import ScriptedPlatform, agent, at, status

pytestmark = pytest.mark.looptime

TURN = [at(0.1, status("running")), at(0.2, agent("m", "42"))]
REPEATS: dict[str, Callable[[Task], Any]] = {
    "repeat": lambda task: task.messages.pipe(ops.repeat()),
    "fluent": lambda task: task.messages.repeat(),
    "retry": lambda task: task.messages.pipe(ops.retry()),
    "map, repeat": lambda task: task.messages.pipe(ops.map(str), ops.repeat()),
    "map, retry": lambda task: task.messages.pipe(ops.map(str), ops.retry()),
    "repeat, retry": lambda task: task.messages.pipe(ops.repeat(), ops.retry()),
    "two pipes": lambda task: task.messages.pipe(ops.map(str)).pipe(ops.repeat()).pipe(ops.retry()),
    "merge": lambda task: merge(task.messages, task.updates.pipe(ops.repeat())),
    "until": lambda task: task.messages.pipe(until_settled(task), ops.repeat(), ops.retry()),
}
again = pytest.mark.parametrize("derived", REPEATS.values(), ids=REPEATS)


@pytest.fixture
def admissions(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Who has subscribed to any log, or tried to."""
    seen: list[object] = []
    admit = TaskLog.admit

    def admitted(log: TaskLog, subscriber: Any) -> None:
        seen.append(subscriber)
        admit(log, subscriber)

    monkeypatch.setattr(TaskLog, "admit", admitted)
    return seen


class Heard:
    """What an observer was told, and the loop was told of."""

    def __init__(self) -> None:
        self.ends: list[object] = []
        self.reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.reported.append(context)
        )

    def observe(self, stream: Any) -> None:
        stream.subscribe(None, self.ends.append, lambda: self.ends.append("completed"))


@again
async def test_a_client_that_closes_completes_them(
    derived: Callable[[Task], Any], admissions: list[object]
) -> None:
    async with Client(ScriptedPlatform(TURN)) as client:
        heard = Heard()
        heard.observe(derived(await client.agent("a").run("go")))
        await asyncio.sleep(0.5)
        assert heard.ends == []
    await asyncio.sleep(1)
    assert heard.ends == ["completed"]
    assert heard.reported == []
    tried = len(admissions)
    await asyncio.sleep(1)
    assert len(admissions) == tried


async def test_who_awaits_one_is_not_left_waiting() -> None:
    async with Client(ScriptedPlatform(TURN)) as client:
        task = await client.agent("a").run("go")
        waiting = asyncio.ensure_future(_last(task.messages.pipe(ops.repeat())))
        await asyncio.sleep(0.5)
    assert (await asyncio.wait_for(waiting, 1)).text == "42"


async def _last(stream: Any) -> Any:
    return await stream


async def test_one_that_fails_again_and_again_ends_as_well(admissions: list[object]) -> None:
    async with Client(ScriptedPlatform(TURN, latency=0.001)) as client:
        heard = Heard()
        heard.observe(client.task("gone").messages.pipe(ops.map(str), ops.retry()))
        await asyncio.sleep(0.01)
        # In one of the turns of the loop between a failure and the next try.
        while not _is_between(client):  # noqa: ASYNC110 - no event tells of that
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    tried = len(admissions)
    await asyncio.sleep(1)
    assert len(admissions) <= tried + 1
    assert heard.ends == ["completed"]
    assert heard.reported == []


def _is_between(client: Client) -> bool:
    feed = client.feed_of("gone")
    return feed is not None and not feed.wanted


async def test_a_client_that_is_closed_refuses_who_comes_first() -> None:
    async with Client(ScriptedPlatform(TURN)) as client:
        task = await client.agent("a").run("go")
    for derived in REPEATS.values():
        with pytest.raises(ClientClosed):
            derived(task).subscribe(print)


async def test_only_what_reads_the_closed_client_ends() -> None:
    async with Client(ScriptedPlatform(TURN)) as stays:
        mine = await stays.agent("a").run("go")
        seen: list[Any] = []
        async with Client(ScriptedPlatform(TURN)) as closes:
            other = await closes.agent("a").run("go")
            heard = Heard()
            merged = merge(mine.messages, other.messages.pipe(ops.repeat()))
            merged.subscribe(seen.append, heard.ends.append, lambda: heard.ends.append("completed"))
            await asyncio.sleep(0.5)
        before = len(seen)
        await mine.send("more")
        await asyncio.sleep(0.5)
        assert heard.ends == []
        assert len(seen) > before
    assert heard.ends == ["completed"]
    assert heard.reported == []


async def test_with_a_scheduler_of_ones_own_the_loop_is_told() -> None:
    async with Client(ScriptedPlatform(TURN)) as client:
        heard = Heard()
        task = await client.agent("a").run("go")
        mine = LoopScheduler(asyncio.get_running_loop())
        task.messages.pipe(ops.repeat()).subscribe(heard.ends.append, scheduler=mine)
        await asyncio.sleep(0.5)
    await asyncio.sleep(1)
    assert [type(each["exception"]) for each in heard.reported] == [ClientClosed]


async def test_a_retry_that_waits_does_not_hammer() -> None:
    platform = ScriptedPlatform(TURN)
    async with Client(platform) as client:
        messages = client.task("gone").messages
        with pytest.raises(TaskNotFound):
            await messages.pipe(ops.delay_subscription(5.0), ops.retry(3))
    assert [poll.time for poll in platform.polls] == pytest.approx([5.0, 10.0, 15.0])
