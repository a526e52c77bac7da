"""A task is run: what its observers see, what its result says, and what asking for it costs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rxtasks import AgentMessage, TaskStatus, TaskTimeout, ThinkingMessage, Usage
from tests.conformance.script import PATIENCE, hold, prompt, say, spend, think, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import (
    Probe,
    deltas,
    eventually,
    has_status,
    kinds,
    settled,
    texts,
    turns,
    whole,
)


async def test_messages_come_in_order_and_nothing_twice(bench: Bench) -> None:
    text = prompt(types("a"), say(), types("b"))
    task = await bench.agent.run(text)
    messages = Probe(task.messages)
    await settled(task)

    assert texts(messages.values) == [text, typed("a"), typed("b")]
    seen = [(each.id, each.revision) for each in whole(messages.values)]
    assert len(seen) == len(set(seen))


@pytest.mark.needs(Can.DELTAS)
async def test_deltas_come_before_the_final_text_and_add_up_to_it(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a", 4), hold("typed"), types("b", 4)))
    messages = Probe(task.messages)
    await messages.until(lambda values: deltas(values) == typed("a", 4))
    assert not any(each.is_agent() for each in messages.values)
    bench.stage.open("typed")
    await settled(task)

    final = messages.values[-1]
    assert isinstance(final, AgentMessage)
    assert final.text == typed("a", 4) + typed("b", 4)
    assert final.text.startswith(deltas(messages.values, final.id))


@pytest.mark.needs(Can.THINK)
async def test_thoughts_come_before_the_message_that_they_belong_to(bench: Bench) -> None:
    task = await bench.agent.run(prompt(think(3), hold("thought"), types("a")))
    messages = Probe(task.messages)
    await messages.until(lambda values: any(each.is_thinking() for each in values))
    bench.stage.open("thought")
    await settled(task)

    final = messages.values[-1]
    thoughts = [each for each in messages.values if isinstance(each, ThinkingMessage)]
    assert isinstance(final, AgentMessage)
    assert {each.id for each in thoughts} == {final.id}
    assert "".join(each.text for each in thoughts) == typed("hm", 3)
    assert "".join(final.thoughts) == typed("hm", 3)


async def test_the_result_tells_how_the_turn_ended(bench: Bench) -> None:
    text = prompt(types("a"), say(), types("b"))
    task = await bench.agent.run(text)
    result = await task.result()

    assert result.task_id == task.id
    assert result.status == "completed"
    assert result.text == typed("b")
    assert texts(result.messages) == [text, typed("a"), typed("b")]
    assert kinds(result.messages) == ["UserMessage", "AgentMessage", "AgentMessage"]


@pytest.mark.needs(Can.USAGE)
async def test_the_result_tells_what_the_turn_has_used(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), spend(30, 7, 0.65)))
    result = await task.result()

    assert result.usage == Usage(input=30, output=7)
    assert result.cost == pytest.approx(0.65)


async def test_a_result_that_comes_too_late_raises_and_the_task_goes_on(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    with pytest.raises(TaskTimeout) as raised:
        await task.result(timeout=0.1)

    assert isinstance(raised.value, TimeoutError)
    assert raised.value.status.is_running
    assert task.id in str(raised.value)
    bench.stage.open("gate")
    assert (await task.result()).text == typed("a")


@pytest.mark.needs(Can.TRAFFIC)
async def test_waiting_for_a_result_can_be_given_up(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError) as raised:
        await asyncio.wait_for(task.result(), 0.1)

    assert not isinstance(raised.value, TaskTimeout)
    await turns()
    assert asyncio.all_tasks() <= before
    assert bench.traffic.streams == 0
    bench.stage.open("gate")
    assert (await task.result()).text == typed("a")


async def test_results_and_observers_at_once_see_the_same(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a"), say(), types("b")))
    probes = [Probe(task.messages) for _ in range(3)]
    results = [asyncio.create_task(task.result()) for _ in range(2)]
    await bench.stage.reached("gate")
    bench.stage.open("gate")
    first, second = await asyncio.gather(*results)
    await turns()

    assert first == second
    assert probes[0].values == probes[1].values == probes[2].values
    assert tuple(whole(probes[0].values)) == first.messages


@pytest.mark.needs(Can.TRAFFIC)
async def test_results_and_observers_at_once_share_one_connection(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await turns()
    assert bench.traffic.polls == bench.traffic.streams == 0  # nobody has asked yet

    probes = [Probe(stream) for stream in (task.messages, task.updates, task.errors, task.events)]
    results = [asyncio.create_task(task.result()) for _ in range(2)]
    await bench.stage.reached("gate")
    bench.stage.open("gate")
    await asyncio.gather(*results)

    assert bench.traffic.most_streams <= 1
    for probe in probes:
        probe.dispose()
    await turns()
    assert bench.traffic.streams == 0


@pytest.mark.needs(Can.TRAFFIC)
async def test_the_last_to_leave_stops_everything(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    before = asyncio.all_tasks()
    first, second = Probe(task.messages), Probe(task.updates)
    await first.until(len)
    first.dispose()
    second.dispose()
    second.dispose()
    await turns()

    assert asyncio.all_tasks() <= before
    assert bench.traffic.streams == 0
    polls = bench.traffic.polls
    await asyncio.sleep(0.15)
    assert bench.traffic.polls == polls
    bench.stage.open("gate")


async def test_updates_tell_each_status_in_order(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    updates = Probe(task.updates)
    await updates.until(has_status(TaskStatus.RUNNING))
    assert str(task.status) == "running"
    assert task.is_running()
    bench.stage.open("gate")
    await updates.until(has_status(TaskStatus.COMPLETED))

    statuses = list(dict.fromkeys(each.status for each in updates.values))
    order = [TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.COMPLETED]
    assert statuses == [each for each in order if each in statuses]
    assert len(statuses) >= 2
    assert task.status is TaskStatus.COMPLETED
    assert not task.is_running()


async def test_no_update_says_what_the_one_before_it_said(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b"), say(), types("c")))
    updates = Probe(task.updates)
    await settled(task)

    said = [
        (each.status, each.platform_state, each.name, each.requests, each.connection)
        for each in updates.values
    ]
    assert all(one != next_one for one, next_one in pairwise(said))


@pytest.mark.needs(Can.TRAFFIC)
async def test_a_poll_asks_once_and_leaves_nothing_open(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    before = asyncio.all_tasks()
    assert await task.poll() is TaskStatus.RUNNING
    assert asyncio.all_tasks() <= before
    assert bench.traffic.polls == 1
    assert bench.traffic.streams == 0
    bench.stage.open("gate")


async def test_a_poll_tells_the_status(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    assert await task.poll() is TaskStatus.RUNNING

    bench.stage.open("gate")
    await settled(task)
    assert await task.poll() is TaskStatus.COMPLETED
    assert str(task.status) == "completed"


async def test_polling_alone_sees_the_end_of_a_turn(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    status = task.status
    async with asyncio.timeout(PATIENCE):
        while status.is_running:
            await asyncio.sleep(0.01)
            status = await task.poll()

    assert status is TaskStatus.COMPLETED


async def test_the_history_can_be_fetched_whole(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    result = await task.result()

    assert texts(await task.get_messages()) == texts(result.messages)


@pytest.mark.needs(Can.TIMES)
async def test_the_history_can_be_fetched_from_a_time_on(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    everything = await task.get_messages()

    last = everything[-1].created_at
    assert last is not None
    assert await task.get_messages(after=last) == []
    assert texts(await task.get_messages(after=last - timedelta(microseconds=1))) == [typed("a")]
    assert await task.get_messages(after=last - timedelta(days=1)) == everything
    with pytest.raises(ValueError, match="time zone"):
        await task.get_messages(after=last.replace(tzinfo=None))


async def test_a_task_knows_its_metadata(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    assert task.id
    assert task.ref
    assert not task.status.is_final
    await settled(task)

    assert task.info.id == task.id
    assert task.info.agent_id == bench.agent_id
    assert task.platform_state
    assert task.requests == ()


@pytest.mark.needs(Can.TIMES)
async def test_a_task_knows_when_it_was_made(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)

    assert task.created_at is not None
    assert task.updated_at is not None
    assert task.created_at.tzinfo is UTC
    assert task.created_at <= task.updated_at


@pytest.mark.lacks(Can.TIMES)
async def test_where_no_times_are_told_none_are_made_up(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    result = await task.result()

    assert [each.created_at for each in result.messages] == [None, None]
    assert task.created_at is None
    # What may be later is not left out.
    assert await task.get_messages(after=datetime.now(UTC)) == list(result.messages)


@pytest.mark.needs(Can.TIMES)
async def test_messages_have_times_that_do_not_run_backwards(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b")))
    result = await task.result()

    times = [each.created_at for each in result.messages]
    assert all(each is not None and each.utcoffset() == timedelta(0) for each in times)
    assert times == sorted(times, key=lambda each: each.timestamp() if each else 0.0)


async def test_a_result_after_the_end_is_there_again(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    first = await task.result()

    assert await task.result(timeout=1.0) == first


@pytest.mark.needs(Can.TRAFFIC)
async def test_a_task_that_nobody_watches_runs_all_the_same(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    bench.stage.open("gate")
    await eventually(lambda: bench.traffic.streams == 0, "a stream was opened for nobody")

    messages = Probe(task.messages)
    await settled(task)
    assert texts(messages.values)[-1] == typed("a")
