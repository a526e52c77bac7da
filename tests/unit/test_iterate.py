"""Reading a stream with `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rxtasks import AgentMessage, Client, TaskStatus
from rxtasks.local import Context, Yield, message
from rxtasks.platforms.local import Local


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
