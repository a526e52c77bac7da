"""Everything ends: by unsubscribe, with the client, and nothing can be used after that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rxtasks import Client, ClientClosed
from tests.conformance.script import hold, prompt, say, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, has_agent, settled, texts, turns, whole


@pytest.mark.needs(Can.FINALS)
@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_unsubscribe_completes_observers_and_results_go_on(bench: Bench, where: str) -> None:
    task = await bench.agent.run(prompt(types("a"), say(), hold("gate"), types("b")))
    probes = [Probe(stream) for stream in (task.messages, task.updates, task.errors, task.events)]
    pending = asyncio.create_task(task.result())
    await probes[0].until(has_agent(typed("a")))
    if where == "loop":
        task.unsubscribe()
        task.unsubscribe()
    else:
        await asyncio.to_thread(task.unsubscribe)
    for probe in probes:
        await probe.until_ended()

    assert all(probe.completed and probe.error is None for probe in probes)
    assert not pending.done()
    bench.stage.open("gate")
    assert (await pending).text == typed("b")
    assert not has_agent(typed("b"))(probes[0].values)


@pytest.mark.needs(Can.TRAFFIC)
async def test_unsubscribe_closes_everything(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    before = asyncio.all_tasks()
    messages = Probe(task.messages)
    await messages.until(len)
    task.unsubscribe()
    await turns()

    assert messages.completed
    assert asyncio.all_tasks() <= before
    assert bench.traffic.streams == 0
    bench.stage.open("gate")


@pytest.mark.needs(Can.FINALS)
async def test_subscribing_after_unsubscribe_goes_on_without_repeats(bench: Bench) -> None:
    text = prompt(types("a"), say(), hold("gate"), types("b"))
    task = await bench.agent.run(text)
    first = Probe(task.messages)
    await first.until(has_agent(typed("a")))
    task.unsubscribe()
    await first.until_ended()
    bench.stage.open("gate")
    second, live = Probe(task.messages), Probe(task.messages.live)
    await settled(task)

    assert texts(second.values) == [text, typed("a"), typed("b")]
    keys = [(each.id, each.revision) for each in whole(second.values)]
    assert len(keys) == len(set(keys))
    assert not has_agent(typed("a"))(live.values)


async def test_unsubscribe_without_observers_is_no_error(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    task.unsubscribe()
    await asyncio.to_thread(task.unsubscribe)
    await settled(task)
    task.unsubscribe()
    await turns()

    assert (await task.result()).text == typed("a")


@pytest.mark.needs(Can.SECOND)
async def test_closing_a_client_ends_everything_of_its_tasks(bench: Bench) -> None:
    async with bench.another() as client:
        agent = client.agent(bench.agent_id)
        running = await agent.run(prompt(hold("gate"), types("a")))
        done = await agent.run(prompt(types("b")))
        new = agent.new_task()
        await done.result()
        tasks = (running, done, new)
        probes: list[Probe[Any]] = [
            Probe(stream)
            for task in tasks
            for stream in (task.messages, task.updates, task.errors, task.events, task.snapshots)
        ]
        pending = [asyncio.create_task(running.result()) for _ in range(2)]
        reading = asyncio.create_task(_read(running))
        await bench.stage.reached("gate")
        await probes[0].until(len)
        await turns()
    await turns()

    assert all(probe.completed and probe.error is None for probe in probes)
    for each in pending:
        with pytest.raises(ClientClosed):
            await each
    assert await asyncio.wait_for(reading, 1.0)
    bench.stage.open("gate")


async def _read(task: Any) -> list[Any]:
    return [message async for message in task.messages]


@pytest.mark.needs(Can.SECOND)
async def test_a_client_that_was_closed_cannot_be_used(bench: Bench) -> None:
    async with bench.another() as client:
        agent = client.agent(bench.agent_id)
        task = await agent.run(prompt(types("a")))
        await task.result()
    await client.aclose()

    for ask in (task.poll, task.result, task.get_messages):
        with pytest.raises(ClientClosed):
            await asyncio.wait_for(ask(), 2.0)
    with pytest.raises(ClientClosed):
        await task.send(prompt(types("b")))
    with pytest.raises(ClientClosed):
        await agent.run(prompt(types("b")))
    for stream in (task.messages, task.updates, task.errors, task.events, task.snapshots):
        with pytest.raises(ClientClosed):
            stream.subscribe(print)
    with pytest.raises(ClientClosed):
        await client.__aenter__()
    task.unsubscribe()


@pytest.mark.needs(Can.SECOND, Can.LIST, Can.CANCEL, Can.DELETE)
async def test_a_client_that_was_closed_cannot_list_cancel_or_end(bench: Bench) -> None:
    async with bench.another() as client:
        agent = client.agent(bench.agent_id)
        task = await agent.run(prompt(types("a")))
        await task.result()
    with pytest.raises(ClientClosed):
        await anext(agent.tasks())
    for ask in (task.cancel, task.end):
        with pytest.raises(ClientClosed):
            await asyncio.wait_for(ask(), 2.0)

    assert await bench.client.task(task.ref).poll()


@pytest.mark.needs(Can.SECOND)
async def test_a_client_that_was_not_entered_cannot_be_used(bench: Bench) -> None:
    client = bench.another()
    assert isinstance(client, Client)
    task = client.agent(bench.agent_id).new_task()
    with pytest.raises(ClientClosed):
        task.messages.subscribe(print)
    with pytest.raises(ClientClosed):
        await task.send(prompt(types("a")))
    await client.aclose()


@pytest.mark.needs(Can.SECOND)
async def test_what_a_closed_client_saw_can_be_looked_up(bench: Bench) -> None:
    async with bench.another() as client:
        task = await client.agent(bench.agent_id).run(prompt(types("a")))
        await task.result()

    assert task.id
    assert task.status.is_final
    assert (await bench.client.task(task.ref).result()).text == typed("a")


@pytest.mark.needs(Can.SECOND)
async def test_one_client_that_closes_leaves_the_other_alone(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    messages = Probe(task.messages)
    async with bench.another() as other:
        twin = other.task(task.ref)
        Probe(twin.messages)
        await bench.stage.reached("gate")
    assert not messages.ended
    bench.stage.open("gate")

    assert (await task.result()).text == typed("a")


@pytest.mark.needs(Can.SECOND)
async def test_nobody_can_come_in_while_a_client_closes(bench: Bench) -> None:
    refused: list[Exception] = []
    async with bench.another() as client:
        task = await client.agent(bench.agent_id).run(prompt(hold("gate"), types("a")))

        def come_back() -> None:
            try:
                task.messages.subscribe(print)
            except ClientClosed as error:
                refused.append(error)

        task.messages.subscribe(on_completed=come_back)
        await bench.stage.reached("gate")
        bench.stage.open("gate")
        await turns()

    assert len(refused) == 1
