"""A turn is cancelled: while it runs, before anything happened, after its end, twice."""

from __future__ import annotations

import asyncio

import pytest

from rxtasks import TaskStatus, ToolMessage, UnsupportedOperation
from tests.conformance.script import ask, hold, prompt, tool, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, has_status, has_typed, settled, texts, turns


@pytest.mark.needs(Can.CANCEL)
async def test_a_running_turn_is_cancelled(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    updates = Probe(task.updates)
    pending = asyncio.create_task(task.result())
    await bench.stage.reached("gate")
    await task.cancel()
    result = await pending
    await turns()

    assert result.status == "cancelled"
    assert task.status is TaskStatus.CANCELLED
    assert updates.values[-1].status is TaskStatus.CANCELLED
    assert typed("a") not in texts(result.messages)
    assert not updates.ended


@pytest.mark.needs(Can.CANCEL)
async def test_a_turn_is_cancelled_before_anything_happened(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await task.cancel()
    result = await task.result()

    assert result.status == "cancelled"
    assert result.text == ""


@pytest.mark.needs(Can.CANCEL)
async def test_cancelling_a_turn_that_has_ended_changes_nothing(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    before = await task.result()
    await task.cancel()
    await task.cancel()

    assert await task.poll() is TaskStatus.COMPLETED
    assert await task.result(timeout=2.0) == before


@pytest.mark.needs(Can.CANCEL)
async def test_cancelling_twice_is_no_error(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    await asyncio.gather(task.cancel(), task.cancel())
    await task.cancel()

    assert (await task.result()).status == "cancelled"


@pytest.mark.needs(Can.CANCEL, Can.DELTAS)
async def test_cancelling_in_the_middle_of_a_text_leaves_nothing_open(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), hold("gate"), types("b")))
    messages, snapshots = Probe(task.messages), Probe(task.snapshots)
    await messages.until(has_typed(typed("a")))
    await task.cancel()
    await settled(task)

    assert task.status is TaskStatus.CANCELLED
    assert snapshots.values[-1].live == {}


@pytest.mark.needs(Can.CANCEL, Can.TOOLS)
async def test_cancelling_ends_a_tool_run(bench: Bench) -> None:
    task = await bench.agent.run(prompt(tool("search", gate="gate")))
    await bench.stage.reached("gate")
    await task.cancel()
    result = await task.result()

    runs = [each for each in result.messages if isinstance(each, ToolMessage)]
    assert len(runs) == 1
    assert runs[0].status.is_final


@pytest.mark.needs(Can.CANCEL, Can.ASK)
async def test_cancelling_withdraws_a_question(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("Go on?", "yes", "no")))
    updates = Probe(task.updates)
    await updates.until(has_status(TaskStatus.ACTION))
    await task.cancel()
    result = await task.result()

    assert result.status == "cancelled"
    assert task.requests == ()


@pytest.mark.needs(Can.CANCEL, Can.AGAIN)
async def test_a_cancelled_task_takes_another_message(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    await task.cancel()
    assert (await task.result()).status == "cancelled"
    await task.send(prompt(types("b")))
    result = await task.result()

    assert result.status == "completed"
    assert result.text == typed("b")


@pytest.mark.needs(Can.CANCEL, Can.SECOND)
async def test_what_another_client_cancels_is_seen(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    pending = asyncio.create_task(task.result())
    await bench.stage.reached("gate")
    async with bench.another() as other:
        await other.task(task.ref).cancel()
        assert (await pending).status == "cancelled"


@pytest.mark.lacks(Can.CANCEL)
async def test_a_platform_that_cannot_cancel_says_so(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    with pytest.raises(UnsupportedOperation):
        await task.cancel()

    bench.stage.open("gate")
    assert (await task.result()).text == typed("a")
