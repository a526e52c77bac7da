"""The operators for tasks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from reactivex import operators as ops

from rxtasks.models import AgentMessage, ToolMessage, TypingMessage
from rxtasks.operators import LiveText, live_text, of_type, until_settled
from tests.unit.reading import (
    Observed,
    Written,
    agent,
    brief,
    thought,
    tool,
    turns,
    typed,
)


class Task:
    """As much of a task as operators need."""

    def __init__(self) -> None:
        self.log = Written()
        self.events = self.log.events
        self.messages = self.log.messages


async def test_of_type_keeps_what_is_of_one_of_the_classes() -> None:
    task = Task()
    seen = Observed()
    task.messages.pipe(of_type(AgentMessage, ToolMessage)).subscribe(seen)
    await turns()
    task.log.append([typed("a", "x"), agent("a"), tool("t", "running")])
    task.log.complete()
    assert seen.calls == ["a", "t:running", "completed"]


async def test_live_text_grows_and_is_replaced_by_the_final_text() -> None:
    task = Task()
    seen: list[LiveText] = []
    task.messages.pipe(live_text()).subscribe(seen.append)
    await turns()
    task.log.append([typed("m", "Hel", "lo"), thought("m", "Hm"), typed("n", "x")])
    task.log.append([typed("m", "!"), AgentMessage("Hello!", id="m"), tool("t", "running")])
    assert seen == [
        LiveText("m", "Hel"),
        LiveText("m", "Hello"),
        LiveText("n", "x"),
        LiveText("m", "Hello!"),
        LiveText("m", "Hello!", final=True),
    ]


async def test_live_text_begins_anew_for_each_observer() -> None:
    task = Task()
    task.log.append([typed("m", "Hel")])
    stream = task.messages.pipe(live_text())
    first: list[LiveText] = []
    second: list[LiveText] = []
    stream.subscribe(first.append)
    await turns()
    stream.subscribe(second.append)
    await turns()
    task.log.append([typed("m", "lo")])
    assert first == second == [LiveText("m", "Hel"), LiveText("m", "Hello")]


@pytest.mark.parametrize("settled_before", [False, True])
async def test_until_settled_completes_after_all_of_the_turn(*, settled_before: bool) -> None:
    task = Task()
    seen = Observed()

    def turn() -> None:
        task.log.append([typed("m", "a"), agent("m")])
        task.log.settle()

    if settled_before:
        turn()
    task.messages.pipe(until_settled(task)).subscribe(seen)
    await turns()
    if not settled_before:
        turn()
    assert [call for call in seen.calls if call != "m+a"] == ["m", "completed"]
    task.log.reopen()
    task.log.say("more")
    await turns()
    assert seen.calls[-1] == "completed"
    assert task.log.source.users == 0


async def test_until_settled_fails_once_and_lets_go() -> None:
    task = Task()
    seen = Observed()
    task.messages.pipe(until_settled(task)).subscribe(seen)
    await turns()
    task.log.fail(OSError("gone"))
    assert seen.calls == ["failed: gone"]
    assert task.log.source.users == 0


async def test_until_settled_completes_when_nothing_is_watched_any_more() -> None:
    task = Task()
    seen = Observed()
    task.messages.pipe(until_settled(task)).subscribe(seen)
    await turns()
    task.log.complete()
    assert seen.calls == ["completed"]
    assert task.log.source.users == 0


async def test_leaving_until_settled_lets_go_of_both() -> None:
    task = Task()
    subscription = task.messages.pipe(until_settled(task)).subscribe(lambda _: None)
    await turns()
    assert task.log.source.users == 2
    subscription.dispose()
    assert task.log.source.users == 0


async def test_a_derived_stream_can_be_awaited() -> None:
    task = Task()
    task.log.append([agent("a"), agent("b"), typed("c", "x")])
    task.log.settle()
    last = task.messages.pipe(of_type(AgentMessage), until_settled(task))
    assert brief(await last) == "b"
    assert task.log.source.users == 0


async def test_awaiting_a_derived_stream_can_be_cancelled() -> None:
    task = Task()

    async def wait() -> Any:
        return await task.messages.pipe(of_type(TypingMessage))

    waiting = asyncio.ensure_future(wait())
    await turns()
    assert task.log.source.users == 1
    waiting.cancel()
    await turns()
    assert task.log.source.users == 0


async def test_operators_of_rx_go_on_over_a_failure_and_a_retry() -> None:
    task = Task()
    seen = Observed()
    task.messages.pipe(ops.retry(2)).subscribe(seen)
    await turns()
    task.log.say("a")
    task.log.fail(OSError("once"))
    await turns()
    task.log.say("b")
    task.log.fail(OSError("twice"))
    await turns()
    assert seen.calls == ["a", "a", "b", "failed: twice"]
    assert task.log.source.users == 0


# ------------------------------------------------------------------ below subscribe


@pytest.mark.parametrize("end", ["settled", "completed", "failed"])
async def test_until_settled_ends_once_and_lets_go_by_itself(end: str) -> None:
    task = Task()
    seen = Observed()
    # Past the AutoDetachObserver of `subscribe`, which would hide what comes too much.
    until_settled(task)(task.messages)._subscribe_core(seen)
    await turns()
    task.log.say("a")
    if end == "settled":
        task.log.settle()
    elif end == "completed":
        task.log.complete()
    else:
        task.log.fail(OSError("gone"))
    task.log.say("b")
    await turns()
    assert seen.calls == ["a", "failed: gone" if end == "failed" else "completed"]
    assert task.log.source.users == 0


async def test_what_is_derived_from_a_stream_can_be_probed() -> None:
    task = Task()
    seen = Observed()
    derived = task.messages.map(lambda message: message.id.upper())
    subscription = derived._subscribe_core(seen)
    await turns()
    task.log.say("a")
    subscription.dispose()
    task.log.say("b")
    assert seen.calls == ["A"]
    assert task.log.source.users == 0
