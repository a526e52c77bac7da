"""The gateway: a client that reaches tasks through a server."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    AgentNotFound,
    Attachment,
    AuthenticationError,
    Client,
    ClientClosed,
    ConfigurationError,
    Gap,
    RateLimited,
    ServerError,
    Task,
    TaskNotFound,
    TaskStatus,
    ThinkingMessage,
    ToolMessage,
    TransportError,
    TransportFault,
    TypingMessage,
    UnknownMessage,
    UnsupportedOperation,
    Usage,
)
from rxtasks.local import Context, message, thinking, tool_started, typing, usage
from rxtasks.models import FatalFault, Message, TaskInfo, TaskUpdate
from rxtasks.models.encoding import encode
from rxtasks.platforms.base import (
    Batch,
    Metadata,
    Partial,
    Snapshot,
    Spent,
    TaskRef,
    Unfinished,
    Want,
)
from rxtasks.platforms.gateway import Gateway
from rxtasks.platforms.gateway.bodies import AnyFact, SnapshotBody
from rxtasks.platforms.gateway.events import (
    End,
    Live,
    Reset,
    decode_events,
    update_of,
)
from rxtasks.platforms.gateway.reader import EventReader
from rxtasks.platforms.known import metadata_of
from rxtasks.platforms.local import Local
from rxtasks.server import Running, serve
from tests.integration.serving import behind, gateway, until


async def echo(ctx: Context):
    """Say everything backwards."""
    yield thinking("hm")
    run = tool_started("reverse", params={"text": ctx.text})
    yield run
    yield run.finished(output=ctx.text[::-1])
    yield typing("You said ")
    await asyncio.sleep(0.01)
    yield typing(ctx.text[::-1])
    await asyncio.sleep(0.05)  # deltas of a finished message are not delivered any more
    yield usage(Usage(input=3, output=4), cost=0.5)
    yield message()


async def broken(ctx: Context):
    yield typing("I will ")
    raise ValueError("no")


async def ask(ctx: Context):
    yield typing("Well")
    yield typing(", ")
    answer = await ctx.ask("Go on?", ["yes", "no"])
    yield typing(answer)
    await asyncio.sleep(0.05)
    yield message()


async def files(ctx: Context):
    data = [await ctx.read(each) for each in ctx.attachments]
    yield message(" ".join(base64.b64encode(each).decode() for each in data))


async def options(ctx: Context):
    yield message(repr(dict(ctx.options)))


AGENTS: dict[str, Any] = {
    "echo": echo,
    "broken": broken,
    "ask": ask,
    "files": files,
    "options": options,
    "a/b c%": echo,
}


async def everything(task: Task) -> list[Message]:
    async with asyncio.timeout(5):
        return [m async for m in task.messages]


# ------------------------------------------------------------------ tasks


async def test_a_task_runs_behind_a_server_as_it_does_here() -> None:
    async with gateway(AGENTS) as client:
        task = await client.agent("echo").run("abc")
        live: list[Message] = []
        task.messages.subscribe(live.append)
        result = await task.result(timeout=5)
        kinds = [type(m).__name__ for m in live]
        history = await task.get_messages()

    assert (result.status, result.text) == ("completed", "You said cba")
    assert (result.usage, result.cost) == (Usage(input=3, output=4), 0.5)
    assert kinds == [
        "UserMessage",
        "ThinkingMessage",
        "ToolMessage",
        "ToolMessage",
        "TypingMessage",
        "TypingMessage",
        "AgentMessage",
    ]
    tools = [m.status.value for m in live if isinstance(m, ToolMessage)]
    assert tools == ["running", "completed"]
    assert all(m.created_at and m.created_at.tzinfo for m in history)


async def test_follow_ups_are_turns_of_their_own() -> None:
    async with gateway(AGENTS) as client:
        task = await client.agent("echo").run("one")
        texts = [(await task.result(timeout=5)).text]
        for text in ("two", "three"):
            accepted = await task.send(text)
            assert accepted.turn == len(texts) + 1
            texts.append((await task.result(timeout=5)).text)

    assert texts == ["You said eno", "You said owt", "You said eerht"]


async def test_two_clients_see_the_same_messages() -> None:
    async with (
        behind(Local(agents=AGENTS)) as running,
        Client(Gateway(running.url)) as one,
        Client(Gateway(running.url)) as other,
    ):
        task = await one.agent("ask").run("abc")
        same = other.task(task.ref)
        seen: list[Message] = []
        seen_by_other: list[Message] = []
        task.messages.subscribe(seen.append)
        same.messages.subscribe(seen_by_other.append)
        await until(lambda: task.requests and same.requests)
        await same.respond(same.requests[0].id, "yes")
        results = [await t.result(timeout=5) for t in (task, same)]

    assert [r.text for r in results] == ["Well, yes"] * 2
    assert [m for m in seen if not m.is_typing()] == [m for m in seen_by_other if not m.is_typing()]
    for messages in (seen, seen_by_other):
        assert "".join(m.text for m in messages if isinstance(m, TypingMessage)) == "Well, yes"


async def test_who_comes_in_the_middle_of_a_message_gets_its_text_live() -> None:
    async with behind(Local(agents=AGENTS)) as running, Client(Gateway(running.url)) as one:
        task = await one.agent("ask").run("abc")
        task.messages.subscribe(lambda _: None)
        await until(lambda: task.requests)
        async with Client(Gateway(running.url)) as late:
            same = late.task(task.id)
            live: dict[str, str] = {}
            same.snapshots.subscribe(lambda s: live.update(s.live))
            await until(lambda: "Well, " in live.values())
            await task.respond(task.requests[0].id, "no")
            assert (await same.result(timeout=5)).text == "Well, no"


async def test_a_task_that_is_over_is_settled_for_who_comes_later() -> None:
    async with behind(Local(agents=AGENTS)) as running:
        async with Client(Gateway(running.url)) as client:
            task = await client.agent("echo").run("abc")
            first = await task.result(timeout=5)
            await task.send("def")
            await task.result(timeout=5)
            ref = task.ref
        async with Client(Gateway(running.url)) as client:
            updates: list[TaskStatus] = []
            later = client.task(ref)
            later.updates.subscribe(lambda u: updates.append(u.status))
            result = await later.result(timeout=5)
        await until(lambda: running.open_streams == 0)

    assert first.status == result.status == "completed"
    assert result.text == "You said fed"
    assert set(updates[1:]) == {TaskStatus.COMPLETED}  # the first one says that nothing is known


async def test_a_stream_that_comes_late_does_not_tell_the_status_backwards() -> None:
    async with gateway(AGENTS) as client:
        task = await client.agent("echo").run("abc")
        await task.result(timeout=5)
        await task.send("def")
        await asyncio.sleep(0.3)  # the turn ends while nobody observes it
        seen: list[TaskStatus] = []
        task.updates.subscribe(lambda u: seen.append(u.status))
        await task.result(timeout=5)
        await until(lambda: task._feed.state.connection == "live")
        await asyncio.sleep(0.1)

    assert seen[-1] == TaskStatus.COMPLETED
    assert seen[seen.index(TaskStatus.COMPLETED) :].count(TaskStatus.RUNNING) == 0
    assert seen[seen.index(TaskStatus.COMPLETED) :].count(TaskStatus.QUEUED) == 0


async def test_what_went_before_is_no_update_for_who_comes_later() -> None:
    async with behind(Local(agents=AGENTS)) as running, Client(Gateway(running.url)) as one:
        task = await one.agent("ask").run("abc")
        task.updates.subscribe(lambda _: None)
        await until(lambda: task.requests)
        async with Client(Gateway(running.url)) as late:
            same, seen = late.task(task.ref), []
            same.updates.subscribe(lambda u: seen.append((u.status, u.connection)))
            await until(lambda: seen and seen[-1][1] == "live")
            await asyncio.sleep(0.05)

    assert {status for status, _ in seen[1:]} == {TaskStatus.ACTION}


async def test_an_agent_that_fails_is_a_result() -> None:
    async with gateway(AGENTS) as client:
        task = await client.agent("broken").run("abc")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        result = await task.result(timeout=5)

    assert result.status == "error"
    assert any(isinstance(m, AgentErrorMessage) for m in result.messages)
    assert [type(f).__name__ for f in faults] == ["AgentFault"]


async def test_a_deleted_task_is_gone_for_everybody() -> None:
    async with (
        behind(Local(agents=AGENTS)) as running,
        Client(Gateway(running.url)) as one,
        Client(Gateway(running.url)) as other,
    ):
        task = await one.agent("ask").run("abc")
        same = other.task(task.ref)
        ended: list[str] = []
        errors: list[Exception] = []
        task.messages.subscribe(on_completed=lambda: ended.append("one"))
        same.messages.subscribe(on_error=errors.append)
        await until(lambda: task.requests and same.requests)
        await task.end()
        await until(lambda: ended and errors)
        await until(lambda: running.open_streams == 0)

    assert isinstance(errors[0], TaskNotFound)


async def test_a_turn_is_cancelled() -> None:
    async with gateway(AGENTS) as client:
        task = await client.agent("ask").run("abc")
        task.messages.subscribe(lambda _: None)
        await until(lambda: task.requests)
        await task.cancel()
        assert (await task.result(timeout=5)).status == "cancelled"


async def test_attachments_travel(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"\x00from a file\xff")
    async with gateway(AGENTS) as client:
        task = await client.agent("files").run(
            "these",
            attachments=[
                Attachment(name="a.bin", data=b"\xff\x00"),
                Attachment(name="note.txt", path=path),
            ],
        )
        text = (await task.result(timeout=5)).text
        with pytest.raises(ConfigurationError, match="cannot be read"):
            await task.send("x", attachments=[Attachment(name="n", path=tmp_path / "none")])
        with pytest.raises(ConfigurationError, match="url"):
            await task.send("x", attachments=[Attachment(name="n")])

    assert [base64.b64decode(part) for part in text.split()] == [b"\xff\x00", path.read_bytes()]


async def test_options_travel_and_those_that_cannot_are_refused() -> None:
    async with gateway(AGENTS) as client:
        task = await client.agent("options").run("x", colour="red", n=[1])
        assert (await task.result(timeout=5)).text == "{'colour': 'red', 'n': [1]}"
        with pytest.raises(ConfigurationError, match="JSON"):
            await client.agent("options").run("x", colour=object())
        with pytest.raises(ConfigurationError, match="JSON"):
            await client.agent("options").run("half a character: \ud800")


async def test_names_with_odd_characters_are_names() -> None:
    async with gateway(AGENTS) as client:
        task = await client.agent("a/b c%").run("abc")
        assert (await task.result(timeout=5)).text == "You said cba"
        assert client.task(task.ref).id == task.id
        assert await client.task(task.ref).poll() is TaskStatus.COMPLETED
        listed = [t.id async for t in client.agent("a/b c%").tasks()]

    assert listed == [task.id]


async def test_tasks_are_listed_page_by_page() -> None:
    async with behind(Local(agents=AGENTS)) as running, Client(Gateway(running.url)) as client:
        agent = client.agent("options")
        tasks = [await agent.run(f"task {i}") for i in range(60)]
        before = running.requests
        first = [t.id async for t in agent.tasks(limit=3)]
        one_page = running.requests - before
        whole = [t.id async for t in agent.tasks()]
        found = [t.id async for t in agent.tasks(search="task 7", status="completed")]
        agents = await client.platform.list_agents()  # type: ignore[attr-defined]

    assert whole == [t.id for t in tasks][::-1]
    assert first == whole[:3]
    assert one_page == 1
    assert found == [tasks[7].id]
    assert [a.id for a in agents] == list(AGENTS)


async def test_a_gateway_can_stand_behind_a_server() -> None:
    async with (
        behind(Local(agents=AGENTS)) as inner,
        behind(Gateway(inner.url)) as outer,
        Client(Gateway(outer.url)) as client,
    ):
        task = await client.agent("echo").run("abc")
        assert (await task.result(timeout=5)).text == "You said cba"
        assert len(await client.platform.list_agents()) == len(AGENTS)  # type: ignore[attr-defined]
        with pytest.raises(AgentNotFound, match="nobody"):
            await client.agent("nobody").run("x")


# ------------------------------------------------------------------ errors


async def test_errors_are_those_of_the_platform_behind_the_server() -> None:
    async with gateway(AGENTS) as client:
        with pytest.raises(AgentNotFound, match="there is no agent 'nobody'") as caught:
            await client.agent("nobody").run("x")
        assert caught.value.status == 404
        with pytest.raises(TaskNotFound, match="nothing"):
            await client.task("nothing").poll()
        with pytest.raises(UnsupportedOperation, match="workforces"):
            await client.workforce("w").run("x")
        with pytest.raises(UnsupportedOperation, match="webhooks"):
            await client.agent("echo").run("x", webhook="http://127.0.0.1/")
        task = await client.agent("echo").run("x")
        with pytest.raises(ConfigurationError, match="no open request"):
            await task.respond("r/1", "yes")
        with pytest.raises(ConfigurationError, match="colour"):
            _ = [t async for t in client.agent("echo").tasks(sort="colour")]
        with pytest.raises(AgentNotFound):
            _ = [t async for t in client.agent("nobody").tasks()]


async def test_a_task_that_does_not_exist_fails_its_streams() -> None:
    async with gateway(AGENTS) as client:
        with pytest.raises(TaskNotFound):
            await everything(client.task("nothing"))


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "/v1", "http://u:p@localhost"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL"):
        Gateway(url)


def test_an_empty_token_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="token"):
        Gateway("http://localhost", token=" ")


async def test_the_token_is_shown_nowhere() -> None:
    async with behind(Local(agents=AGENTS), token="s3cret-token") as running:
        platform = Gateway(f"{running.url}/?key=s3cret-token", token="s3cret-token")
        async with Client(platform) as client:
            assert (await (await client.agent("echo").run("abc")).result(timeout=5)).text
        async with Client(Gateway(running.url, token="wr0ng-token")) as client:
            with pytest.raises(AuthenticationError, match="token") as caught:
                await client.agent("echo").run("abc")
        async with Client(Gateway(running.url)) as client:
            with pytest.raises(AuthenticationError, match="Bearer"):
                await client.agent("echo").run("abc")

    assert "s3cret" not in repr(platform)
    assert "wr0ng" not in str(caught.value) + caught.value.body


async def test_a_token_can_be_renewed() -> None:
    asked = 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        return "s3cret"

    async with (
        behind(Local(agents=AGENTS), token="s3cret") as running,
        Client(Gateway(running.url, token=token)) as client,
    ):
        assert client.platform.capabilities.credentials_renew
        task = await client.agent("echo").run("abc")
        await task.result(timeout=5)

    assert asked >= 2


async def test_a_server_that_is_down_is_said_to_be_down() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with Client(Gateway(f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(TransportError, match="is it running"):
            await client.task("t").poll()


async def test_a_server_of_another_kind_is_told_from_a_missing_task() -> None:
    async with (
        behind(Local(agents=AGENTS)) as running,
        Client(Gateway(f"{running.url}/prefix")) as client,
    ):
        with pytest.raises(ConfigurationError, match="nothing at this path"):
            await client.task("t").poll()


async def test_it_is_used_by_one_client_at_a_time() -> None:
    platform = Gateway("http://127.0.0.1:1")
    with pytest.raises(ClientClosed):
        await platform.list_agents()
    async with Client(platform):
        with pytest.raises(ConfigurationError, match="in use"):
            async with Client(platform):
                pass
    await platform.aclose()


# ------------------------------------------------------------------ a server with troubles


class Restarting:
    """A server at one address that can be stopped and started anew."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.port = 0
        self._stop: Any = None

    async def start(self) -> Running:
        context = serve(self.client, port=self.port)
        running = await context.__aenter__()
        self.port, self._stop = running.port, context.__aexit__
        return running

    async def stop(self) -> None:
        await self._stop(None, None, None)


