"""The streams of a task, and what operators make of them, keep all the rules."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from rxtasks import AgentMessage, AuthenticationError, Cadence, Client, Gap, Task, ToolMessage
from rxtasks.local import Context, message, tool_started
from rxtasks.local import typing as typing_
from rxtasks.operators import live_text, merge, of_type
from rxtasks.platforms import Local
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import (
    Driven,
    Rule,
    ScriptedPlatform,
    Step,
    agent,
    at,
    check_stream,
    error,
    status,
    tool,
    typing,
)
from rxtasks.webhooks import WebhookReceiver, sign
from tests.unit.reading import Written, update

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HERE = frozenset(Rule) - {Rule.ANY_LOOP}

PLATFORMS = {
    "everything": Capabilities(stream="everything", resume="full"),
    "no-resume": Capabilities(stream="everything", resume="none"),
    "shared": Capabilities(stream="everything", resume="none", stream_scope="client"),
    "deltas": Capabilities(stream="deltas"),
    "hints": Capabilities(stream="hints"),
    "polls": Capabilities(stream="nothing"),
}

STREAMS: dict[str, Callable[[Task], Observable[Any]]] = {
    "messages": lambda task: task.messages,
    "updates": lambda task: task.updates,
    "errors": lambda task: task.errors,
    "events": lambda task: task.events,
    "snapshots": lambda task: task.snapshots,
    "messages.live": lambda task: task.messages.live,
    "updates.live": lambda task: task.updates.live,
    "errors.live": lambda task: task.errors.live,
    "events.live": lambda task: task.events.live,
    "snapshots.live": lambda task: task.snapshots.live,
    "events.after": lambda task: task.events.after(3),
    "of_type": lambda task: task.messages.pipe(of_type(AgentMessage, ToolMessage)),
    "live_text": lambda task: task.messages.pipe(live_text()),
    "map": lambda task: task.messages.map(lambda message: message.id),
    "debounce": lambda task: task.messages.pipe(ops.debounce(0.001)),
    "merge": lambda task: merge(task.messages, task.updates, task.errors),
}
TOLD = {"messages", "updates", "errors", "events", "snapshots", "messages.live", "events.after"}
OFTEN = {"everything", "polls"}  # the platforms on which all others are tried as well

# What operators of ours are without the shelter that a stream gives to all that is made of it.
BARE: dict[str, Callable[[Task], Observable[Any]]] = {
    "of_type": lambda task: of_type(AgentMessage)(task.messages),
    "live_text": lambda task: live_text()(task.messages),
}


def turn(number: int) -> list[Step]:
    return [
        at(0.0, status("running"), tool(f"t{number}", "grep", "running")),
        at(0.01, typing(f"m{number}", "three "), typing(f"m{number}", "lines")),
        at(0.01, agent(f"m{number}", "three lines"), error(f"e{number}", "no tea")),
        at(0.02, status("completed")),
    ]


def others(name: str, task: Task) -> list[Observable[Any]]:
    return [task.events, task.updates] if name in ("messages", "errors") else []


def scripted(
    name: str, can: Capabilities, pick: Callable[[Task], Observable[Any]], *, deleted: bool = False
) -> Callable[[], AbstractAsyncContextManager[Driven]]:
    """Make a stream of a scripted task, which completes when it is left or deleted."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Driven]:
        platform = ScriptedPlatform(*(turn(n) for n in range(30)), capabilities=can)
        async with Client(platform, cadence=Cadence(jitter=0.0)) as client:
            task = await client.agent("a").run("go")
            numbers = itertools.count()
            refused = [AuthenticationError("no", status=401)]

            async def fail() -> None:
                platform.on_poll = lambda _: refused.pop() if refused else None
                await asyncio.sleep(
                    1.0
                )  # a send has just been told, and asks for a poll of its own
                await task.send("one more")

            yield Driven(
                stream=pick(task),
                emit=lambda: task.send(f"more {next(numbers)}"),
                others=others(name, task),
                complete=task.end if deleted else task.unsubscribe,
                fail=fail,
                opened=(lambda: len(platform.streams)) if can.stream == "everything" else None,
            )

    return make


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("name", "can"),
    [(name, can) for name in STREAMS for can in PLATFORMS if name in TOLD or can in OFTEN],
)
async def test_the_streams_of_a_task_keep_the_rules(name: str, can: str) -> None:
    make = scripted(name, PLATFORMS[can], STREAMS[name])

    assert await check_stream(make, rules=HERE, quiet=1.0) == HERE


