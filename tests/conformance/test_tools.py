"""Tool runs: their states come in order, and never backwards."""

from __future__ import annotations

import pytest

from rxtasks import Message, ToolMessage, ToolStatus
from tests.conformance.script import prompt, tool, typed, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, settled, whole

RANK = {ToolStatus.PENDING: 0, ToolStatus.RUNNING: 1}


def _runs(values: list[Message], name: str) -> list[ToolMessage]:
    return [each for each in values if isinstance(each, ToolMessage) and each.name == name]


@pytest.mark.needs(Can.TOOLS)
async def test_the_states_of_a_tool_come_in_order(bench: Bench) -> None:
    task = await bench.agent.run(prompt(tool("search", gate="gate"), types("a")))
    messages = Probe(task.messages)
    await messages.until(
        lambda values: any(each.status is ToolStatus.RUNNING for each in _runs(values, "search"))
    )
    bench.stage.open("gate")
    await settled(task)

    states = _runs(messages.values, "search")
    ranks = [RANK.get(each.status, 2) for each in states]
    assert ranks == sorted(set(ranks))
    assert states[-1].status is ToolStatus.COMPLETED
    assert [each.revision for each in states] == list(range(1, len(states) + 1))
    assert len({each.id for each in states}) == 1
    assert states[-1].params == {"of": "search"}
    assert states[-1].output == "search done"
    assert states[0].output is None


@pytest.mark.needs(Can.TOOLS, Can.EVERY_STATE)
async def test_every_state_of_a_tool_is_seen_however_short(bench: Bench) -> None:
    task = await bench.agent.run(prompt(*(tool(f"t{i}") for i in range(5)), types("a")))
    messages = Probe(task.messages)
    await settled(task)

    for i in range(5):
        states = [each.status for each in _runs(messages.values, f"t{i}")]
        assert states == [ToolStatus.PENDING, ToolStatus.RUNNING, ToolStatus.COMPLETED]


@pytest.mark.needs(Can.TOOLS)
async def test_a_tool_that_fails_says_why_and_the_turn_goes_on(bench: Bench) -> None:
    task = await bench.agent.run(prompt(tool("search", fails=True), types("a")))
    messages, errors = Probe(task.messages), Probe(task.errors)
    await settled(task)

    last = _runs(messages.values, "search")[-1]
    assert last.status is ToolStatus.ERROR
    assert last.errors == ("search broke",)
    assert errors.values == []
    assert (await task.result()).text == typed("a")


@pytest.mark.needs(Can.TOOLS)
async def test_the_result_has_each_tool_run_once_where_it_began(bench: Bench) -> None:
    task = await bench.agent.run(prompt(tool("one"), types("a"), tool("two"), types("b")))
    result = await task.result()

    order = [getattr(each, "name", "") or getattr(each, "text", "") for each in result.messages]
    assert order[1:] == ["one", typed("a"), "two", typed("b")]


@pytest.mark.needs(Can.TOOLS)
async def test_a_late_observer_sees_the_states_that_were_seen(bench: Bench) -> None:
    task = await bench.agent.run(prompt(tool("search", gate="gate"), types("a")))
    early = Probe(task.messages)
    await early.until(lambda values: _runs(values, "search"))
    bench.stage.open("gate")
    await settled(task)
    late = Probe(task.messages)
    await late.until(lambda values: len(whole(values)) == len(whole(early.values)))

    assert _runs(late.values, "search") == _runs(early.values, "search")
