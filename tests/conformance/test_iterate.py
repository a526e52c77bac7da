"""Streams are read with `async for`, with a bound, and awaited."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Literal

import pytest

from rxtasks import AgentMessage, ConfigurationError, Message, ReaderTooSlow, TaskStatus
from rxtasks.operators import live_text, of_type, until_settled
from tests.conformance.script import hold, prompt, say, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, has_agent, settled, texts, turns, whole

STEMS = "abcdef"
SIX = [step for stem in STEMS for step in (types(stem), say())]


async def test_iteration_gives_everything_and_ends_with_the_turn(bench: Bench) -> None:
    text = prompt(types("a"), say(), types("b"))
    task = await bench.agent.run(text)
    values = [message async for message in task.messages]

    assert texts(values) == [text, typed("a"), typed("b")]
    assert task.status is TaskStatus.COMPLETED
    again = [message async for message in task.messages]
    assert texts(again) == [text, typed("a"), typed("b")]


async def test_all_streams_can_be_iterated_at_once(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))

    async def count(stream: str) -> int:
        return len([value async for value in getattr(task, stream)])

    streams = ("messages", "updates", "events", "snapshots", "errors")
    counts = await asyncio.gather(*(count(stream) for stream in streams))
    assert all(counts[:4])
    assert counts[4] == 0


@pytest.mark.needs(Can.AGAIN)
async def test_iteration_of_the_next_turn_waits_for_its_end(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await task.result()
    await task.send(prompt(hold("gate"), types("b")))
    reading = asyncio.create_task(_read(task.messages))
    await bench.stage.reached("gate")
    await turns()
    assert not reading.done()
    bench.stage.open("gate")

    assert texts(await reading)[-1] == typed("b")


async def _read(stream: Any) -> list[Message]:
    return [message async for message in stream]


@pytest.mark.needs(Can.AGAIN)
async def test_an_iteration_can_go_on_over_turns(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    seen: list[Message] = []
    async with task.messages.iterate(until_settled=False) as messages:
        async for message in messages:
            seen.append(message)
            if has_agent(typed("a"))([message]):
                await task.send(prompt(types("b")))
            if has_agent(typed("b"))([message]):
                break

    assert texts(seen)[1::2] == [typed("a"), typed("b")]


@pytest.mark.needs(Can.TRAFFIC)
async def test_leaving_an_iteration_stops_everything_at_once(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    before = asyncio.all_tasks()
    async with task.messages.iterate() as messages:
        async for _ in messages:
            break
    await turns()

    assert asyncio.all_tasks() <= before
    assert bench.traffic.streams == 0
    bench.stage.open("gate")


async def test_an_iteration_that_is_cancelled_leaves_the_task_running(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await _read(task.messages)
    bench.stage.open("gate")

    assert (await task.result()).text == typed("a")


async def test_a_stream_that_is_awaited_gives_its_last_value(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b")))
    last = await task.messages

    assert isinstance(last, AgentMessage)
    assert last.text == typed("b")
    assert (await task.updates).status is TaskStatus.COMPLETED
    assert (await task.snapshots).messages[-1] == last


async def test_a_slow_reader_loses_no_message(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), *SIX))
    fast = Probe(task.messages)
    async with task.messages.iterate() as messages:
        bench.stage.open("gate")
        await fast.until(has_agent(typed("f")))
        await settled(task)
        slow = [message async for message in messages]

    assert slow == whole(fast.values)  # deltas of finished messages are skipped


@pytest.mark.parametrize("overflow", ["drop_oldest", "drop_newest", "error"])
async def test_a_bound_holds(
    bench: Bench, overflow: Literal["drop_oldest", "drop_newest", "error"]
) -> None:
    task = await bench.agent.run(prompt(hold("gate"), *SIX))
    fast = Probe(task.messages)
    await fast.until(len)
    await bench.stage.reached("gate")
    seen: list[Message] = []
    async with task.messages.live.iterate(maxsize=2, overflow=overflow) as messages:
        await turns()
        bench.stage.open("gate")
        await fast.until(has_agent(typed("f")))
        await settled(task)
        with suppress(ReaderTooSlow):
            seen = [message async for message in messages]
            assert overflow != "error"
    if overflow == "error":
        return
    said = [typed(stem) for stem in STEMS]
    assert messages.dropped >= 4
    assert 1 <= len(seen) <= 2
    assert texts(seen) == (said[-len(seen) :] if overflow == "drop_oldest" else said[: len(seen)])


async def test_a_reader_that_lags_too_far_is_told(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), *SIX))
    await bench.stage.reached("gate")
    async with task.messages.iterate(maxsize=2) as messages:
        await turns()
        bench.stage.open("gate")
        await settled(task)
        with pytest.raises(ReaderTooSlow, match="2"):
            async for _ in messages:
                pass


async def test_the_log_before_a_bounded_iteration_counts_for_nothing(bench: Bench) -> None:
    text = prompt(*SIX)
    task = await bench.agent.run(text)
    await settled(task)
    async with task.messages.iterate(maxsize=1) as messages:
        values = [message async for message in messages]

    assert texts(values) == [text, *(typed(stem) for stem in STEMS)]
    assert messages.dropped == 0


async def test_a_bound_that_cannot_be_is_refused(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    with pytest.raises(ConfigurationError, match="maxsize"):
        task.messages.iterate(maxsize=0)
    overflow: Any = "explode"
    with pytest.raises(ConfigurationError, match="explode"):
        task.messages.iterate(maxsize=1, overflow=overflow)
    await settled(task)


async def test_operators_apply_to_streams(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), types("b")))
    agents = Probe(task.messages.pipe(of_type(AgentMessage), until_settled(task)))
    live = Probe(task.messages.pipe(live_text(), until_settled(task)))
    await agents.until_ended()
    await live.until_ended()

    assert agents.completed
    assert [each.text for each in agents.values] == [typed("a"), typed("b")]
    assert [each.text for each in live.values if each.final] == [typed("a"), typed("b")]


async def test_until_settled_of_a_turn_that_has_ended_gives_the_log(bench: Bench) -> None:
    text = prompt(types("a"))
    task = await bench.agent.run(text)
    await settled(task)
    probe = Probe(task.messages.pipe(until_settled(task)))
    await probe.until_ended()

    assert probe.completed
    assert texts(probe.values) == [text, typed("a")]


async def test_streams_cannot_be_iterated_synchronously(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    with pytest.raises(TypeError, match="async for"):
        list(task.messages)
    await settled(task)
