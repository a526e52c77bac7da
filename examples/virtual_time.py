"""A test of a program of yours: an hour of a scripted task, in no time."""

import asyncio

import looptime

from rxtasks import Client, TransportError
from rxtasks.platforms.base import Capabilities
from rxtasks.testing import ScriptedPlatform, agent, at, status, tool, typing

REPORT = [
    at(0.5, status("running")),
    at(1.0, tool("t1", "search", "running")),
    at(1800.0, tool("t1", "search", "completed", "3 hits")),
    at(3599.0, typing("m1", "Three "), typing("m1", "hits.")),
    at(3600.0, agent("m1", "Three hits.")),
    at(3600.0, status("completed")),
]


async def summary(client):
    """Do what the program under test does."""
    task = await client.agent("any").run("Report")
    result = await task.result(timeout=None)
    return f"{result.status}: {result.text}"


async def test_an_hour_of_work_is_summarised():
    loop = asyncio.get_running_loop()
    begin = loop.time()
    platform = ScriptedPlatform(REPORT, capabilities=Capabilities(stream="deltas"))
    platform.on_poll = lambda number: TransportError("a cable") if number % 3 == 0 else None
    platform.on_item = lambda connection, _: "cut" if connection == 1 else None

    async with Client(platform) as client:
        assert await summary(client) == "completed: Three hits."  # noqa: S101 - it is a test

    print(f"{loop.time() - begin:.0f} s of virtual time, sent: {platform.sent}")
    print(f"{len(platform.polls)} polls, {len(platform.streams)} streams")
    print("left open:", platform.open_streams)


# With pytest: @pytest.mark.looptime, and asyncio_mode = "auto" of pytest-asyncio.
with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
    runner.run(test_an_hour_of_work_is_summarised())