@asynccontextmanager
async def restarting() -> AsyncIterator[Restarting]:
    async with Client(Local(agents=AGENTS)) as client:
        server = Restarting(client)
        await server.start()
        yield server
        await server.stop()


async def test_a_server_that_is_started_anew_loses_nothing_and_repeats_nothing() -> None:
    async with (
        restarting() as server,
        Client(Gateway(f"http://127.0.0.1:{server.port}")) as client,
    ):
        task = await client.agent("ask").run("abc")
        seen: list[Message] = []
        faults: list[Any] = []
        task.messages.subscribe(seen.append)
        task.errors.subscribe(faults.append)
        await until(lambda: task.requests)
        await server.stop()
        await until(lambda: faults)
        running = await server.start()
        await until(lambda: running.open_streams == 1)
        await task.respond(task.requests[0].id, "yes")
        result = await task.result(timeout=10)

    assert result.text == "Well, yes"
    assert "".join(m.text for m in seen if isinstance(m, TypingMessage)) == "Well, yes"
    assert [m.text for m in seen if isinstance(m, AgentMessage)] == ["Well, yes"]
    assert all(isinstance(fault, TransportFault) for fault in faults)


class Faulty(Local):
    """The embedded platform, with polls and streams that fail when a test wants it."""

    def __init__(self) -> None:
        super().__init__(agents=AGENTS)
        self.error: Exception | None = None
        self.starts = 0

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        if self.error is not None:
            raise self.error
        return await super().snapshot(ref, cursor, want)

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        if self.error is not None:
            raise self.error
        async for batch in super().open_stream(ref, cursor):
            yield batch
            if self.error is not None:
                raise self.error

    async def start(self, *args: Any, **how: Any) -> Any:
        self.starts += 1
        if self.error is not None:
            raise self.error
        return await super().start(*args, **how)