def written(stream: str, others: Sequence[str] = ()) -> Driven:
    """Make a stream of a log that is written at once, wherever one is: also inside on_next."""
    log = Written()
    numbers = itertools.count()

    def emit() -> None:
        number = next(numbers)
        log.append([agent(f"m{number}", "so"), update(f"word {number}"), Gap(id=f"g{number}")])

    return Driven(
        stream=getattr(log, stream),
        emit=emit,
        others=[getattr(log, name) for name in others],
        complete=log.complete,
        fail=lambda: log.fail(ValueError("a failure")),
        opened=lambda: log.source.starts,
    )


@pytest.mark.parametrize("name", ["messages", "updates", "errors", "events"])
async def test_a_log_keeps_them_on_every_loop_though_it_is_written_inside_on_next(
    name: str,
) -> None:
    others = {"messages": ["events", "updates"]}.get(name, [])

    rules = await check_stream(lambda: written(name, others), quiet=0.01)

    assert rules == frozenset(Rule)


async def clerk(ctx: Context) -> AsyncIterator[Any]:
    run = tool_started("look up")
    yield run
    yield run.finished(output="found")
    yield typing_("All ")
    yield typing_("done.")
    yield message()
    raise ValueError("and yet it failed")


def embedded(pick: Callable[[Task], Observable[Any]]) -> AbstractAsyncContextManager[Driven]:
    """Make a stream of a task of the embedded platform."""

    @asynccontextmanager
    async def make() -> AsyncIterator[Driven]:
        async with Client(Local(agents={"clerk": clerk})) as client:
            task = await client.agent("clerk").run("go")
            await task.result()
            yield Driven(
                stream=pick(task),
                emit=lambda: task.send("more"),
                others=[task.events, task.errors, task.updates],
                complete=task.unsubscribe,
            )

    return make()


@pytest.mark.parametrize("name", ["messages", "snapshots"])
async def test_the_embedded_platform_keeps_them_on_every_loop(name: str) -> None:
    rules = await check_stream(lambda: embedded(STREAMS[name]), quiet=0.02, patience=10)

    assert rules == frozenset(Rule)


async def test_the_deliveries_of_webhooks_keep_them_on_every_loop() -> None:
    def make() -> Driven:
        receiver = WebhookReceiver(SECRET)
        numbers = itertools.count()

        def emit() -> None:
            body = b'{"task_id": "t"}'
            receiver.receive(body, sign(body, SECRET, id=f"msg-{next(numbers)}"))

        return Driven(stream=receiver.deliveries, emit=emit, complete=receiver.close)

    assert await check_stream(make, quiet=0.01) == frozenset(Rule)


@pytest.mark.looptime
@pytest.mark.parametrize("name", STREAMS)
async def test_they_keep_them_when_the_task_is_deleted(name: str) -> None:
    make = scripted(name, PLATFORMS["everything"], STREAMS[name], deleted=True)
    rules = {Rule.GRAMMAR, Rule.SUBSCRIBE, Rule.ISOLATION, Rule.LATE}

    assert await check_stream(make, rules=rules, quiet=1.0) == rules


@pytest.mark.looptime
@pytest.mark.parametrize("name", BARE)
async def test_the_operators_keep_them_by_themselves(name: str) -> None:
    make = scripted(name, PLATFORMS["everything"], BARE[name])

    assert await check_stream(make, rules=HERE, quiet=1.0) == HERE
