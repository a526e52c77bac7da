"""What does not exist, and agents that fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from reactivex import Observable

from rxtasks import (
    AgentErrorMessage,
    AgentFault,
    AgentNotFound,
    Client,
    ConfigurationError,
    FatalFault,
    Message,
    Task,
    TaskNotFound,
    TaskStatus,
)
from tests.conformance.script import fail, hold, prompt, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, eventually, has_status, settled, turns


def _no_task(bench: Bench, client: Client | None = None) -> Task:
    return (client or bench.client).agent(bench.agent_id).task(bench.no_task)


async def test_an_agent_that_is_not_there_cannot_run(bench: Bench) -> None:
    with pytest.raises(AgentNotFound, match=bench.no_agent):
        await bench.client.agent(bench.no_agent).run(prompt(types("a")))
    task = bench.client.agent(bench.no_agent).new_task()
    with pytest.raises(AgentNotFound):
        await task.send(prompt(types("a")))
    assert task.status is TaskStatus.NOT_STARTED


async def test_a_task_that_is_not_there_cannot_be_asked(bench: Bench) -> None:
    task = _no_task(bench)
    for ask in (task.poll, task.result, task.get_messages):
        with pytest.raises(TaskNotFound):
            await asyncio.wait_for(ask(), 2.0)
    with pytest.raises(TaskNotFound):
        await task.send(prompt(types("a")))


@pytest.mark.needs(Can.CANCEL, Can.DELETE, Can.ASK)
async def test_a_task_that_is_not_there_cannot_be_told(bench: Bench) -> None:
    task = _no_task(bench)
    with pytest.raises(TaskNotFound):
        await task.cancel()
    with pytest.raises(TaskNotFound):
        await task.end()
    with pytest.raises(TaskNotFound):
        await task.respond("request", "yes")


async def test_a_fatal_fault_is_a_value_first_and_then_the_end(bench: Bench) -> None:
    task = _no_task(bench)
    diary: list[tuple[str, Any]] = []
    probes: list[Probe[Any]] = [
        Probe(stream, name=name, diary=diary)
        for name, stream in (
            ("messages", task.messages),
            ("updates", task.updates),
            ("errors", task.errors),
            ("snapshots", task.snapshots),
            ("events", task.events),
        )
    ]
    messages, updates, errors, snapshots, events = probes
    for probe in probes:
        await probe.until_ended()

    (fault,) = errors.values
    assert isinstance(fault, FatalFault)
    assert isinstance(fault.cause, TaskNotFound)
    assert errors.completed
    for probe in (messages, updates, snapshots, events):
        assert isinstance(probe.error, TaskNotFound)
        assert not probe.completed
    ends = [name for name, what in diary if what in ("error", "completed")]
    assert ends[0] == "errors"
    assert [each.value for each in events.values if isinstance(each.value, FatalFault)] == [fault]


async def test_merged_streams_see_the_fault_before_they_fail(bench: Bench) -> None:
    task = _no_task(bench)
    everything: list[Observable[Any]] = [task.messages, task.updates, task.errors]
    merged: Observable[Any] = reactivex.merge(*everything)
    probe = Probe(merged)
    await probe.until_ended()

    assert isinstance(probe.error, TaskNotFound)
    assert any(isinstance(each, FatalFault) for each in probe.values)


async def test_subscribing_after_a_fatal_fault_tries_anew(bench: Bench) -> None:
    task = _no_task(bench)
    await Probe(task.messages).until_ended()
    again, errors = Probe(task.messages), Probe(task.errors)
    await again.until_ended()
    await errors.until_ended()

    assert isinstance(again.error, TaskNotFound)
    assert errors.completed
    assert len(errors.values) == 2  # the log has the first one


async def test_a_fatal_fault_ends_async_iteration(bench: Bench) -> None:
    task = _no_task(bench)
    with pytest.raises(TaskNotFound):
        await asyncio.wait_for(_read(task), 5.0)
    faults = [fault async for fault in task.errors]
    assert all(isinstance(each, FatalFault) for each in faults)
    assert faults


async def _read(task: Task) -> list[Message]:
    return [message async for message in task.messages]


async def test_names_that_are_empty_are_refused(bench: Bench) -> None:
    for ask in (bench.client.agent, bench.client.task, bench.agent.task):
        for empty in ("", "  "):
            with pytest.raises(ConfigurationError):
                ask(empty)


@pytest.mark.lacks(Can.BARE_ID)
async def test_a_task_that_lacks_its_agent_is_refused_with_advice(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="agent"):
        bench.client.task("task-1")


async def test_an_agent_that_fails_is_a_result_and_no_exception(bench: Bench) -> None:
    task = await bench.agent.run(prompt(fail("out of luck")))
    result = await task.result()

    assert result.status == "error"
    assert "out of luck" in result.text
    assert task.status is TaskStatus.ERROR
    failures = [each for each in result.messages if isinstance(each, AgentErrorMessage)]
    assert len(failures) == 1
    assert failures[0].last_error == failures[0].errors[-1]


async def test_an_agent_that_fails_is_told_once_on_each_stream(bench: Bench) -> None:
    task = await bench.agent.run(prompt(fail("out of luck")))
    messages, updates = Probe(task.messages), Probe(task.updates)
    errors, events = Probe(task.errors), Probe(task.events)
    await settled(task)

    (message,) = [each for each in messages.values if isinstance(each, AgentErrorMessage)]
    (fault,) = errors.values
    assert fault == AgentFault(message, message.last_error)
    assert [each.value for each in events.values if each.value == message] == [message]
    assert not any(isinstance(each.value, AgentFault) for each in events.values)
    assert updates.values[-1].status is TaskStatus.ERROR
    assert not any(probe.ended for probe in (messages, updates, errors, events))


@pytest.mark.needs(Can.AGAIN)
async def test_an_agent_that_failed_takes_another_message(bench: Bench) -> None:
    task = await bench.agent.run(prompt(fail("out of luck")))
    errors = Probe(task.errors)
    assert (await task.result()).status == "error"
    await task.send(prompt(types("a")))
    result = await task.result()

    assert result.status == "completed"
    assert result.text == typed("a")
    assert len(errors.values) == 1


async def test_text_before_a_failure_is_the_text_of_the_result(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a"), fail("out of luck")))
    result = await task.result()

    assert result.status == "error"
    assert result.text == typed("a")


@pytest.mark.needs(Can.DELETE, Can.SECOND)
async def test_a_task_that_another_client_deletes_is_gone(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await settled(task)
    async with bench.another() as other:
        twin = other.task(task.ref)
        messages = Probe(twin.messages)
        await messages.until(lambda values: len(values) >= 2)
        await task.end()
        with pytest.raises(TaskNotFound):
            await twin.poll()
        with pytest.raises(TaskNotFound):
            await twin.send(prompt(types("b")))


@pytest.mark.needs(Can.DELETE, Can.SECOND, Can.SEPARATE)
async def test_a_running_task_that_another_client_deletes_ends_everybody(bench: Bench) -> None:
    task = await bench.agent.run(prompt(hold("gate"), types("a")))
    await bench.stage.reached("gate")
    async with bench.another() as other:
        twin = other.task(task.ref)
        messages, errors = Probe(twin.messages), Probe(twin.errors)
        updates = Probe(twin.updates)
        await updates.until(has_status(TaskStatus.RUNNING))
        await turns()
        pending = asyncio.create_task(twin.result())
        await turns()
        await task.end()
        await eventually(lambda: messages.ended and errors.ended, "nobody noticed")
        with pytest.raises(TaskNotFound):
            await pending

        assert isinstance(messages.error, TaskNotFound)
        assert errors.completed
        assert isinstance(errors.values[-1], FatalFault)
