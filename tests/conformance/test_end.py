"""A task is ended: the session behind it is deleted."""

from __future__ import annotations

import asyncio

import pytest

from rxtasks import TaskNotFound, TaskStatus, UnsupportedOperation
from tests.conformance.script import hold, prompt, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, settled, texts, turns


@pytest.mark.needs(Can.DELETE)
async def test_streams_complete_when_the_task_is_ended(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    probes = [
        Probe(stream)
        for stream in (task.messages, task.updates, task.errors, task.events, task.snapshots)
    ]
    await settled(task)
    await task.end()
    for probe in probes:
        await probe.until_ended()

    assert all(probe.completed and probe.error is None for probe in probes)
    assert probes[2].values == []


@pytest.mark.needs(Can.DELETE)
async def test_ending_a_running_task_ends_a_pending_result(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    messages, updates = Probe(task.messages), Probe(task.updates)
    pending = asyncio.create_task(task.result())
    await bench.stage.reached("gate")
    await task.end()
    with pytest.raises(TaskNotFound):
        await asyncio.wait_for(pending, 2.0)

    await messages.until_ended()
    await updates.until_ended()
    assert messages.completed
    assert [update.status for update in updates.values][-1] is TaskStatus.CANCELLED
    assert (task.status, task.is_running()) == (TaskStatus.CANCELLED, False)


@pytest.mark.needs(Can.DELETE)
async def test_later_observers_get_the_log_and_then_the_end(bench: Bench) -> None:
    text = prompt(types("a"))
    task = await bench.agent.run(text)
    before = Probe(task.messages)
    await settled(task)
    known = task.info
    await task.end()
    assert task.info == known
    late, errors = Probe(task.messages), Probe(task.errors)
    await late.until_ended()
    await errors.until_ended()

    assert late.completed
    assert texts(late.values) == texts(before.values) == [text, typed("a")]
    assert errors.completed
    assert texts([message async for message in task.messages]) == [text, typed("a")]


@pytest.mark.needs(Can.DELETE)
async def test_nothing_can_be_asked_of_a_task_that_was_ended(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    await task.end()

    for ask in (task.poll, task.result, task.get_messages):
        with pytest.raises(TaskNotFound):
            await asyncio.wait_for(ask(), 2.0)
    with pytest.raises(TaskNotFound):
        await task.send(prompt(types("b")))


@pytest.mark.needs(Can.DELETE, Can.TRAFFIC)
async def test_nothing_watches_a_task_that_was_ended(bench: Bench) -> None:
    before = asyncio.all_tasks()
    task = await bench.agent.run(prompt(hold("gate")))
    Probe(task.messages)
    await bench.stage.reached("gate")
    await task.end()
    await turns()

    assert asyncio.all_tasks() <= before
    assert bench.traffic.streams == 0


@pytest.mark.needs(Can.DELETE, Can.LIST)
async def test_a_task_that_was_ended_is_listed_no_more(bench: Bench) -> None:
    kept = await bench.agent.run(prompt(types("a")))
    gone = await bench.agent.run(prompt(types("b")))
    await asyncio.gather(kept.result(), gone.result())
    await gone.end()

    assert [task.id async for task in bench.agent.tasks()] == [kept.id]


@pytest.mark.lacks(Can.DELETE)
async def test_a_platform_that_cannot_delete_says_so_and_closes_nothing(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    messages = Probe(task.messages)
    await bench.stage.reached("gate")
    with pytest.raises(UnsupportedOperation):
        await task.end()
    bench.stage.open("gate")
    await settled(task)

    assert not messages.ended
    assert texts(messages.values)[-1] == typed("a")
