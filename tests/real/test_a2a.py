"""A real A2A server, watched by a client: what is promised holds for what it does."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from rxtasks import (
    AgentErrorMessage,
    AgentFault,
    AgentMessage,
    Client,
    FatalFault,
    Task,
    TaskNotFound,
    TaskStatus,
    TransportFault,
    TypingMessage,
)
from rxtasks.platforms import A2A
from tests.conformance.script import Stage, ask, fail, hold, prompt, say, typed, types
from tests.conformance.watching import (
    Probe,
    deltas,
    has_agent,
    has_status,
    has_typed,
    texts,
    whole,
)
from tests.real.a2a_server import A2AServer, gates, need_a2a, shared_a2a
from tests.real.balancer import balancer, scissors

pytestmark = pytest.mark.timeout(60)

BINDINGS = ("rpc", "rest")


class World:
    """A server, the gates of its agent, and a client.

    Attributes:
        server: The process of the server.
        stage: Its gates.
        url: Where the server is, directly.
        card_url: Where the client finds its card, directly or not.
        client: The client.
    """

    def __init__(self, server: A2AServer, stage: Stage, binding: str, port: int) -> None:
        self.server = server
        self.stage = stage
        name = uuid.uuid4().hex
        self.url = server.url(name)
        self.card_url = f"http://127.0.0.1:{port}/{name}/{binding}"
        self.client = self.another()

    def another(self) -> Client:
        return Client(A2A(self.card_url))

    async def run(self, *steps: str) -> Task:
        return await self.client.agent("actor").run(prompt(*steps))

    async def stored(self, task: Task) -> list[str]:
        """Ask the server itself what the artifacts of a task say."""
        url = f"{self.url}/rest/tasks/{task.id}"
        headers = {"A2A-Version": "1.0"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as found:
            told = await found.json()
        return ["".join(part["text"] for part in each["parts"]) for each in told["artifacts"]]


@asynccontextmanager
async def world(
    server: A2AServer, binding: str = BINDINGS[0], *, port: int = 0
) -> AsyncIterator[World]:
    """Make one, whose client calls the server directly or at the port of a proxy."""
    async with gates(server) as stage:
        made = World(server, stage, binding, port or server.port)
        async with made.client:
            yield made


@pytest.fixture(params=BINDINGS)
async def real(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(shared_a2a(), request.param) as made:
        yield made


@pytest.fixture(scope="module")
def own_server() -> Iterator[A2AServer]:
    """Start a server that may be killed."""
    need_a2a()
    server = A2AServer()
    server.start()
    yield server
    server.close()


def assert_nothing_twice(values: list[Any]) -> None:
    seen = [(each.id, each.revision) for each in whole(values)]
    assert len(seen) == len(set(seen))
    ended: set[str] = set()
    for each in values:
        assert not (isinstance(each, TypingMessage) and each.id in ended), "a delta after the end"
        if isinstance(each, AgentMessage):
            ended.add(each.id)
            assert each.text.startswith(deltas(values, each.id))


async def test_each_artifact_is_typed_and_then_there_as_a_whole(real: World) -> None:
    task = await real.run(types("a", 5), hold("gate"), say(), "note halfway", types("b", 5))
    messages, updates = Probe(task.messages), Probe(task.updates)
    await messages.until(has_typed(typed("a", 5)))
    assert task.status is TaskStatus.RUNNING
    assert not has_agent(typed("a", 5))(messages.values)
    real.stage.open("gate")
    result = await task.result(timeout=8.0)

    assert (result.status, result.text) == ("completed", typed("b", 5))
    said = [each.text for each in messages.values if isinstance(each, AgentMessage)]
    # A task has no times: where among artifacts a message belongs, a poll cannot tell.
    assert sorted(said) == [typed("a", 5), typed("b", 5), "halfway"]
    assert said.index(typed("a", 5)) < said.index(typed("b", 5))
    assert sorted(texts(result.messages)[1:]) == sorted(said)
    assert await real.stored(task) == [typed("a", 5), typed("b", 5)]
    assert_nothing_twice(messages.values)
    await updates.until(has_status(TaskStatus.COMPLETED))


async def test_the_message_of_the_last_state_is_the_answer_where_there_is_no_artifact(
    real: World,
) -> None:
    task = await real.run("note one", "note two", "answer three")
    messages = Probe(task.messages)
    result = await task.result(timeout=8.0)

    assert (result.status, result.text) == ("completed", "three")
    assert texts(messages.values)[1:] == ["one", "two", "three"]
    assert_nothing_twice(messages.values)


async def test_twenty_tasks_at_once_say_each_what_the_server_has(real: World) -> None:
    async def one(number: int) -> None:
        task = await real.run(types(f"w{number}-", 20, delay=0.01), say(), types("end"))
        messages = Probe(task.messages)
        result = await task.result(timeout=50.0)
        said = [each.text for each in messages.values if isinstance(each, AgentMessage)]
        assert said == await real.stored(task)
        assert result.text == said[-1] == typed("end")
        assert_nothing_twice(messages.values)

    await asyncio.gather(*(one(number) for number in range(20)))


async def test_an_agent_that_answers_without_a_task_has_answered(real: World) -> None:
    task = await real.run("message hello")
    messages, updates = Probe(task.messages), Probe(task.updates)
    result = await task.result(timeout=8.0)

    assert (result.status, result.text) == ("completed", "hello")
    assert texts(messages.values)[-1] == "hello"
    await updates.until(has_status(TaskStatus.COMPLETED))
    assert_nothing_twice(messages.values)


@pytest.mark.parametrize(
    ("step", "state", "why"),
    [
        (fail("the tool exploded"), "TASK_STATE_FAILED", "the tool exploded"),
        ("reject 'not my job'", "TASK_STATE_REJECTED", "not my job"),
        ("crash boom", "TASK_STATE_FAILED", ""),  # to a poll, the server does not say why
    ],
)
async def test_an_agent_that_fails_says_so_once(
    real: World, step: str, state: str, why: str
) -> None:
    task = await real.run(types("a"), hold("gate"), step)
    messages, errors = Probe(task.messages), Probe(task.errors)
    await messages.until(has_typed(typed("a")))
    real.stage.open("gate")
    result = await task.result(timeout=8.0)

    assert result.status == "error"
    assert why in (result.error or "")
    assert task.platform_state == state
    await errors.until(len)
    await asyncio.sleep(0.3)
    assert len(errors.values) == 1, errors.values
    (fault,) = errors.values
    assert isinstance(fault, AgentFault)
    assert why in (fault.last_error or "")
    assert sum(isinstance(each, AgentErrorMessage) for each in messages.values) == 1
    assert has_agent(typed("a"))(messages.values)
    assert not messages.ended
    assert not errors.ended


async def test_a_task_is_cancelled_and_once_more_is_no_error(real: World) -> None:
    task = await real.run(types("a"), hold("gate"), types("b"))
    messages, errors = Probe(task.messages), Probe(task.errors)
    await messages.until(has_typed(typed("a")))
    await task.cancel()
    result = await task.result(timeout=8.0)
    await task.cancel()

    assert result.status == "cancelled"
    assert await task.poll() is TaskStatus.CANCELLED
    assert texts(messages.values)[1:] == await real.stored(task) == [typed("a")]
    assert errors.values == []


async def test_a_task_that_waits_for_an_answer_can_be_cancelled(real: World) -> None:
    task = await real.run(ask("Colour?"))
    await Probe(task.updates).until(has_status(TaskStatus.ACTION))
    await task.cancel()

    assert (await task.result(timeout=8.0)).status == "cancelled"
    assert task.requests == ()


@pytest.mark.parametrize(
    ("step", "kind"), [(ask("Colour?"), "input"), ("auth 'Sign in'", "approval")]
)
async def test_what_the_agent_asks_is_answered(real: World, step: str, kind: str) -> None:
    task = await real.run(types("a"), step, hold("gate"), say(), types("b"))
    messages, updates = Probe(task.messages), Probe(task.updates)
    await updates.until(has_status(TaskStatus.ACTION))
    (request,) = task.requests
    assert (request.kind, request.prompt) == (kind, "Colour?" if kind == "input" else "Sign in")
    assert has_agent(typed("a"))(messages.values)
    pending = asyncio.create_task(task.result(timeout=20.0))
    await asyncio.sleep(0.2)
    assert not pending.done()
    await task.respond(request.id, "blue")
    await updates.until(has_status(TaskStatus.RUNNING))
    assert task.requests == ()
    await messages.until(has_typed("blue"))  # nothing was held back after the answer
    real.stage.open("gate")
    result = await pending

    assert (result.status, result.text) == ("completed", typed("b"))
    assert "blue" in texts(messages.values)
    assert_nothing_twice(messages.values)


async def test_an_answer_belongs_to_the_conversation_of_its_task(real: World) -> None:
    """Also where the client that answers knows nothing of the task but its id."""
    task = await real.run(ask("Colour?"), say(), ask("Size?"), say(), "recall")
    updates = Probe(task.updates)
    await updates.until(has_status(TaskStatus.ACTION))
    await task.respond(task.requests[0].id, "blue")
    await updates.until(lambda values: values[-1].requests and task.requests[0].prompt == "Size?")
    async with real.another() as other:
        await other.task(task.ref).respond(task.requests[0].id, "big")

    assert (await task.result(timeout=8.0)).text == "3"


async def test_another_client_takes_over_in_the_middle_of_an_artifact(real: World) -> None:
    task = await real.run(types("a"), hold("one"), types("b"), hold("two"), types("c"))
    await Probe(task.messages).until(has_typed(typed("a")))
    async with real.another() as other:
        twin = other.task(task.ref)
        joined, updates = Probe(twin.messages), Probe(twin.updates)
        await updates.until(lambda values: values and values[-1].connection == "live")
        real.stage.open("one")
        await joined.until(has_typed(typed("a") + typed("b")))
        task.unsubscribe()
        real.stage.open("two")
        text = typed("a") + typed("b") + typed("c")
        assert (await twin.result(timeout=8.0)).text == text
        assert deltas(joined.values) == text
        assert_nothing_twice(joined.values)
    assert (await task.result(timeout=8.0)).text == text


async def test_another_client_reads_what_has_ended(real: World) -> None:
    task = await real.run(types("a"), say(), "note halfway", types("b"))
    first = await task.result(timeout=8.0)
    async with real.another() as other:
        twin = other.task(task.ref)
        messages, errors = Probe(twin.messages), Probe(twin.errors)
        result = await twin.result(timeout=8.0)

        assert (result.status, result.text) == (first.status, typed("b"))
        assert texts(result.messages)[1:] == ["halfway", typed("a"), typed("b")]
        assert {each.id for each in result.messages} == {each.id for each in first.messages}
        assert_nothing_twice(messages.values)
        assert errors.values == []


CUTS = ((300,), (900, 1100, 1300), (1500, 700, 701, 702, 703), (2500, 2000, 1999, 1800))
"""After how many bytes streams are cut: in a head, or in the middle of an event."""


@pytest.mark.parametrize("after", CUTS, ids=lambda cuts: "-".join(map(str, cuts)))
@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_stream_that_is_cut_in_an_artifact_loses_nothing(
    binding: str, after: tuple[int, ...]
) -> None:
    server = shared_a2a()
    words = 30 * len(after)  # 1.5 s for each cut, since every further one is waited longer for
    async with (
        scissors(server.port, after) as cutting,
        world(server, binding, port=cutting.port) as real,
    ):
        task = await real.run(types("a", words, delay=0.05), say(), types("b"))
        messages, errors = Probe(task.messages), Probe(task.errors)
        result = await task.result(timeout=40.0)

        said = [each.text for each in messages.values if isinstance(each, AgentMessage)]
        assert said == [typed("a", words), typed("b")] == await real.stored(task)
        assert result.text == typed("b")
        assert cutting.after == []
        assert_nothing_twice(messages.values)
        assert not any(isinstance(each, FatalFault) for each in errors.values)


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("binding", BINDINGS)
async def test_connections_that_are_cut_again_and_again_lose_nothing(
    binding: str, alike: bool
) -> None:
    """Pieces that are all alike cannot be told apart from repetitions by what they are."""
    server = shared_a2a()
    async with (
        balancer([server.port]) as proxy,
        world(server, binding, port=proxy.port) as real,
    ):
        one, all = types("w", 1, delay=0.02), types("w", 150, delay=0.02)
        task = await real.run(*([one] * 150 if alike else [all]))
        messages, errors = Probe(task.messages), Probe(task.errors)
        pending = asyncio.create_task(task.result(timeout=40.0))
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            await asyncio.sleep(0.17)
            proxy.cut()
        result = await pending

        assert [result.text] == await real.stored(task)
        assert texts(messages.values)[1:] == [result.text]
        assert_nothing_twice(messages.values)
        assert any(isinstance(each, TransportFault) for each in errors.values)
        assert not any(isinstance(each, FatalFault) for each in errors.values)


async def test_a_server_that_forgets_a_task_is_gone_for_good(own_server: A2AServer) -> None:
    """What it knew was in its memory, so that is how the tasks of a killed server end."""
    async with world(own_server) as real:
        task = await real.run(types("a"), hold("gate"), types("b"))
        messages, errors = Probe(task.messages), Probe(task.errors)
        pending = asyncio.create_task(task.result(timeout=50.0))
        await messages.until(has_typed(typed("a")))
        own_server.kill()
        await errors.until(len)
        assert isinstance(errors.values[0], TransportFault)
        assert not pending.done()
        await asyncio.to_thread(own_server.start)
        with pytest.raises(TaskNotFound):
            await pending

        assert isinstance(errors.values[-1], FatalFault)
        assert isinstance(errors.values[-1].cause, TaskNotFound)
        assert errors.completed
        assert isinstance(messages.error, TaskNotFound)
        assert deltas(messages.values) == typed("a")
        again = await real.run(types("c"))
        assert (await again.result(timeout=8.0)).text == typed("c")


async def test_a_server_that_is_away_at_first_is_found_later(own_server: A2AServer) -> None:
    async with world(own_server) as real:
        task = await real.run(types("a"))
        first = await task.result(timeout=8.0)
        own_server.kill()
        with pytest.raises(Exception, match=r"(?i)connect"):
            await real.run(types("b"))
        await asyncio.to_thread(own_server.start)
        assert (await (await real.run(types("b"))).result(timeout=8.0)).text == typed("b")
        assert first.text == typed("a")
