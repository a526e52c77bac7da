"""The agent asks, and is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from rxtasks import (
    ConfigurationError,
    Task,
    TaskStatus,
    TaskTimeout,
    TaskUpdate,
    UnsupportedOperation,
)
from tests.conformance.script import ask, prompt, say, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, has_status, settled


async def _asked(task: Task) -> str:
    updates = Probe(task.updates)
    values = await updates.until(has_status(TaskStatus.ACTION))
    updates.dispose()
    assert [each.id for each in task.requests] == [each.id for each in values[-1].requests]
    return values[-1].requests[0].id


def _asks(question: str) -> Callable[[Sequence[TaskUpdate]], bool]:
    return lambda values: any(
        request.prompt == question for each in values[-1:] for request in each.requests
    )


@pytest.mark.needs(Can.ASK)
async def test_a_question_is_on_the_task_and_on_its_updates(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("Go on?", "yes", "no")))
    updates = Probe(task.updates)
    await updates.until(has_status(TaskStatus.ACTION))

    assert task.status is TaskStatus.ACTION
    assert not task.is_running()
    assert task.requests == updates.values[-1].requests
    (request,) = updates.values[-1].requests
    assert request.prompt == "Go on?"
    assert request.options == (("yes", "no") if Can.OPTIONS in bench.can else ())
    await task.respond(request.id, "yes")
    result = await task.result()
    assert result.status == "completed"
    assert result.text == "yes"
    assert task.requests == ()
    await updates.until(lambda values: values[-1].requests == ())


@pytest.mark.needs(Can.ASK)
async def test_a_result_waits_while_the_task_waits_for_an_answer(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("Name?")))
    pending = asyncio.create_task(task.result())
    request = await _asked(task)
    with pytest.raises(TaskTimeout) as raised:
        await task.result(timeout=0.1)
    assert raised.value.status is TaskStatus.ACTION
    assert not pending.done()

    await task.respond(request, "Ada")
    assert (await pending).text == "Ada"


@pytest.mark.needs(Can.ASK, Can.OPTIONS)
async def test_an_answer_that_is_no_option_leaves_the_question_open(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("Go on?", "yes", "no")))
    request = await _asked(task)
    with pytest.raises(ConfigurationError, match="yes"):
        await task.respond(request, "perhaps")

    assert await task.poll() is TaskStatus.ACTION
    assert [each.id for each in task.requests] == [request]
    await task.respond(request, "no")
    assert (await task.result()).text == "no"


@pytest.mark.needs(Can.ASK)
async def test_answering_what_was_not_asked_is_an_error(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("Go on?")))
    request = await _asked(task)
    with pytest.raises(ConfigurationError):
        await task.respond("no-such-request", "yes")

    await task.respond(request, "yes")
    await settled(task)
    with pytest.raises(ConfigurationError):
        await task.respond(request, "yes")


@pytest.mark.needs(Can.ASK)
async def test_one_question_after_another_is_answered(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("One?"), ask("Two?")))
    updates = Probe(task.updates)
    for question, answer in (("One?", "one"), ("Two?", "two")):
        values = await updates.until(_asks(question))
        await task.respond(values[-1].requests[0].id, answer)

    assert (await task.result()).text == "two"


@pytest.mark.needs(Can.ASK, Can.SECOND)
async def test_another_client_can_answer(bench: Bench) -> None:
    task = await bench.agent.run(prompt(ask("Go on?"), say(), types("a")))
    pending = asyncio.create_task(task.result())
    async with bench.another() as other:
        twin = other.task(task.ref)
        await twin.respond(await _asked(twin), "yes")
        assert (await pending).text == typed("a")


@pytest.mark.lacks(Can.ASK)
async def test_a_platform_that_takes_no_answers_says_so(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    with pytest.raises(UnsupportedOperation):
        await task.respond("request", "yes")

    assert (await task.result()).text == typed("a")