async def test_faults_behind_the_server_are_told() -> None:
    platform = Faulty()
    async with behind(platform) as running, Client(Gateway(running.url)) as client:
        task = await client.agent("ask").run("abc")
        faults: list[Any] = []
        task.errors.subscribe(faults.append)
        await until(lambda: task.requests)
        platform.error = ServerError("the platform is on fire", status=503)
        await task.respond(task.requests[0].id, "yes")
        await until(lambda: faults)
        platform.error = None
        assert (await task.result(timeout=20)).text == "Well, yes"

    told = [f for f in faults if isinstance(f, TransportFault)]
    assert "on fire" in str(told[0].cause)
    assert isinstance(told[0].cause, ServerError)


async def test_a_fault_that_is_fatal_behind_the_server_is_fatal_here() -> None:
    platform = Faulty()
    async with behind(platform) as running, Client(Gateway(running.url)) as client:
        task = await client.agent("ask").run("abc")
        faults: list[Any] = []
        errors: list[Exception] = []
        task.errors.subscribe(faults.append)
        task.messages.subscribe(on_error=errors.append)
        await until(lambda: task.requests)
        platform.error = AuthenticationError("the key was revoked", status=401)
        await task.respond(task.requests[0].id, "yes")
        await until(lambda: errors)
        await until(lambda: running.open_streams == 0)

    assert isinstance(errors[0], AuthenticationError)
    assert isinstance(faults[-1], FatalFault)


