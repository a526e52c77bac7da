"""The scripted platform itself: it does what it claims to be able to do."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from rxtasks import AgentMessage, Client, TaskStatus
from rxtasks.platforms.base import AgentRef, Batch, Capabilities, Metadata, Partial, TaskRef, Want
from rxtasks.testing import ScriptedPlatform, agent, at, status, typing

pytestmark = pytest.mark.looptime

TALK = [
    at(1.0, status("running")),
    at(2.0, typing("m", "one ")),
    at(3.0, typing("m", "two")),
    at(4.0, agent("m", "one two")),
    at(5.0, status("completed")),
]


async def begun(resume: Any, **options: Any) -> tuple[ScriptedPlatform, TaskRef]:
    can = Capabilities(stream="everything", resume=resume)
    platform = ScriptedPlatform(TALK, capabilities=can, **options)
    accepted = await platform.start(AgentRef("a"), "go")
    return platform, TaskRef(accepted.id)


async def read(
    platform: ScriptedPlatform, task: TaskRef, cursor: str | None, count: int
) -> list[Batch]:
    async with aclosing(platform.open_stream(task, cursor)) as batches:
        return [await anext(batches) for _ in range(count)]


async def test_a_snapshot_begins_with_the_present() -> None:
    platform, task = await begun("snapshot")
    await asyncio.sleep(3.5)
    present, *rest = await read(platform, task, "1", 3)
    assert present.reset
    assert present.cursor is None
    assert [type(item).__name__ for item in present.items] == ["UserMessage", "Partial", "Metadata"]
    assert isinstance(present.items[1], Partial)
    assert present.items[1].text == "one two"
    assert [item for batch in rest for item in batch.items][:1] == [
        AgentMessage("one two", id="m", created_at=rest[0].items[0].created_at)  # type: ignore[union-attr]
    ]


async def test_a_window_can_be_resumed_for_a_while() -> None:
    platform, task = await begun("window", window=2.0)
    await asyncio.sleep(3.5)
    resumed = await read(platform, task, "3", 2)
    assert [batch.reset for batch in resumed] == [False, False]
    assert resumed[1].items == [typing("m", "two")]
    assert resumed[1].cursor == "4"
    await asyncio.sleep(10)
    [late] = await read(platform, task, "3", 1)
    assert late.reset
    assert late.cursor == "6"
    assert isinstance(late.items[-1], Metadata)


async def test_items_can_be_numbered() -> None:
    platform, task = await begun("full", numbered=True)
    await asyncio.sleep(10)
    batches = await read(platform, task, None, 7)
    assert [list(batch.seqs or ()) for batch in batches] == [[], [1], [2], [3], [4], [5], [6]]
    assert all(batch.gapless for batch in batches[1:])


async def test_a_message_can_wait_for_the_end_of_the_turn_before() -> None:
    async def ends(*, queued: bool) -> list[float]:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        platform = ScriptedPlatform(TALK, queued=queued)
        accepted = await platform.start(AgentRef("a"), "go")
        await asyncio.sleep(0.5)
        await platform.send(TaskRef(accepted.id), "and on")
        timeline = platform._tasks[accepted.id].timeline
        said = [each for each in timeline if isinstance(each.item, Metadata)]
        return [
            round(each.time - begin, 3)
            for each in said
            if each.item.status is TaskStatus.COMPLETED  # type: ignore[union-attr]
        ]

    assert await ends(queued=True) == [5.0, 10.0]
    assert await ends(queued=False) == [5.0, 5.5]


async def test_agents_have_scripts_of_their_own() -> None:
    shout = [at(1.0, status("running"), agent("m", "HEY")), at(1.0, status("completed"))]
    platform = ScriptedPlatform(TALK, agents={"loud": [shout]})
    async with Client(platform) as client:
        results = [await (await client.agent(a).run("go")).result() for a in ("loud", "other")]
    assert [result.text for result in results] == ["HEY", "one two"]


@pytest.mark.parametrize(
    ("wait", "word"), [(0.0, "cancelled"), (2.5, "cancelled"), (9.0, "completed")]
)
async def test_only_what_has_not_ended_is_cancelled(wait: float, word: str) -> None:
    platform, task = await begun("full")
    await asyncio.sleep(9.0)
    await platform.send(task, "again")
    await asyncio.sleep(wait)
    await platform.cancel(task)
    info = (await platform.snapshot(task, None, Want(messages=False))).info
    assert info is not None
    assert info.platform_state == word
