"""One stream for all tasks of a client, and a stream that cannot tell what was before it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxtasks import Client, ServerError, Task, TransportFault
from rxtasks.platforms.base import Batch, Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, status, typing

pytestmark = pytest.mark.looptime

SHARED = Capabilities(stream="everything", resume="none", stream_scope="client")
ALONE = Capabilities(stream="everything", resume="none")
TALK = [
    at(1.0, status("running")),
    at(2.0, typing("m", "one ")),
    at(3.0, typing("m", "two")),
    at(4.0, agent("m", "one two")),
    at(4.1, status("completed")),
]
BOTH = pytest.mark.parametrize("can", [SHARED, ALONE], ids=["shared", "alone"])


def listen(task: Task) -> list[str]:
    said: list[str] = []
    task.messages.subscribe(lambda m: said.append(f"{type(m).__name__[0]}:{m.text}"))  # type: ignore[attr-defined]
    return said


async def test_many_tasks_share_one_connection_and_each_hears_of_itself() -> None:
    platform = ScriptedPlatform(TALK, capabilities=SHARED)
    async with Client(platform) as client:
        heard = []
        for number in range(20):
            task = await client.agent("a").run(f"go {number}")
            heard.append((task, listen(task)))
            await asyncio.sleep(0.1)
        for number, (task, said) in enumerate(heard):
            assert (await task.result(timeout=30)).text == "one two"
            assert said == [f"U:go {number}", "T:one ", "T:two", "A:one two"]
        assert (len(platform.streams), platform.open_streams) == (1, 1)
    assert platform.open_streams == 0


async def test_the_connection_is_closed_with_the_last_task_and_opened_for_the_next() -> None:
    platform = ScriptedPlatform(TALK, capabilities=SHARED)
    async with Client(platform) as client:
        first = await client.agent("a").run("go")
        second = await client.agent("a").run("go")
        subscriptions = [task.messages.subscribe(lambda _: None) for task in (first, second)]
        await asyncio.sleep(0.5)
        subscriptions[0].dispose()
        await asyncio.sleep(0)
        assert platform.open_streams == 1
        subscriptions[1].dispose()
        await asyncio.sleep(0)
        assert (len(platform.streams), platform.open_streams) == (1, 0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert (await first.result(timeout=30)).text == "one two"
        assert len(platform.streams) == 2


async def test_a_lost_connection_is_a_fault_of_every_task_and_is_made_up_for() -> None:
    platform = ScriptedPlatform(TALK, capabilities=SHARED)
    cut = {2}
    platform.on_item = lambda _, index: "cut" if index in cut and not cut.discard(index) else None  # type: ignore[func-returns-value]
    async with Client(platform) as client:
        tasks = [await client.agent("a").run("go") for _ in range(3)]
        faults: list[list[Any]] = [[] for _ in tasks]
        for task, seen in zip(tasks, faults, strict=True):
            task.errors.subscribe(seen.append)
        said = [listen(task) for task in tasks]
        for task in tasks:
            assert (await task.result(timeout=30)).text == "one two"
        for seen in faults:
            (fault,) = seen
            assert isinstance(fault, TransportFault)
            assert fault.source == "stream"
        assert all(texts[0] == "U:go" and texts[-1] == "A:one two" for texts in said)
        assert len(platform.streams) == 2


async def test_a_connection_is_no_place_that_another_task_lacks() -> None:
    platform = ScriptedPlatform(TALK, capabilities=SHARED)
    async with Client(platform, max_streams=1) as client:
        tasks = [await client.agent("a").run("go") for _ in range(3)]
        said = [listen(task) for task in tasks]
        await asyncio.gather(*(task.result(timeout=30) for task in tasks))
        assert all(texts == ["U:go", "T:one ", "T:two", "A:one two"] for texts in said)


async def test_a_stream_that_is_over_leaves_the_polls() -> None:
    class Silent(ScriptedPlatform):
        async def open_stream(self, ref: Any, cursor: Any) -> Any:
            yield Batch(final=True)

    platform = Silent(TALK, capabilities=SHARED)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        assert (await task.result(timeout=30)).text == "one two"
        assert task._feed.state.connection == "idle"


# ------------------------------------------------------------------ what was before the stream


class Slow(ScriptedPlatform):
    """Takes its time for polls."""

    async def snapshot(self, ref: Any, cursor: Any, want: Any) -> Any:
        await asyncio.sleep(0.5)
        return await super().snapshot(ref, cursor, want)


@BOTH
async def test_the_answer_does_not_come_before_the_question(can: Capabilities) -> None:
    script = [at(0.05, status("running")), at(0.35, agent("m", "quick")), at(0.9, status("idle"))]
    async with Client(Slow(script, capabilities=can)) as client:
        task = await client.agent("a").run("go")
        await asyncio.sleep(0.1)
        said = listen(task)
        await asyncio.sleep(20)
        assert said == ["U:go", "A:quick"]


@BOTH
async def test_what_happened_while_the_stream_was_down_is_polled_for_when_it_is_back(
    can: Capabilities,
) -> None:
    script = [
        at(1.0, status("running")),
        at(2.0, agent("m", "one")),
        at(2.1, agent("n", "two")),
        at(60.0, status("completed")),
    ]
    platform = ScriptedPlatform(script, capabilities=can)
    platform.on_item = lambda connection, index: "cut" if (connection, index) == (1, 2) else None
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        said = listen(task)
        await asyncio.sleep(4)
        assert said == ["U:go", "A:one", "A:two"]


@BOTH
async def test_polls_that_fail_hold_no_stream_back(can: Capabilities) -> None:
    platform = ScriptedPlatform(TALK, capabilities=can)
    platform.on_poll = lambda _: ServerError("boom", status=500)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        said = listen(task)
        await asyncio.sleep(5)
        assert said == ["U:go", "T:one ", "T:two", "A:one two"]


@BOTH
async def test_a_poll_that_hangs_holds_a_stream_back_for_seconds_only(can: Capabilities) -> None:
    class Hanging(ScriptedPlatform):
        async def snapshot(self, ref: Any, cursor: Any, want: Any) -> Any:
            await asyncio.sleep(90)
            return await super().snapshot(ref, cursor, want)

    platform = Hanging(TALK, capabilities=can)
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        said = listen(task)
        await asyncio.sleep(5.5)
        assert said == ["U:go", "T:one ", "T:two", "A:one two"]


@BOTH
async def test_a_poll_that_hangs_on_a_dead_server_is_given_up_for_one_that_may_not(
    can: Capabilities,
) -> None:
    platform = ScriptedPlatform(TALK, capabilities=can, latency=0.05)
    platform.on_item = lambda connection, index: "cut" if (connection, index) == (1, 2) else None
    snapshot, hung = platform.snapshot, 0

    async def dead_at_first(*args: Any) -> Any:
        nonlocal hung
        if asyncio.get_running_loop().time() - began > 1.9 and not platform.open_streams:
            hung += 1
            await asyncio.sleep(1000)
        return await snapshot(*args)

    platform.snapshot = dead_at_first  # type: ignore[method-assign,assignment]
    began = asyncio.get_running_loop().time()
    async with Client(platform) as client:
        task = await client.agent("a").run("go")
        said = listen(task)
        await asyncio.sleep(1.5)
        while platform.open_streams:  # noqa: ASYNC110 - until it is cut
            await asyncio.sleep(0.001)
        task._feed.poke()
        assert (await task.result(timeout=20)).text == "one two"
        assert hung > 0
        assert said[-1] == "A:one two"


async def test_who_leaves_while_others_hear_that_the_stream_stands_does_not_hear_of_it() -> None:
    platform = ScriptedPlatform(TALK, capabilities=SHARED)
    async with Client(platform) as client:
        first = await client.agent("a").run("go")
        second = await client.agent("a").run("go")
        first.updates.subscribe(
            lambda update: heard.dispose() if update.connection == "live" else None
        )
        heard = second.messages.subscribe(lambda _: None)
        await asyncio.sleep(2.5)
        assert first._feed._stream.open
        assert not second._feed._stream.open
