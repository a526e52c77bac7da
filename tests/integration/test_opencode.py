"""OpenCode against a server that plays recordings: what a real one seldom does.

What a real one does all the time stands in tests/real and in tests/conformance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from rxtasks import (
    Client,
    ConfigurationError,
    DecodeError,
    PlatformError,
    TaskStatus,
    TransportError,
)
from rxtasks.platforms import OpenCode
from rxtasks.platforms.base import AgentRef, TaskRef, Want
from rxtasks.platforms.opencode import line
from rxtasks.wire.http import HttpOptions
from tests.integration.opencode_server import (
    ASKING,
    PASSWORD,
    QUESTION,
    OpenCodeServer,
    opencode_server,
)
from tests.integration.platform_server import RESET, Fault
from tests.integration.serving import until

BUILD = AgentRef("build")


@pytest.fixture
async def server() -> AsyncIterator[OpenCodeServer]:
    async with opencode_server() as server:
        yield server


@pytest.fixture
async def platform(server: OpenCodeServer) -> AsyncIterator[OpenCode]:
    platform = OpenCode(server.url, password=PASSWORD)
    await platform.open(HttpOptions())
    yield platform
    await platform.aclose()


async def test_recorded_turns_are_told_and_listed(server: OpenCodeServer) -> None:
    async with Client(OpenCode(server.url, password=PASSWORD)) as client:
        task = await client.agent("build").run("Go", title="A title")
        results = [await task.result(timeout=10)]
        await task.send("And?")
        results.append(await task.result(timeout=10))
        listed = [each.id async for each in client.agent("build").tasks()]

    assert [each.status for each in results] == ["cancelled", "completed"]
    assert [each.text for each in results] == ["tok1 tok2 tok3 "] * 2
    assert server.asked("make")[0].body == {"agent": "build", "title": "A title"}
    assert task.id in listed


async def test_a_session_whose_prompt_is_refused_is_deleted(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    server.faults["prompt"] = [Fault(400)]
    with pytest.raises(PlatformError, match="400"):
        await platform.start(BUILD, "Go")

    assert [each.route for each in server.requests][-2:] == ["prompt", "delete"]
    assert set(server.tasks) == {""}


async def test_a_session_whose_prompt_may_have_been_accepted_is_kept(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    server.faults["prompt"] = [Fault(RESET)]
    with pytest.raises(TransportError):
        await platform.start(BUILD, "Go")

    assert server.asked("delete") == []
    assert len(server.tasks) == 2


async def test_a_session_that_may_have_been_made_is_no_prompt_that_may_have_been_accepted(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    server.faults["make"] = [Fault(RESET)]
    with pytest.raises(TransportError) as raised:
        await platform.start(BUILD, "Go")

    assert not raised.value.maybe_accepted
    assert "may have been accepted" not in str(raised.value)
    assert server.asked("prompt") == []


async def test_a_connection_that_nobody_reads_is_closed_after_a_while(
    server: OpenCodeServer, platform: OpenCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "_KEPT", 0.1)
    await platform.start(BUILD, "Go")
    assert server.open_streams == 1

    await until(lambda: server.open_streams == 0)


async def test_what_somebody_else_has_answered_is_answered_no_more(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    server.ask()
    found = await platform.snapshot(TaskRef(ASKING), None, Want())
    assert found.info is not None
    assert [each.id for each in found.info.requests or ()] == [QUESTION]

    server.asked_for["question"].clear()
    with pytest.raises(ConfigurationError, match="answered already"):
        await platform.respond(TaskRef(ASKING), QUESTION, "red")
    with pytest.raises(ConfigurationError, match="does not wait"):
        await platform.respond(TaskRef(ASKING), QUESTION, "red")


@pytest.mark.parametrize(
    "unknown", [Fault(200, b"<!doctype html>", kind="text/html"), Fault(404)], ids=["page", "404"]
)
async def test_a_server_that_lists_no_agents_models_or_questions_will_do(
    server: OpenCodeServer, unknown: Fault
) -> None:
    server.faults |= {"agents": [unknown] * 3, "providers": [unknown]}
    server.faults["asked"] = [Fault(None), unknown] * 20  # it knows permissions
    async with Client(OpenCode(server.url, password=PASSWORD)) as client:
        task = await client.agent("build").run("Go", model="fake/fake-1")
        faults: list[object] = []
        task.errors.subscribe(faults.append)
        await task.result(timeout=10)
        await task.send("And?")
        result = await task.result(timeout=10)
        listed = [each.id async for each in client.agent("build").tasks()]

    assert (result.status, result.text, faults) == ("completed", "tok1 tok2 tok3 ", [])
    assert server.asked("prompt")[0].body["model"] == {"providerID": "fake", "modelID": "fake-1"}
    assert task.id in listed


async def test_an_answer_about_questions_that_is_broken_withdraws_none(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    server.ask()
    await platform.snapshot(TaskRef(ASKING), None, Want())
    server.faults["asked"] = [Fault(None), Fault(200, b'[{"id":')]
    with pytest.raises(DecodeError):
        await platform.snapshot(TaskRef(ASKING), None, Want())
    found = await platform.snapshot(TaskRef(ASKING), None, Want())

    assert found.info is not None
    assert [each.id for each in found.info.requests or ()] == [QUESTION]


async def test_a_session_that_is_deleted_while_it_is_listed_is_left_out(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    async def listed() -> set[str]:
        async with aclosing(platform.list_tasks(BUILD)) as pages:
            return {each.id async for page in pages for each in page}

    started = [await platform.start(BUILD, "Go") for _ in range(2)]
    sessions = [server.tasks[each.id] for each in started]
    await until(lambda: all(len(each.messages) > 1 and each.is_idle for each in sessions))
    everything = await listed()
    assert everything >= {each.id for each in started}
    server.faults["messages"] = [Fault(404)]

    assert len(everything - await listed()) == 1


async def test_a_session_that_is_being_compacted_runs(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    started = await platform.start(BUILD, "Go")
    await until(lambda: server.tasks[started.id].messages)
    await platform.cancel(TaskRef(started.id))
    server.tasks[started.id].status = {"type": "idle"}
    server.tasks[started.id].info["time"]["compacting"] = 1
    await platform.aclose()
    await platform.open(HttpOptions())
    found = await platform.snapshot(TaskRef(started.id), None, Want())

    assert found.info is not None
    assert (found.info.platform_state, found.info.status) == ("compacting", TaskStatus.RUNNING)


async def test_a_heartbeat_shows_that_the_stream_is_alive(
    server: OpenCodeServer, platform: OpenCode
) -> None:
    async with aclosing(platform.open_stream(None, None)) as stream:
        opened = await anext(stream)
        server.say("server.heartbeat")
        beat = await asyncio.wait_for(anext(stream), 5)

    assert (opened.items, beat.items, beat.task) == ((), (), None)