async def test_a_start_of_unknown_fate_is_not_made_twice() -> None:
    platform = Faulty()
    platform.error = TransportError("the connection broke", maybe_accepted=True)
    capabilities = Local(agents=AGENTS).capabilities

    class Forgetful(Faulty):
        @property
        def capabilities(self) -> Any:
            from msgspec.structs import replace

            return replace(capabilities, idempotency=False)

    forgetful = Forgetful()
    forgetful.error = platform.error
    async with behind(forgetful) as running, Client(Gateway(running.url)) as client:
        with pytest.raises(TransportError) as caught:
            await client.agent("echo").run("abc")

    assert caught.value.maybe_accepted
    assert forgetful.starts == 1


async def test_a_limit_says_how_long_to_wait() -> None:
    platform = Faulty()
    async with behind(platform) as running, Client(Gateway(running.url)) as client:
        platform.error = RateLimited("slow down", status=429, retry_after=77.0)
        with pytest.raises(RateLimited, match="slow down") as caught:
            await client.agent("echo").run("abc")

    assert caught.value.retry_after == 77.0


async def test_nothing_is_left_when_the_last_observer_leaves() -> None:
    async with behind(Local(agents=AGENTS)) as running, Client(Gateway(running.url)) as client:
        task = await client.agent("ask").run("abc")
        for _ in range(3):
            with task.messages.subscribe(lambda _: None), task.updates.subscribe(lambda _: None):
                await until(lambda: running.open_streams == 1)
            await until(lambda: running.open_streams == 0)


