"""A task is resumed: by its ref, by its id, by another client."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from rxtasks import TaskStatus
from tests.conformance.script import fail, hold, prompt, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import (
    Probe,
    deltas,
    has_agent,
    has_status,
    has_typed,
    settled,
    texts,
    turns,
    whole,
)


async def test_there_is_one_task_object_for_each_task(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))

    assert bench.client.task(task.ref) is task
    assert bench.agent.task(task.id) is task
    assert bench.client.agent(bench.agent_id).task(task.id) is task
    await settled(task)


@pytest.mark.needs(Can.BARE_ID)
async def test_a_bare_id_is_enough_where_the_platform_needs_no_more(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    assert bench.client.task(task.id) is task
    await settled(task)

    async with bench.another() as other:
        twin = other.task(task.id)
        assert (await twin.result()).text == typed("a")
        assert other.task(twin.ref) is twin


async def test_a_task_that_nobody_holds_is_let_go(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    ref, gone = task.ref, weakref.ref(task)
    del task
    await turns()
    gc.collect()

    assert gone() is None
    assert (await bench.client.task(ref).result()).text == typed("a")


async def test_an_observer_outlives_the_task_object(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    ref = task.ref
    messages = Probe(task.messages)
    del task
    gc.collect()
    await bench.stage.reached("gate")
    bench.stage.open("gate")
    await messages.until(has_agent(typed("a")))

    assert whole(Probe(bench.client.task(ref).messages).values) == []
    assert (await bench.client.task(ref).result()).messages == tuple(whole(messages.values))


@pytest.mark.needs(Can.SECOND, Can.AGAIN)
async def test_a_resumed_task_shows_its_history_first(bench: Bench) -> None:
    text = prompt(types("a"))
    task = await bench.agent.run(text)
    await settled(task)
    async with bench.another() as other:
        twin = other.task(task.ref)
        assert twin.id == task.id
        messages, live = Probe(twin.messages), Probe(twin.messages.live)
        await messages.until(has_agent(typed("a")))
        assert texts(messages.values) == [text, typed("a")]
        again = prompt(types("b"))
        await twin.send(again)
        assert (await twin.result()).text == typed("b")
        await turns()

        assert texts(messages.values) == [text, typed("a"), again, typed("b")]
        assert texts(live.values) == [again, typed("b")]


@pytest.mark.needs(Can.SECOND)
async def test_a_resumed_task_that_has_ended_has_its_result(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    result = await task.result()
    async with bench.another() as other:
        twin = other.task(task.ref)
        found = await twin.result(timeout=5.0)

        assert found.status == result.status == "completed"
        assert found.text == result.text
        assert found.messages == result.messages
        assert twin.status is TaskStatus.COMPLETED


@pytest.mark.needs(Can.SECOND)
async def test_a_resumed_task_that_failed_has_its_result(bench: Bench) -> None:
    task = await bench.agent.run(prompt(fail("out of luck")))
    result = await task.result()
    async with bench.another() as other:
        found = await other.task(task.ref).result(timeout=5.0)

        assert found.status == "error"
        assert found.text == result.text


@pytest.mark.needs(Can.SECOND)
async def test_a_resumed_task_that_runs_is_followed_to_its_end(bench: Bench) -> None:
    text = prompt(types("a"), hold("gate"), types("b"))
    task = await bench.agent.run(text)
    await bench.stage.reached("gate")
    async with bench.another() as other:
        twin = other.task(task.ref)
        messages, updates = Probe(twin.messages), Probe(twin.updates)
        pending = asyncio.create_task(twin.result())
        await updates.until(has_status(TaskStatus.RUNNING))
        bench.stage.open("gate")
        result = await pending
        await turns()

        assert result.text == typed("a") + typed("b")
        assert texts(messages.values) == [text, result.text]
        assert updates.values[-1].status is TaskStatus.COMPLETED


@pytest.mark.needs(Can.SECOND, Can.AGAIN)
async def test_live_of_a_resumed_task_begins_with_what_comes(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    async with bench.another() as other:
        twin = other.task(task.ref)
        live = Probe(twin.messages.live)
        await twin.result()
        await turns()
        assert live.values == []

        text = prompt(types("b"))
        await twin.send(text)
        await live.until(has_agent(typed("b")))
        assert texts(live.values) == [text, typed("b")]


@pytest.mark.needs(Can.SECOND, Can.AGAIN)
async def test_a_message_of_ours_is_no_history_of_a_task_resumed_to_send_it(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    async with bench.another() as other:
        twin = other.task(task.ref)
        text = prompt(types("b"))
        await twin.send(text)
        live = Probe(twin.messages.live)
        result = await twin.result()
        await turns()

        assert result.text == typed("b")
        assert texts(live.values) == [text, typed("b")]


@pytest.mark.needs(Can.SECOND, Can.AGAIN)
async def test_what_another_client_sends_is_seen(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    async with bench.another() as other:
        text = prompt(types("b"))
        twin = other.task(task.ref)
        await twin.send(text)
        await twin.result()

    messages = Probe(task.messages)
    await messages.until(has_agent(typed("b")))
    assert texts(messages.values)[-2:] == [text, typed("b")]


@pytest.mark.needs(Can.SECOND, Can.AT_ONCE)
async def test_a_poll_of_a_resumed_task_knows_its_status(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    async with bench.another() as other:
        twin = other.task(task.ref)
        assert await twin.poll() is TaskStatus.RUNNING
        assert twin.is_running()
        bench.stage.open("gate")
        await settled(task)
        assert await twin.poll() is TaskStatus.COMPLETED


@pytest.mark.needs(Can.SECOND, Can.DELTAS, Can.CATCH_UP)
async def test_the_deltas_of_a_resumed_text_go_on_where_it_was(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), hold("one"), types("b"), hold("two")))
    await bench.stage.reached("one")
    async with bench.another() as other:
        twin = other.task(task.ref)
        messages, live = Probe(twin.messages), Probe(twin.messages.live)
        await messages.until(has_typed(typed("a")))
        bench.stage.open("one")
        await messages.until(has_typed(typed("b")))
        assert deltas(messages.values) == typed("a") + typed("b")
        assert deltas(live.values) == typed("b")
        bench.stage.open("two")
        assert (await twin.result()).text == typed("a") + typed("b")


@pytest.mark.needs(Can.DELTAS, Can.CATCH_UP)
async def test_the_deltas_of_a_text_go_on_for_an_observer_who_came_back(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), hold("one"), types("b"), hold("two")))
    first = Probe(task.messages)
    await first.until(has_typed(typed("a")))
    first.dispose()
    await turns()
    again = Probe(task.messages)
    await again.until(has_typed(typed("a")))
    bench.stage.open("one")
    await again.until(has_typed(typed("b")))

    assert deltas(again.values) == typed("a") + typed("b")
    bench.stage.open("two")
