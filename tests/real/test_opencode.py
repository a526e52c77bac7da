"""A real OpenCode server, watched by a client: what its quirks become."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    AgentNotFound,
    AuthenticationError,
    Client,
    ConfigurationError,
    Task,
    TaskNotFound,
    TaskStatus,
    Timeouts,
    ToolMessage,
    ToolStatus,
    TypingMessage,
    UserMessage,
)
from rxtasks.feed.turn import INTERRUPTED
from rxtasks.platforms import OpenCode
from rxtasks.platforms.base import Batch, TaskRef
from tests.conformance.script import Stage, ask, hold, prompt, tool, typed, types
from tests.conformance.watching import Probe, deltas, has_status, has_typed, texts, whole
from tests.real.model import Model, model
from tests.real.opencode_server import PASSWORD, ROOT, OpenCodeServer, need_binary, shared_server

pytestmark = pytest.mark.timeout(60)


class Counted(OpenCode):
    """Counts its connections for events."""

    connections = 0
    opened = 0

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        self.connections += 1
        self.opened += 1
        try:
            async for batch in super().open_stream(ref, cursor):
                yield batch
        finally:
            self.connections -= 1


class World:
    """A server, its model, and a client.

    Attributes:
        server: The server.
        played: The model.
        stage: Its gates.
        platform: The client's platform.
        client: The client.
    """

    def __init__(
        self, server: OpenCodeServer, played: Model, platform: Counted, timeouts: Timeouts | None
    ) -> None:
        self.server = server
        self.played = played
        self.stage = played.stage
        self.platform = platform
        self.client = Client(platform, timeouts=timeouts)

    async def run(self, *steps: str, title: str = "", **options: Any) -> Task:
        return await self.client.agent("actor").run(prompt(*steps, title=title), **options)

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.server.url + path) as found:
            return await found.json()

    async def post(self, path: str, body: Any = None) -> None:
        url = self.server.url + path
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            assert answer.status < 300


@asynccontextmanager
async def world(
    server: OpenCodeServer, *, timeouts: Timeouts | None = None, **options: Any
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        played = await stack.enter_async_context(model(server.listening, Stage()))
        made = World(server, played, Counted(server.url, **options), timeouts)
        await stack.enter_async_context(made.client)
        yield made


@pytest.fixture
async def real() -> AsyncIterator[World]:
    async with world(shared_server()) as made:
        yield made


@pytest.fixture(scope="module")
def own_server() -> Iterator[OpenCodeServer]:
    """Start a server that wants a password, and may be killed."""
    need_binary()
    server = OpenCodeServer(password=PASSWORD)
    server.start()
    yield server
    server.close()


async def stored_texts(real: World, task: Task) -> list[str]:
    """Ask the server itself what was said."""
    found = await real.get(f"/session/{task.id}/message")
    return [
        part["text"]
        for message in found
        if message["info"]["role"] == "assistant"
        for part in message["parts"]
        if part["type"] == "text" and part["text"]
    ]


async def test_idle_after_the_prompt_was_accepted_is_not_the_end(real: World) -> None:
    task = await real.run(hold("gate"), types("a"))
    updates = Probe(task.updates)
    statuses = [await task.poll() for _ in range(5)]
    await updates.until(has_status(TaskStatus.RUNNING))
    assert TaskStatus.COMPLETED not in statuses
    assert not any(status.is_final for status in statuses)
    real.stage.open("gate")
    assert (await task.result(timeout=8.0)).text == typed("a")


async def test_twenty_tasks_share_one_connection_and_each_says_what_the_server_has(
    real: World,
) -> None:
    async def one(number: int) -> tuple[Task, Probe[Any], str]:
        task = await real.run(types(f"w{number}-", 20, delay=0.01), tool("search"), types("end"))
        messages = Probe(task.messages)
        result = await task.result(timeout=50.0)
        assert result.status == "completed"
        return task, messages, result.text

    found = await asyncio.gather(*(one(number) for number in range(20)))
    assert (real.platform.opened, real.platform.connections) == (1, 1)
    for task, messages, text in found:
        said = [each.text for each in messages.values if isinstance(each, AgentMessage)]
        assert said == await stored_texts(real, task)
        assert text == said[-1] == typed("end")
        ids = [(each.id, each.revision) for each in whole(messages.values)]
        assert len(ids) == len(set(ids))
        for each in messages.values:
            if isinstance(each, AgentMessage):
                assert each.text.startswith(deltas(messages.values, each.id))
    await real.client.aclose()
    assert real.platform.connections == 0


async def test_a_server_that_ends_the_stream_is_asked_and_listened_to_again(
    real: World,
) -> None:
    task = await real.run(types("a"), hold("gate"), types("b"))
    messages = Probe(task.messages)
    await messages.until(has_typed(typed("a")))
    line = real.platform._line
    (connection,) = real.platform._server._http.get()._streams
    connection.close()  # to the reader, that is a clean end
    assert line.stands
    real.stage.open("gate")
    result = await task.result(timeout=8.0)

    assert result.text == typed("a") + typed("b")
    assert texts(result.messages)[1:] == [result.text]
    assert real.platform.opened == 2


async def test_a_deleted_session_is_aborted_first(real: World) -> None:
    task = await real.run(types("a"), hold("gate"))
    messages = Probe(task.messages)
    await messages.until(has_typed(typed("a")))
    await task.end()

    assert messages.completed
    with pytest.raises(TaskNotFound):
        await task.poll()
    assert "NOT NULL" not in real.server.log() and "FOREIGN KEY" not in real.server.log()


async def test_prompts_that_wait_get_one_answer_and_no_early_end(real: World) -> None:
    task = await real.run(hold("first"), types("a"))
    await real.stage.reached("first")
    updates = Probe(task.updates)
    await task.send(prompt(types("b")))
    await task.send(prompt(types("c")))
    pending = asyncio.create_task(task.result(timeout=20.0))
    await asyncio.sleep(0.3)
    assert not pending.done()
    real.stage.open("first")
    result = await pending

    assert result.status == "completed"
    assert result.text == typed("c")
    users = [each for each in result.messages if isinstance(each, UserMessage)]
    assert [each.text for each in users] == [prompt(hold("first"), types("a"))] + [
        prompt(types(stem)) for stem in "bc"
    ]
    assert updates.values[-1].status is TaskStatus.COMPLETED
    assert [each.status for each in updates.values].count(TaskStatus.COMPLETED) == 1


async def test_an_abort_drops_the_prompts_that_wait(real: World) -> None:
    task = await real.run(types("a"), hold("gate"))
    messages = Probe(task.messages)
    await messages.until(has_typed(typed("a")))
    await task.send(prompt(types("b")))
    await task.cancel()

    assert (await task.result(timeout=8.0)).status == "cancelled"
    assert await task.poll() is TaskStatus.CANCELLED
    async with Client(OpenCode(real.server.url)) as other:
        twin = other.task(task.id)
        assert (await twin.result(timeout=8.0)).status == "cancelled"


@pytest.mark.parametrize(
    ("answer", "command", "status"),
    [
        ("once", "echo hello", ToolStatus.COMPLETED),
        ("always", "printf hello", ToolStatus.COMPLETED),
        ("reject", "date", ToolStatus.ERROR),
    ],
)
async def test_a_permission_is_answered(
    real: World, answer: str, command: str, status: ToolStatus
) -> None:
    task = await real.run(f"bash '{command}'", types("a"))
    updates, events = Probe(task.updates), Probe(task.events)
    await updates.until(has_status(TaskStatus.ACTION))
    (request,) = task.requests
    assert (request.kind, request.options) == ("approval", ("once", "always", "reject"))
    assert request.prompt == f"bash: {command}"
    with pytest.raises(ConfigurationError, match="always"):
        await task.respond(request.id, "yes")
    assert any(getattr(each.value, "requests", ()) == (request,) for each in events.values)
    await task.respond(request.id, answer)
    result = await task.result(timeout=10.0)

    assert result.status == "completed"
    (run,) = [each for each in result.messages if isinstance(each, ToolMessage)]
    assert run.status is status
    assert task.requests == ()
    with pytest.raises(ConfigurationError):
        await task.respond(request.id, answer)


async def test_what_a_sub_agent_does_is_a_task_and_what_it_asks_is_asked_of_its_parent(
    real: World,
) -> None:
    task = await real.run("task 'bash pwd| type s 3 0.0'", types("a"))
    updates = Probe(task.updates)
    await updates.until(has_status(TaskStatus.ACTION))
    (request,) = task.requests
    values = await Probe(task.messages).until(
        lambda values: any(isinstance(each, ToolMessage) and each.sub_task_id for each in values)
    )
    run = values[-1]
    assert isinstance(run, ToolMessage)
    sub = task.sub_task(run)
    assert sub.id != task.id
    assert await sub.poll() is TaskStatus.ACTION
    assert sub.requests == (request,)
    await task.respond(request.id, "once")
    result = await task.result(timeout=10.0)

    assert result.text == typed("a")
    assert (await sub.result(timeout=5.0)).text == typed("s")
    assert sub.info.agent_id == run.sub_agent_id == "general"


async def test_a_question_is_answered_with_one_of_its_options(real: World) -> None:
    task = await real.run(ask("Which?", "red", "blue"), types("a"))
    updates = Probe(task.updates)
    await updates.until(has_status(TaskStatus.ACTION))
    (request,) = task.requests
    assert (request.kind, request.options) == ("input", ("red", "blue"))
    await task.respond(request.id, "blue")
    assert (await task.result(timeout=8.0)).text.startswith("blue")


async def test_options_choose_the_model_the_title_and_another_agent(real: World) -> None:
    task = await real.run(types("a"), model="scripted/actor-2", title="My title", agent="build")
    await task.result(timeout=8.0)
    assert task.name == "My title"
    assert task.info.agent_id == "build"
    assert real.played.requests[-1]["model"] == "actor-2"
    await task.send(prompt(types("b")))
    await task.result(timeout=8.0)
    assert (await real.get(f"/session/{task.id}"))["agent"] == "build"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "scripted/nothing"}, ConfigurationError),
        ({"model": "nobody/actor-1"}, ConfigurationError),
        ({"model": "actor-1"}, ConfigurationError),
        ({"modell": "scripted/actor-1"}, ConfigurationError),
        ({"title": 5}, ConfigurationError),
        ({"agent": "nobody"}, AgentNotFound),
    ],
)
async def test_what_does_not_exist_is_refused_before_anything_is_made(
    real: World, options: dict[str, Any], error: type[Exception]
) -> None:
    before = await real.get("/session")
    with pytest.raises(error):
        await real.client.agent("actor").run(prompt(types("a")), **options)

    assert await real.get("/session") == before


async def test_an_error_that_only_the_stream_tells_ends_the_turn(real: World) -> None:
    task = await real.run(types("a"))
    errors = Probe(task.errors)
    await task.result(timeout=8.0)
    path = f"/session/{task.id}/prompt_async"
    body = {"model": {"providerID": "scripted", "modelID": "nothing"}}
    await real.post(path, {**body, "parts": [{"type": "text", "text": "type b 3 0.0"}]})
    await errors.until(len)
    result = await task.result(timeout=8.0)

    assert result.status == "error"
    assert result.error == "Model not found: scripted/nothing."
    assert len(errors.values) == 1
    assert await task.poll() is TaskStatus.ERROR


async def test_a_long_history_is_read_page_by_page_and_only_once(real: World) -> None:
    task = await real.run(types("a"))
    await task.result(timeout=8.0)
    body = {"noReply": True, "parts": [{"type": "text", "text": "note"}]}
    async with aiohttp.ClientSession() as session:
        for number in range(60):
            body["parts"] = [{"type": "text", "text": f"note {number}"}]
            url = f"{real.server.url}/session/{task.id}/prompt_async"
            async with session.post(url, json=body) as answer:
                assert answer.status == 204
    async with asyncio.timeout(10.0):
        while len(await real.get(f"/session/{task.id}/message")) < 62:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    messages = await task.get_messages()

    assert sorted(texts(messages)[2:]) == sorted(f"note {number}" for number in range(60))
    times = [each.created_at for each in messages if each.created_at is not None]
    assert times == sorted(times)


async def test_the_agents_are_listed_but_for_those_that_are_hidden(real: World) -> None:
    agents = {each.id: each for each in await real.platform.list_agents()}

    assert agents["actor"].description == "Plays scripts."
    assert agents["actor"].mode == "primary"
    assert "title" not in agents


async def test_a_directory_is_worked_in(real: World, tmp_path: Any) -> None:
    async with world_beside(real, directory=str(tmp_path)) as client:
        task = await client.agent("build").run(prompt(types("a")))
        assert (await task.result(timeout=20.0)).text == typed("a")
        assert (await real.get(f"/session/{task.id}"))["directory"] == str(tmp_path)
        assert [each.id async for each in client.agent("build").tasks()] == [task.id]
        await task.end()


def world_beside(real: World, **options: Any) -> Client:
    return Client(OpenCode(real.server.url, **options))


def kinds_of(values: Sequence[Any]) -> set[type[Any]]:
    return {type(each) for each in values}


async def test_the_example_does_what_its_page_says(real: World) -> None:
    environment = {**os.environ, "OPENCODE_URL": real.server.url, "OPENCODE_AGENT": "actor"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples/opencode.py"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed = (await asyncio.wait_for(process.communicate(), 30.0))[0].decode()

    assert process.returncode == 0, printed
    assert "it asks: bash: ls ('once', 'always', 'reject')" in printed
    assert "bash completed" in printed
    assert f"completed - {typed('a')}" in printed


async def test_who_joins_in_the_middle_sees_the_rest_and_nothing_misplaced(real: World) -> None:
    task = await real.run(types("a"), hold("one"), types("b"), hold("two"), types("c"))
    first = Probe(task.messages)
    await first.until(has_typed(typed("a")))
    async with world_beside(real) as other:
        twin = other.task(task.id)
        joined = Probe(twin.messages)
        updates = Probe(twin.updates)
        await updates.until(lambda values: values and values[-1].connection == "live")
        real.stage.open("one")
        await first.until(has_typed(typed("b")))
        real.stage.open("two")
        text = typed("a") + typed("b") + typed("c")
        assert (await twin.result(timeout=8.0)).text == text
        assert TypingMessage not in kinds_of(joined.values)
        assert texts(joined.values)[1:] == [text]
    # Of one client, who comes later gets all of it: the connection has it from the beginning.
    assert deltas(first.values) == (await task.result(timeout=8.0)).text


async def test_a_password_is_sent_and_a_wrong_one_is_refused(own_server: OpenCodeServer) -> None:
    async with world(own_server, password=PASSWORD) as real:
        assert PASSWORD not in repr(real.platform) + repr(vars(real.client))
        task = await real.run(types("a"))
        assert (await task.result(timeout=30.0)).text == typed("a")
        async with Client(OpenCode(own_server.url, password="guessed")) as other:
            with pytest.raises(AuthenticationError) as raised:
                await other.agent("actor").run(prompt(types("a")))
            assert "guessed" not in str(raised.value)
            errors = Probe(other.task(task.id).errors)
            await errors.until_ended()
            assert isinstance(getattr(errors.values[-1], "cause", None), AuthenticationError)


async def test_killed_in_the_middle_every_task_ends_honestly(own_server: OpenCodeServer) -> None:
    # A server that has just been started sometimes never answers what it is asked first, so how
    # soon we know depends on how long we wait for an answer: by default for half a minute.
    hurry = Timeouts(request=3.0, stream_open=3.0)
    async with world(own_server, timeouts=hurry, password=PASSWORD) as real:
        tasks = [await real.run(types("a"), hold("gate"), types("b")) for _ in range(3)]
        tasks.append(await real.run(tool("search", gate="gate"), types("b")))
        tasks.append(await real.run(types("a"), hold("gate")))
        probes = [Probe(task.messages) for task in tasks]
        errors = [Probe(task.errors) for task in tasks]
        updates = [Probe(task.updates) for task in tasks]
        results = [asyncio.create_task(task.result(timeout=40.0)) for task in tasks]
        for probe in (*probes[:3], probes[4]):
            await probe.until(has_typed(typed("a")))
        await probes[3].until(lambda values: any(each.is_tool() for each in values))
        own_server.kill()
        await asyncio.sleep(1.0)
        assert not any(result.done() for result in results)
        await asyncio.to_thread(own_server.start)
        restarted = time.monotonic()
        ended = await asyncio.gather(*results)

        assert time.monotonic() - restarted < 10.0
        for result in ended:
            assert result.status == "error"
            assert result.error == INTERRUPTED
        for watched in updates:
            assert TaskStatus.COMPLETED not in [each.status for each in watched.values]
        for probe, faults in zip(probes, errors, strict=True):
            assert not probe.ended and not faults.ended
            assert sum(isinstance(each, AgentErrorMessage) for each in probe.values) == 1
        real.stage.open("gate")
        await tasks[0].send(prompt(types("c")))
        assert (await tasks[0].result(timeout=20.0)).text == typed("c")