async def test_an_observer_that_comes_back_goes_on_where_the_feed_was() -> None:
    async with behind(Local(agents=AGENTS)) as running, Client(Gateway(running.url)) as client:
        task = await client.agent("ask").run("abc")
        with task.messages.subscribe(lambda _: None):
            await until(lambda: task.requests)
        await until(lambda: running.open_streams == 0)
        before = running.events
        seen: list[Message] = []
        with task.messages.subscribe(seen.append):
            await task.respond(task.requests[0].id, "yes")
            await task.result(timeout=5)
        events = running.events - before

    assert [m.text for m in seen if isinstance(m, AgentMessage)] == ["Well, yes"]
    assert 0 < events < before + 4


# ------------------------------------------------------------------ the wire


NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
VALUES: list[Any] = [
    AgentMessage(id="a", created_at=NOW, text="Grüße\r\n\u2028", raw={"x": [1, None]}),
    ToolMessage(id="t", name="n", params={"a": 1}, output=[True], errors=("e",)),
    AgentErrorMessage(id="e", errors=("x",), last_error="x"),
    TypingMessage(id="a", text="\n\n: data: x"),
    ThinkingMessage(id="a", text=""),
    Gap(after=1, before=3),
    UnknownMessage(id="u", type="odd", raw={"kind": "agent"}),
    Reset(),
    Live(),
    End(),
]


