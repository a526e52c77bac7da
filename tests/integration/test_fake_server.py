"""The server with faults: each fault happens as often as it is told to, and is survived."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from rxtasks import (
    AuthenticationError,
    Client,
    ConfigurationError,
    RateLimited,
    ServerError,
    Task,
    TransportError,
    TransportFault,
)
from rxtasks.platforms import Gateway
from rxtasks.testing import FakeServer, ScriptedPlatform, agent, at, status, tool, typing
from rxtasks.wire.event_source import EventSource
from tests.integration.serving import until

SCRIPT = [
    at(0.0, status("running"), typing("m1", "Three ")),
    at(0.1, tool("t1", "search", "running")),
    at(0.2, tool("t1", "search", "completed", "3 hits")),
    at(0.3, typing("m1", "hits."), agent("m1", "Three hits."), status("completed")),
]


def serving() -> FakeServer:
    return FakeServer(ScriptedPlatform(SCRIPT))


async def told(task: Task) -> tuple[str, list[Any]]:
    """Watch a turn to its end: its text, and the faults on the way."""
    faults: list[Any] = []
    with task.errors.subscribe(faults.append):
        result = await task.result(timeout=20)
    assert [message.id for message in result.messages if message.is_agent()] == ["m1"]
    return result.text, faults


async def test_without_faults_it_is_a_server_like_any() -> None:
    async with serving() as server, Client(Gateway(server.url)) as client:
        assert await told(await client.agent("any").run("Go")) == ("Three hits.", [])
        assert server.requests[0] == "POST /v1/agents/any/tasks"
        assert any(asked.endswith("/events") for asked in server.requests)


async def test_a_refused_start_is_raised_or_made_again_as_its_status_says() -> None:
    async with serving() as server, Client(Gateway(server.url)) as client:
        server.refuse(401, on="POST")
        server.refuse(429, retry_after=1, on="POST")
        with pytest.raises(AuthenticationError):
            await client.agent("any").run("Go")
        begin = asyncio.get_running_loop().time()
        task = await client.agent("any").run("Go")
        assert asyncio.get_running_loop().time() - begin >= 1
        text, [fault] = await told(task)
        assert text == "Three hits."
        assert isinstance(fault.cause, RateLimited)
        assert server.requests[:3] == ["POST /v1/agents/any/tasks"] * 3


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_cut_stream_is_made_up_for(after: int) -> None:
    async with serving() as server, Client(Gateway(server.url)) as client:
        server.cut(after, times=2)
        text, faults = await told(await client.agent("any").run("Go"))
        streams = [asked for asked in server.requests if "/events" in asked]
    assert text == "Three hits."
    assert len(streams) >= 2
    assert isinstance(faults[0], TransportFault)
    assert isinstance(faults[0].cause, TransportError)


async def test_refused_streams_are_tried_again() -> None:
    async with serving() as server, Client(Gateway(server.url)) as client:
        server.refuse(503, times=2, retry_after=0, on="/events")
        text, faults = await told(await client.agent("any").run("Go"))
    assert text == "Three hits."
    assert {type(fault.cause) for fault in faults} == {ServerError}


async def test_a_silent_stream_is_given_up() -> None:
    async with serving() as server, Client(Gateway(server.url)) as client:
        task = await client.agent("any").run("Go")
        await told(task)
        server.stall(after=1)
        server.requests.clear()
        faults: list[Exception] = []
        source = EventSource(
            f"{server.url}/v1/tasks/{quote(task.ref, safe='')}/events",
            idle_timeout=0.2,
            on_fault=lambda fault, _: faults.append(fault),
        )
        seen: list[str] = []
        async with source:
            async for event in source:
                seen.append(event.event)
                if event.event == "live":
                    break
        assert len(server.requests) == 2
    assert [type(fault) for fault in faults] == [TransportError]
    assert seen[-1] == "live"


async def test_an_answer_that_is_lost_may_have_been_accepted() -> None:
    platform = ScriptedPlatform(SCRIPT)
    async with FakeServer(platform) as server, Client(Gateway(server.url)) as client:
        task = await client.agent("any").run("Go")
        server.cut(on="/cancel")
        with pytest.raises(TransportError):
            await task.cancel()


async def test_hanging_up_breaks_what_is_open() -> None:
    async with serving() as server, Client(Gateway(server.url)) as client:
        task = await client.agent("any").run("Go")
        faults: list[Any] = []
        with task.errors.subscribe(faults.append), task.messages.subscribe():
            await until(lambda: server.open_streams == 1)
            server.hang_up()
            await until(lambda: faults)
            assert (await task.result(timeout=20)).text == "Three hits."


async def test_leaving_it_does_not_wait_for_a_stream_that_stalls() -> None:
    async with serving() as server, Client(Gateway(server.url)) as client:
        server.stall()
        task = await client.agent("any").run("Go")
        with task.messages.subscribe():
            await until(lambda: server.open_streams == 1)
            async with asyncio.timeout(5):
                await server.__aexit__(None, None, None)
        assert server.open_streams == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda server: server.refuse(200),
        lambda server: server.refuse(times=0),
        lambda server: server.cut(-1),
        lambda server: server.stall(times=0),
    ],
)
async def test_a_fault_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        wrong(serving())
