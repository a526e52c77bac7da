"""The tasks of an agent are listed."""

from __future__ import annotations

import asyncio

import pytest

from rxtasks import AgentNotFound, ConfigurationError, Task, TaskStatus
from tests.conformance.script import fail, prompt, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import settled


async def _three(bench: Bench) -> list[Task]:
    prompts = [
        prompt(types("a"), title="red apples"),
        prompt(fail("it broke"), title="green apples"),
        prompt(types("c"), title="red cherries"),
    ]
    tasks: list[Task] = []
    for each in prompts:
        tasks.append(await bench.agent.run(each))
        await asyncio.sleep(0.003)  # platforms tell times in milliseconds, by which they sort
    await asyncio.gather(*(task.result() for task in tasks))
    return tasks


@pytest.mark.needs(Can.LIST)
async def test_all_tasks_of_an_agent_are_listed(bench: Bench) -> None:
    tasks = await _three(bench)
    found = [task async for task in bench.agent.tasks()]

    assert len(found) == 3
    assert {task.id for task in found} == {task.id for task in tasks}
    assert all(any(each is task for task in tasks) for each in found)


@pytest.mark.needs(Can.LIST)
async def test_an_agent_without_tasks_has_an_empty_list(bench: Bench) -> None:
    assert [task async for task in bench.agent.tasks()] == []


@pytest.mark.needs(Can.LIST, Can.SECOND, Can.TRAFFIC)
async def test_listed_tasks_know_their_status_without_a_poll(bench: Bench) -> None:
    tasks = await _three(bench)
    async with bench.another() as other:
        polls = bench.traffic.polls
        found = {task.id: task async for task in other.agent(bench.agent_id).tasks()}

        wanted = [TaskStatus.COMPLETED, TaskStatus.ERROR, TaskStatus.COMPLETED]
        assert [found[task.id].status for task in tasks] == wanted
        assert [found[task.id].created_at for task in tasks] == [each.created_at for each in tasks]
        assert bench.traffic.polls == polls
        assert (await found[tasks[0].id].result()).text == typed("a")


@pytest.mark.needs(Can.LIST, Can.SORT)
async def test_a_list_is_limited_to_a_status(bench: Bench) -> None:
    tasks = await _three(bench)
    failed = [task.id async for task in bench.agent.tasks(status=TaskStatus.ERROR)]
    done = [task.id async for task in bench.agent.tasks(status="completed")]

    assert failed == [tasks[1].id]
    assert set(done) == {tasks[0].id, tasks[2].id}
    assert [task async for task in bench.agent.tasks(status=TaskStatus.PAUSED)] == []


@pytest.mark.needs(Can.LIST, Can.SEARCH)
async def test_a_list_is_searched(bench: Bench) -> None:
    tasks = await _three(bench)
    found = {task.id async for task in bench.agent.tasks(search="red")}

    assert found == {tasks[0].id, tasks[2].id}
    assert [task async for task in bench.agent.tasks(search="bananas")] == []


@pytest.mark.needs(Can.LIST, Can.SORT)
async def test_a_list_is_sorted(bench: Bench) -> None:
    tasks = await _three(bench)
    ids = [task.id for task in tasks]
    assert [task.id async for task in bench.agent.tasks(sort="created_at")] == ids
    assert [task.id async for task in bench.agent.tasks(sort="-created_at")] == ids[::-1]

    await tasks[0].send(prompt(types("d")))
    await settled(tasks[0])
    newest = [task.id async for task in bench.agent.tasks(sort="-updated_at", limit=1)]
    assert newest == ids[:1]


@pytest.mark.needs(Can.LIST)
async def test_a_list_is_cut(bench: Bench) -> None:
    await _three(bench)

    assert len([task async for task in bench.agent.tasks(limit=2)]) == 2
    assert len([task async for task in bench.agent.tasks(limit=99)]) == 3
    assert [task async for task in bench.agent.tasks(limit=0)] == []
    with pytest.raises(ConfigurationError, match="limit is a whole number from 0 on, or None"):
        await anext(bench.agent.tasks(limit=-1))


@pytest.mark.needs(Can.LIST)
async def test_a_long_list_is_whole_and_can_be_left_early(bench: Bench) -> None:
    tasks = [await bench.agent.run(prompt(types("a", 1))) for _ in range(bench.many)]
    await asyncio.gather(*(task.result() for task in tasks))
    found = [task.id async for task in bench.agent.tasks()]
    assert sorted(found) == sorted(task.id for task in tasks)

    async for task in bench.agent.tasks():
        assert task.id in found
        break


@pytest.mark.needs(Can.LIST)
async def test_what_cannot_be_listed_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="resting"):
        await anext(bench.agent.tasks(status="resting"))
    with pytest.raises(ConfigurationError, match="colour"):
        await anext(bench.agent.tasks(sort="colour"))
    with pytest.raises(AgentNotFound):
        await anext(bench.client.agent(bench.no_agent).tasks())


@pytest.mark.needs(Can.LIST)
async def test_listing_asks_for_nothing_before_the_first_step(bench: Bench) -> None:
    listing = bench.client.agent(bench.no_agent).tasks()
    with pytest.raises(AgentNotFound):
        await anext(listing)