def events_of(*values: Any) -> list[tuple[bytes, bytes, bytes]]:
    return [(v.__struct_config__.tag.encode(), b"e:1", encode(v)) for v in values]


def test_values_survive_the_wire() -> None:
    assert list(decode_events(events_of(*VALUES))) == VALUES
    assert all(b"\n" not in encode(value) and b"\r" not in encode(value) for value in VALUES)


@pytest.mark.parametrize(
    ("cause", "attribute", "expected"),
    [
        (ServerError("on fire", status=503, retry_after=2.0), "retry_after", 2.0),
        (TransportError("broken", maybe_accepted=True), "maybe_accepted", True),
        (ValueError("our own fault"), "args", ("ValueError: our own fault",)),
        (ServerError("half a character: \ud800"), "args", ("half a character: ?",)),
        (ServerError("x" * 5000), "args", ("x" * 900,)),
    ],
)
def test_the_cause_of_a_fault_survives_the_wire(
    cause: Exception, attribute: str, expected: Any
) -> None:
    fault = TransportFault(source="poll", attempt=2, retry_in=1.5, cause=cause)
    (found,) = decode_events(events_of(fault))

    assert isinstance(found, TransportFault)
    assert (found.source, found.attempt, found.retry_in) == ("poll", 2, 1.5)
    assert getattr(found.cause, attribute) == expected


def test_an_update_survives_the_wire_with_all_that_is_known() -> None:
    info = TaskInfo(id="t", turn=3, usage=Usage(input=1), cost=0.1, degraded=True, agent_id="a")
    update = TaskUpdate(status=TaskStatus.ACTION, platform_state="odd", name="n", updated_at=NOW)
    (found,) = decode_events(events_of(update_of(update, info)))

    assert metadata_of(found) == Metadata(
        status=TaskStatus.ACTION,
        platform_state="odd",
        name="n",
        agent_id="a",
        updated_at=NOW,
        requests=(),
        turn=3,
        usage=Usage(input=1),
        cost=0.1,
        degraded=True,
    )


