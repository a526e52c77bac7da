"""Reading a stream with `async for`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from rxtasks import (
    AgentMessage,
    Client,
    ConfigurationError,
    ReaderTooSlow,
    TaskStatus,
    TransportFault,
)
from rxtasks.local import Context, Yield, message
from rxtasks.platforms.local import Local
from rxtasks.streams import Iteration
from tests.unit.reading import Written, agent, brief, turns, typed, update


async def asks(ctx: Context) -> AsyncIterator[Yield]:
    yield message(await ctx.ask("May I?", ["yes", "no"]))


@pytest.mark.parametrize("maxsize", [None, 100])
async def test_what_happens_while_a_reader_is_let_in_reaches_it(maxsize: int | None) -> None:
    # The reader looks, finds nothing and waits; then the feed starts, in the same turn of the
    # loop in which the reader is let in. Nothing happens after that until the reader answers.
    async with Client(Local({"asks": asks})) as client:
        task = await client.agent("asks").run("go")
        seen: list[TaskStatus] = []

        async with asyncio.timeout(5), task.updates.iterate(maxsize=maxsize) as updates:
            async for update in updates:
                seen.append(update.status)
                for request in update.requests:
                    await task.respond(request.id, "yes")

        assert TaskStatus.ACTION in seen
        assert seen[-1] is TaskStatus.COMPLETED
        assert (await task.result()).text == "yes"


@pytest.mark.parametrize("maxsize", [None, 100])
async def test_a_reader_gets_every_message_whether_bounded_or_not(maxsize: int | None) -> None:
    async def counts(ctx: Context) -> AsyncIterator[Yield]:
        for number in range(50):
            yield message(f"{ctx.text} {number}")

    async with Client(Local({"counts": counts})) as client:
        task = await client.agent("counts").run("n")

        async with asyncio.timeout(5), task.messages.iterate(maxsize=maxsize) as messages:
            texts = [each.text async for each in messages if isinstance(each, AgentMessage)]

        assert texts == [f"n {number}" for number in range(50)]


# ------------------------------------------------------------------ on a log, without a feed


async def rest(iteration: Iteration[Any]) -> list[Any]:
    """Read as far as there is something."""
    read: list[Any] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            async for value in iteration:
                read.append(brief(value))  # noqa: PERF401 - what was read before the time-out counts
    return read


async def test_an_iteration_reads_the_log_and_ends_when_the_turn_has_ended() -> None:
    log = Written()
    log.say("a")
    async with log.messages.iterate() as values:
        log.say("b")
        log.settle()
        assert [brief(value) async for value in values] == ["a", "b"]
        assert log.source.users == 0
    assert log.source.users == 0


async def test_an_iteration_of_a_turn_that_goes_on_waits() -> None:
    log = Written()
    log.settle()
    log.reopen()
    log.say("a")
    async with log.messages.iterate() as values:
        asyncio.get_running_loop().call_later(0.01, log.say, "b")
        asyncio.get_running_loop().call_later(0.01, log.settle)
        assert [brief(value) async for value in values] == ["a", "b"]


async def test_an_iteration_that_is_to_go_on_ends_only_with_its_stream() -> None:
    log = Written()
    log.settle()
    async with log.messages.iterate(until_settled=False) as values:
        loop = asyncio.get_running_loop()
        loop.call_soon(log.say, "a")
        loop.call_later(0.01, log.settle)
        loop.call_later(0.02, log.complete)
        assert [brief(value) async for value in values] == ["a"]


@pytest.mark.parametrize("maxsize", [None, 5])
async def test_a_failure_comes_after_what_was_read_and_faults_complete(
    maxsize: int | None,
) -> None:
    log = Written()
    fault = TransportFault(source="poll", attempt=1, retry_in=1.0, cause=OSError("no"))
    async with (
        log.messages.iterate(maxsize=maxsize) as messages,
        log.errors.iterate(maxsize=maxsize) as errors,
    ):
        await turns()
        log.append([agent("a"), fault])
        log.fail(OSError("gone"))
        assert [value async for value in errors] == [fault]
        assert brief(await anext(messages)) == "a"
        with pytest.raises(OSError, match="gone"):
            await anext(messages)
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
    assert log.source.users == 0


async def test_a_reader_in_the_middle_of_a_text_skips_what_is_final_by_now() -> None:
    log = Written()
    async with log.messages.iterate() as values:
        log.append([typed("m", "1", "2", "3")])
        assert brief(await anext(values)) == "m+1"
        log.append([typed("m", "4"), agent("m"), agent("x")])
        assert await rest(values) == ["m", "x"]


async def test_events_are_read_from_a_position_on() -> None:
    log = Written()
    log.append([agent("a"), typed("m", "1", "2", "3"), agent("b")])
    log.settle()
    events = log.events.after(2)
    # What was there of an unfinished text comes as one, as it does for other observers.
    assert [brief(value) async for value in events] == [(4, "m+23"), (5, "b")]


async def test_live_iterations_skip_the_past_and_history() -> None:
    log = Written()
    log.say("a")
    async with log.messages.live.iterate() as values:
        log.say("b", history=True)
        log.say("c")
        log.settle()
        assert [brief(value) async for value in values] == ["c"]


async def test_a_reader_that_is_overtaken_by_the_bound_of_the_log_gets_a_gap() -> None:
    log = Written(retention=5)
    log.say("a", "b")
    async with log.messages.iterate() as values:
        assert brief(await anext(values)) == "a"
        log.say(*(f"m{n}" for n in range(100)))
        read = await rest(values)
        assert read[0] == f"gap before {log.trimmed + 1}"
        assert read[1:] == [f"m{n}" for n in range(log.trimmed - 2, 100)]


@pytest.mark.parametrize("maxsize", [None, 3])
async def test_updates_begin_with_the_latest_even_if_the_log_has_forgotten_it(
    maxsize: int | None,
) -> None:
    log = Written(retention=2)
    log.append([update("one"), update("two")])
    log.say(*(f"m{n}" for n in range(50)))
    async with log.updates.iterate(maxsize=maxsize) as values:
        log.append([update("three")])
        assert await rest(values) == ["two", "three"]


@pytest.mark.parametrize(
    ("overflow", "read", "dropped"),
    [("drop_oldest", ["4", "5", "6"], 3), ("drop_newest", ["1", "2", "3"], 3)],
)
async def test_a_bound_drops_what_was_asked_for(
    overflow: Any, read: list[str], dropped: int
) -> None:
    log = Written()
    log.say("backlog", "is no lag")
    async with log.messages.iterate(maxsize=3, overflow=overflow) as values:
        await turns()
        log.say("1", "2", "3", "4", "5", "6")
        assert await rest(values) == ["backlog", "is no lag", *read]
        assert values.dropped == dropped
        log.say("7")
        assert await rest(values) == ["7"]


async def test_a_bound_that_raises_gives_what_it_has_kept_first() -> None:
    log = Written()
    async with log.messages.iterate(maxsize=2) as values:
        await turns()
        log.say("1", "2", "3", "4")
        assert [brief(await anext(values)), brief(await anext(values))] == ["1", "2"]
        with pytest.raises(ReaderTooSlow):
            await anext(values)
    assert log.source.users == 0


async def test_deltas_of_a_message_that_is_final_by_now_need_no_place() -> None:
    log = Written()
    async with log.messages.iterate(maxsize=3) as values:
        await turns()
        for n in range(10):
            log.append([typed(f"m{n}", "a"), agent(f"m{n}")] if n < 2 else [typed("x", "a")][:1])
            if n == 2:
                break
        assert await rest(values) == ["m0", "m1", "x+a"]
        assert values.dropped == 0


async def test_a_value_is_not_lost_when_a_step_is_cancelled() -> None:
    log = Written()
    log.say(*(str(n) for n in range(300)))
    values = log.messages.iterate()
    read: list[str] = []
    async with values:
        while len(read) < 300:
            step = asyncio.ensure_future(anext(values))
            await asyncio.sleep(0)
            if not step.done():
                step.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                read.append(brief(await step))
        assert read == [str(n) for n in range(300)]


async def test_a_reader_of_a_long_log_lets_the_loop_turn() -> None:
    log = Written()
    for n in range(300):  # every value of this stream is at an odd position
        log.append([agent(f"m{n}"), update("word")])
    turned = 0

    async def count() -> None:
        nonlocal turned
        while True:
            turned += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    async with log.messages.iterate() as values:
        for _ in range(300):
            await anext(values)
    counting.cancel()
    assert turned >= 3


@pytest.mark.parametrize("started", [False, True])
async def test_an_iteration_that_is_forgotten_lets_go_of_its_source(*, started: bool) -> None:
    log = Written()
    log.say("a")
    values = log.messages.iterate()
    if started:
        assert brief(await anext(values)) == "a"
        assert log.source.users == 1
    gone = weakref.ref(values)
    del values
    gc.collect()
    assert gone() is None
    assert log.source.users == 0


async def test_a_bound_that_cannot_be_is_refused() -> None:
    log = Written()
    with pytest.raises(ConfigurationError, match="maxsize is a whole number from 1 on"):
        log.messages.iterate(maxsize=0)
    with pytest.raises(ConfigurationError, match="overflow"):
        log.messages.iterate(maxsize=1, overflow="ignore")  # type: ignore[arg-type]
    gc.collect()
    assert log.source.users == 0


async def test_awaiting_gives_the_last_value_and_refuses_where_there_is_none() -> None:
    log = Written()
    log.settle()
    with pytest.raises(SequenceContainsNoElementsError):
        await log.messages
    log.say("a", "b")
    assert brief(await log.messages) == "b"
    assert log.source.users == 0


async def test_closing_wakes_who_waits() -> None:
    log = Written()
    values = log.messages.iterate()
    waiting = asyncio.ensure_future(rest(values))
    await turns()
    await values.aclose()
    await values.aclose()
    assert await waiting == []
    assert log.source.users == 0
