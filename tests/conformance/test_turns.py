"""A conversation of several turns, and a task that its first message starts."""

from __future__ import annotations

import asyncio

import pytest

from rxtasks import ConfigurationError, TaskStatus, UnsupportedOperation, Usage
from tests.conformance.script import hold, prompt, recall, spend, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, has_agent, has_status, settled, texts, turns, whole


@pytest.mark.needs(Can.AGAIN)
async def test_a_follow_up_begins_another_turn_of_the_same_conversation(bench: Bench) -> None:
    first, second = prompt(types("a")), prompt(types("b"))
    task = await bench.agent.run(first)
    await task.result()
    await task.send(second)
    result = await task.result()

    assert result.text == typed("b")
    assert texts(result.messages) == [first, typed("a"), second, typed("b")]
    await task.send(prompt(recall()))
    assert (await task.result()).text == "3"


@pytest.mark.needs(Can.AGAIN)
async def test_the_result_is_never_that_of_the_turn_before(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await task.result()
    for stem in ("b", "c", "d"):
        await task.send(prompt(types(stem)))
        assert not task.status.is_final
        assert (await task.result()).text == typed(stem)


@pytest.mark.needs(Can.AGAIN)
async def test_observers_go_on_over_turns(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    messages, updates = Probe(task.messages), Probe(task.updates)
    await settled(task)
    assert not messages.ended
    await task.send(prompt(hold("gate"), types("b")))
    await updates.until(has_status(TaskStatus.RUNNING))
    bench.stage.open("gate")
    await messages.until(has_agent(typed("b")))
    await updates.until(has_status(TaskStatus.COMPLETED))

    ids = [(each.id, each.revision) for each in whole(messages.values)]
    assert len(ids) == len(set(ids)) == 4
    statuses = [each.status for each in updates.values]
    assert statuses.index(TaskStatus.COMPLETED) < len(statuses) - 1


@pytest.mark.needs(Can.QUEUE, Can.AGAIN)
async def test_the_result_waits_for_the_latest_turn(bench: Bench) -> None:
    first, second = prompt(hold("first"), types("a")), prompt(hold("second"), types("b"))
    task = await bench.agent.run(first)
    await bench.stage.reached("first")
    messages = Probe(task.messages)
    pending = asyncio.create_task(task.result())
    await task.send(second)
    bench.stage.open("first")
    await bench.stage.reached("second")
    await messages.until(has_agent(typed("a")))
    assert not pending.done()
    bench.stage.open("second")
    result = await pending

    assert result.text == typed("b")
    assert sorted(texts(result.messages)) == sorted([first, second, typed("a"), typed("b")])


@pytest.mark.needs(Can.QUEUE, Can.AGAIN)
async def test_a_message_during_a_turn_does_not_settle_early(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("first"), types("a")))
    await bench.stage.reached("first")
    updates = Probe(task.updates)
    await task.send(prompt(hold("second"), types("b")))
    bench.stage.open("first")
    await bench.stage.reached("second")
    await task.poll()

    assert TaskStatus.COMPLETED not in [each.status for each in updates.values]
    bench.stage.open("second")
    await settled(task)
    assert updates.values[-1].status is TaskStatus.COMPLETED


@pytest.mark.needs(Can.USAGE, Can.AGAIN)
async def test_usage_and_cost_are_those_of_the_turn(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), spend(100, 10, 1.5)))
    await task.result()
    await task.send(prompt(types("b"), spend(3, 4, 0.23)))
    result = await task.result()

    assert result.usage == Usage(input=3, output=4)
    assert result.cost == pytest.approx(0.23)


@pytest.mark.lacks(Can.AGAIN)
async def test_a_task_that_ends_with_its_turn_takes_no_message_any_more(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    first = await task.result()
    with pytest.raises(UnsupportedOperation):
        await task.send(prompt(types("b")))

    assert await task.result(timeout=1.0) == first


async def test_a_new_task_is_started_by_its_first_message(bench: Bench) -> None:
    task = bench.agent.new_task()
    assert task.status is TaskStatus.NOT_STARTED
    assert task.id == ""
    assert not task.is_running()
    text = prompt(types("a"))
    await task.send(text)

    assert task.id
    assert not task.status.is_final
    result = await task.result()
    assert texts(result.messages) == [text, typed("a")]


async def test_a_task_that_was_not_started_has_nothing_to_give(bench: Bench) -> None:
    task = bench.agent.new_task()

    for ask in (task.result, task.poll, task.get_messages, task.cancel, task.end):
        with pytest.raises(ConfigurationError, match="not been started"):
            await asyncio.wait_for(ask(), 1.0)
    with pytest.raises(ConfigurationError, match="not been started"):
        _ = task.ref


async def test_subscribing_before_the_first_message_shows_everything(bench: Bench) -> None:
    task = bench.agent.new_task()
    messages, live = Probe(task.messages), Probe(task.messages.live)
    updates, events = Probe(task.updates), Probe(task.events)
    await turns()
    assert messages.values == []
    text = prompt(types("a"))
    await task.send(text)
    await settled(task)

    assert texts(messages.values) == [text, typed("a")]
    assert whole(live.values) == whole(messages.values)
    assert updates.values[-1].status is TaskStatus.COMPLETED
    assert events.values


async def test_a_task_that_its_first_message_started_is_found_by_its_ref(bench: Bench) -> None:
    task = bench.agent.new_task()
    await task.send(prompt(types("a")))

    assert bench.client.task(task.ref) is task
    assert bench.agent.task(task.id) is task
    await settled(task)


async def test_two_tasks_do_not_mix(bench: Bench) -> None:
    one, other = await asyncio.gather(
        bench.agent.run(prompt(types("a"))), bench.agent.run(prompt(types("b")))
    )
    first, second = Probe(one.messages), Probe(other.messages)
    results = await asyncio.gather(one.result(), other.result())
    await turns()

    assert one.id != other.id
    assert [each.text for each in results] == [typed("a"), typed("b")]
    assert texts(first.values)[1:] == [typed("a")]
    assert texts(second.values)[1:] == [typed("b")]