@pytest.mark.parametrize(
    "raw", [{"n": 10**100}, {"s": "\ud800"}, {1: {2, 3}}, {"o": object()}, {(1, 2): "tuple"}]
)
def test_whatever_a_platform_put_into_a_message_can_be_sent(raw: Any) -> None:
    (found,) = decode_events(events_of(AgentMessage(id="a", text="t", raw=raw)))

    assert isinstance(found, Message)
    assert found.id == "a"


@pytest.mark.parametrize(
    ("event", "data", "expected"),
    [
        (b"odd", b'{"kind": "odd", "id": "x"}', "x"),
        (b"odd", b"[1, 2", ""),
        (b"agent", b'{"kind": "agent", "id": 7}', "7"),
        (b"odd", b'{"kind":"live"},{"kind":"live"}', ""),
        (b"odd", b"", ""),
        (b"odd", b"[" * 100_000, ""),
    ],
)
def test_what_cannot_be_read_is_delivered_and_hurts_nothing_else(
    event: bytes, data: bytes, expected: str
) -> None:
    good = events_of(VALUES[0])[0]
    found = decode_events([good, (event, b"", data), good])

    assert found[0] == found[2] == VALUES[0]
    assert isinstance(found[1], UnknownMessage)
    assert found[1].id == expected


def test_invalid_utf_8_is_replaced() -> None:
    (found,) = decode_events([(b"typing", b"", b'{"kind":"typing","id":"a","text":"\xff"}')])

    assert found == TypingMessage(id="a", text="�")


def test_facts_survive_the_wire() -> None:
    import msgspec

    facts: list[AnyFact] = [
        VALUES[0],
        Partial(id="p", text="so", thinking="far", created_at=NOW),
        Unfinished("q"),
        Spent(id="a", usage=Usage(output=2), cost=0.25),
    ]
    body = SnapshotBody(facts=facts, cursor="c")
    found = msgspec.json.decode(encode(body), type=SnapshotBody)

    assert found.facts == facts
    assert found.info is None


def test_deltas_are_kept_back_until_the_whole_log_was_told() -> None:
    reader = EventReader(from_start=True)
    old = TransportFault(source="poll", attempt=1, retry_in=1.0, cause=OSError())
    first = reader.batch(
        events_of(TypingMessage(id="a", text="Hel"), TypingMessage(id="b", text="x"), old), "e:3"
    )
    second = reader.batch(
        events_of(AgentMessage(id="b", text="x"), TypingMessage(id="a", text="lo")), "e:5"
    )
    third = reader.batch(events_of(Live(), TypingMessage(id="a", text="!")), "e:6")

    assert (first.items, first.cursor) == ([], None)
    assert (second.items, second.cursor) == ([AgentMessage(id="b", text="x")], None)
    assert third.items == [TypingMessage(id="a", text="Hello"), TypingMessage(id="a", text="!")]
    assert (third.cursor, third.reset) == ("e:6", True)


async def test_a_stream_begins_anew_where_its_position_is_unknown() -> None:
    async with behind(Local(agents=AGENTS)) as running:
        platform = Gateway(running.url)
        async with Client(platform) as client:
            task = await client.agent("ask").run("abc")
            with task.messages.subscribe(lambda _: None):
                await until(lambda: task.requests)
                batches = platform.open_stream(TaskRef(task.id), "unknown:7")
                items: list[Any] = []
                reset = False
                async for batch in batches:
                    items += batch.items
                    reset = reset or batch.reset
                    if batch.reset:
                        break
                with suppress(RuntimeError):
                    await batches.aclose()

    assert reset
    assert TypingMessage(id="", text="Well, ").text in [getattr(i, "text", "") for i in items]
    assert [i.status for i in items if isinstance(i, Metadata)] == [TaskStatus.ACTION]


async def test_one_stream_for_all_tasks_is_not_to_be_had() -> None:
    async with behind(Local(agents=AGENTS)) as running:
        platform = Gateway(running.url)
        async with Client(platform):
            with pytest.raises(UnsupportedOperation):
                await anext(aiter(platform.open_stream(None, None)))
