"""Swarmlord: what can be asked of it, and what is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    AgentNotFound,
    Attachment,
    AuthenticationError,
    Client,
    ClientClosed,
    ConfigurationError,
    InputRequest,
    Message,
    RateLimited,
    ServerError,
    Task,
    TaskNotFound,
    TaskStatus,
    TaskUpdate,
    ToolMessage,
    TransportError,
    UnsupportedOperation,
    Usage,
    UserMessage,
)
from rxtasks.platforms import Swarmlord
from rxtasks.platforms.base import TaskRef
from rxtasks.webhooks import SwarmlordScheme, WebhookReceiver, sign
from rxtasks.wire.http import HttpOptions
from tests.integration.serving import until
from tests.integration.swarmlord_server import (
    KEY,
    RESET,
    Fault,
    SwarmlordServer,
    at,
    swarmlord_server,
)
from tests.integration.test_relevance_faults import HASTE, Watch

ANSWER = [
    at(0.02, lambda s: s.begin(f"a{s.prompts}")),
    at(0.03, lambda s: s.add(f"a{s.prompts}", "Hel")),
    at(0.04, lambda s: s.add(f"a{s.prompts}", "lo"), lambda s: s.complete("Hello")),
]


@pytest.fixture
async def server() -> AsyncIterator[SwarmlordServer]:
    async with swarmlord_server() as server:
        server.scripts = [ANSWER]
        yield server


@asynccontextmanager
async def talking(server: SwarmlordServer, **options: Any) -> AsyncIterator[Client]:
    async with Client(Swarmlord(KEY, server.url, **options), cadence=HASTE) as client:
        yield client


# ---------------------------------------------------------------------------------- runs


async def test_a_run_makes_a_session_and_sends_the_message(server: SwarmlordServer) -> None:
    async with talking(server) as client:
        watch = Watch(await client.agent("writer").run("Go", title="A title"))
        result = await watch.result()
        watch.check()

        assert (result.status, result.text) == ("completed", "Hello")
        assert watch.said() == ["Hello"]
        assert watch.typed("a1") == "Hello"
        assert watch.task.ref == f"agent/writer/{watch.task.id}"
        assert watch.task.name == "A title"
        assert watch.task.created_at is not None
        assert watch.words[-1] == "idle"
        made, sent = server.asked("agent", "prompt")
        assert made.path == "/agent/writer/session"
        assert made.body == {"title": "A title"}
        assert sent.query == {"async": "1"}
        assert sent.body == {"parts": [{"type": "text", "text": "Go"}]}
        assert server.asked("events")[0].headers["Last-Event-ID"] == "0"


async def test_names_are_one_part_of_a_path(server: SwarmlordServer) -> None:
    server.agents.add("a/b c")
    async with talking(server) as client:
        await client.agent("a/b c").run("Go")
        for name in ("..", "."):
            with pytest.raises(ConfigurationError, match="name"):
                await client.agent(name).run("Go")
            with pytest.raises(ConfigurationError, match="session"):
                await client.task(name).poll()


async def test_a_task_is_resumed_in_another_process_by_its_ref_or_id(
    server: SwarmlordServer,
) -> None:
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")
        await task.result()
    for name in (task.ref, task.id):
        async with talking(server) as client:
            watch = Watch(client.task(name))
            result = await watch.result()

            assert result.text == "Hello"
            kinds = [type(each).__name__ for each in watch.full[:2]]
            assert kinds == ["UserMessage", "AgentMessage"]
            await watch.task.send("More")
            assert (await watch.task.result()).text == "Hello"
            watch.check()


async def test_a_stream_goes_on_where_the_history_ends(server: SwarmlordServer) -> None:
    session = server.add_session()
    session.user("u1", "Go")
    session.begin("a1")
    session.add("a1", "Hel")
    async with talking(server) as client:
        watch = Watch(client.task(session.id))
        await until(lambda: server.open_streams)
        assert server.asked("events")[0].headers["Last-Event-ID"] == "3"
        session.add("a1", "lo")
        session.complete("Hello")
        result = await watch.result()
        watch.check()

        assert result.text == "Hello"
        assert watch.typed("a1") == "Hello"


@pytest.mark.parametrize(("cursor", "expected"), [("2", ["a1"]), ("7", [])])
async def test_a_stream_goes_on_where_another_process_has_left_it(
    server: SwarmlordServer, cursor: str, expected: list[str]
) -> None:
    session = server.add_session()
    session.user("u1", "Go")
    session.begin("a1")
    session.add("a1", "Hello")
    session.complete("Hello")
    platform = Swarmlord(KEY, server.url)
    await platform.open(HttpOptions())
    told: list[Any] = []

    async def read() -> None:
        async for batch in platform.open_stream(TaskRef(session.id), cursor):
            told.extend(batch.items)

    reading = asyncio.create_task(read())
    await until(lambda: server.open_streams)
    session.close()
    await reading
    await platform.aclose()

    assert server.asked("events")[0].headers["Last-Event-ID"] == cursor
    assert {each.id for each in told if isinstance(each, Message)} == set(expected)


async def test_what_does_not_exist_is_not_found(server: SwarmlordServer) -> None:
    async with talking(server) as client:
        with pytest.raises(AgentNotFound, match="nobody"):
            await client.agent("nobody").run("Go")
        nothing = client.task("ses_nothing")
        for attempt in (nothing.poll, nothing.result, nothing.get_messages, nothing.cancel):
            with pytest.raises(TaskNotFound):
                await attempt()
        with pytest.raises(TaskNotFound):
            await nothing.end()


async def test_what_the_platform_cannot_do_is_refused(server: SwarmlordServer) -> None:
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")
        await task.result()
        asked = len(server.requests)
        with pytest.raises(UnsupportedOperation, match="Swarmlord"):
            await task.respond("call", "yes")
        with pytest.raises(UnsupportedOperation, match=r"task\.ref"):
            await anext(client.agent("writer").tasks())
        with pytest.raises(UnsupportedOperation, match="idempotency_key"):
            await client.agent("writer").run("Go", idempotency_key="k")
        with pytest.raises(UnsupportedOperation):
            client.workforce("w")
        with pytest.raises(ConfigurationError, match="colour"):
            await client.agent("writer").run("Go", colour="red")

        assert len(server.requests) == asked


# ---------------------------------------------------------------------------------- the end


@pytest.mark.parametrize("deletes", [True, False])
async def test_a_session_is_ended_by_deleting_it_or_else_by_aborting(
    server: SwarmlordServer, deletes: bool
) -> None:
    server.deletes = deletes
    server.scripts = [[at(0.0, lambda s: s.begin("a1"))]]
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")
        watch = Watch(task)
        await until(lambda: server.open_streams)
        await task.end()

        assert (task.id in server.sessions) is not deletes
        assert len(server.asked("abort")) == (1 if deletes else 2)
        with pytest.raises(TaskNotFound):
            await task.poll()
        await until(lambda: not server.open_streams)
        assert watch.failed == []


async def test_a_turn_that_is_aborted_is_cancelled(server: SwarmlordServer) -> None:
    server.scripts = [
        [
            at(0.0, lambda s: s.begin("a1"), lambda s: s.add("a1", "Hel")),
            at(0.0, lambda s: s.tool("a1", "grep", "running", call="c1", first=True)),
        ]
    ]
    async with talking(server) as client:
        watch = Watch(await client.agent("writer").run("Go"))
        await until(lambda: watch.typed("a1") == "Hel")
        await watch.task.cancel()
        result = await watch.result()
        watch.check()

        assert result.status == "cancelled"
        assert watch.said() == ["Hel"]
        assert watch.ended_tools() == ["a1/c1"]
        assert watch.task.platform_state == "idle"


async def test_a_session_that_says_error_has_failed(server: SwarmlordServer) -> None:
    server.scripts = [
        [at(0.02, lambda s: s.begin("a1"), lambda s: s.abort("out of luck", status="error"))],
        [at(0.02, lambda s: s.begin("a2"), lambda s: s.become("error"))],
        ANSWER,
    ]
    async with talking(server) as client:
        watch = Watch(await client.agent("writer").run("Go"))
        result = await watch.result()
        assert (result.status, result.error) == ("error", "out of luck")
        server.sessions[watch.task.id].error = {"message": "the model is gone"}
        await watch.task.send("Again")
        task = watch.task
        await until(lambda: server.sessions[task.id].status == "error")
        await task.poll()
        result = await watch.result()
        assert (result.status, result.error) == ("error", "the model is gone")
        server.sessions[task.id].error = None
        await task.send("Once more")
        assert (await watch.result()).text == "Hello"

        assert len(watch.faults) == 2
        assert "cancelled" not in watch.words


async def test_a_degraded_end_is_completed_and_says_so(server: SwarmlordServer) -> None:
    server.scripts = [
        [at(0.0, lambda s: s.begin("a1"), lambda s: s.complete("So so", degraded=True))],
        ANSWER,
    ]
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")
        result = await task.result()
        assert (result.status, result.text, result.degraded) == ("completed", "So so", True)
    async with talking(server) as client:
        again = client.task(task.ref)
        assert (await again.result()).degraded
        await again.send("Better")
        result = await again.result()
        assert (result.text, result.degraded) == ("Hello", False)


# ---------------------------------------------------------------------------------- what is said


async def test_a_reply_that_no_part_has_told_is_the_text_of_the_result(
    server: SwarmlordServer,
) -> None:
    server.scripts = [[at(0.0, lambda s: s.complete("Just this"))]]
    for streaming in (True, False):
        async with talking(server, streaming=streaming) as client:
            watch = Watch(await client.agent("writer").run("Go"))

            assert (await watch.result()).text == "Just this"
            assert watch.said() == ["Just this"]


async def test_a_json_reply_is_its_text(server: SwarmlordServer) -> None:
    terminal = {"kind": "json_reply", "value": {"answer": 42}}
    server.scripts = [
        [
            at(0.0, lambda s: s.begin("a1"), lambda s: s.add("a1", '{"answer": ')),
            at(0.0, lambda s: s.emit("json_reply.failed", attempt=1, lastError="no JSON")),
            at(0.0, lambda s: s.begin("a2")),
            at(0.0, lambda s: s.emit("session.completed", terminal=terminal)),
            at(0.0, lambda s: s.become("idle")),
        ],
        [
            at(0.0, lambda s: s.begin("b1"), lambda s: s.add("b1", '{\n  "answer": 42\n}')),
            at(0.0, lambda s: s.emit("session.completed", terminal=terminal)),
            at(0.0, lambda s: s.become("idle")),
        ],
    ]
    async with talking(server) as client:
        watch = Watch(await client.agent("writer").run("Go"))
        result = await watch.result()

        assert (result.status, result.text) == ("completed", '{"answer":42}')
        assert result.error == "no JSON"  # of an attempt: the turn went on
        [failed] = [each for each in watch.full if isinstance(each, AgentErrorMessage)]
        assert failed.raw == {"attempt": 1, "lastError": "no JSON"}
        assert len(watch.faults) == 1
        reply = watch.full[-1]
        assert isinstance(reply, AgentMessage)
        assert reply.raw == terminal
        await watch.task.send("Again")
        result = await watch.result()
        assert result.text == '{\n  "answer": 42\n}'
        assert watch.said()[2:] == [result.text]


async def test_tools_thoughts_and_texts_of_one_message_keep_their_order(
    server: SwarmlordServer,
) -> None:
    server.scripts = [
        [
            at(0.0, lambda s: s.begin("a1", tokens={"input": 9, "output": 1}, cost=0.5)),
            at(0.0, lambda s: s.add("a1", "Hm.", "reasoning"), lambda s: s.add("a1", "Look")),
            at(0.0, lambda s: s.tool("a1", "grep", "running", call="c1", first=True)),
            at(0.01, lambda s: s.tool("a1", "grep", "completed", call="c1", output=[1])),
            at(0.02, lambda s: s.add("a1", "Fou"), lambda s: s.add("a1", "nd")),
            at(0.03, lambda s: s.complete("Found")),
        ]
    ]
    async with talking(server) as client:
        watch = Watch(await client.agent("writer").run("Go"))
        result = await watch.result()
        watch.check()

        assert watch.said() == ["Look", "Found"]
        _, look, run, done, found = watch.full
        assert isinstance(look, AgentMessage)
        assert (look.id, look.thoughts) == ("a1", ("Hm.",))
        assert isinstance(run, ToolMessage)
        assert isinstance(done, ToolMessage)
        assert (run.id, run.name, run.status) == ("a1/c1", "grep", "running")
        assert (done.status, done.output, done.revision) == ("completed", [1], 2)
        assert found.id == "a1/2"
        assert watch.typed("a1/2") == "Found"
        assert result.text == "Found"
        assert result.usage == Usage(input=9, output=1)
        assert result.cost == 0.5
        assert result.messages == tuple(each for each in watch.full if each is not run), (
            "each once, in its newest form"
        )


async def test_a_permission_that_is_asked_for_is_action(server: SwarmlordServer) -> None:
    server.scripts = [
        [
            at(0.0, lambda s: s.begin("a1")),
            at(0.0, lambda s: s.tool("a1", "bash", "pending", call="c1", first=True)),
            at(
                0.02,
                lambda s: s.emit("permission.asked", tool="bash", reason="rm -r", callId="c1"),
            ),
            at(0.4, lambda s: s.tool("a1", "bash", "running", call="c1")),
            at(0.5, lambda s: s.tool("a1", "bash", "completed", call="c1", output="ok")),
            at(0.5, lambda s: s.complete("Done")),
        ]
    ]
    for streaming in (True, False):
        async with talking(server, streaming=streaming) as client:
            task = await client.agent("writer").run("Go")
            watch = Watch(task)
            statuses: list[TaskStatus] = []
            task.updates.pipe(ops.map(_status)).subscribe(statuses.append)
            await until(partial(_waits, task))
            assert task.requests == (InputRequest("c1", "approval", "bash: rm -r"),)
            await until(lambda: not task.requests)  # noqa: B023 - it is called here
            assert (await watch.result()).text == "Done"
            after = statuses[statuses.index(TaskStatus.ACTION) :]
            assert list(dict.fromkeys(after)) == ["action", "running", "completed"]


def _status(update: TaskUpdate) -> TaskStatus:
    return update.status


def _waits(task: Task) -> bool:
    return task.status is TaskStatus.ACTION


async def test_the_platform_s_own_words_are_understood(server: SwarmlordServer) -> None:
    session = server.add_session()
    session.user("u1", "Go")
    expected = {
        "accepted": "queued",
        "busy": "running",
        "compacting": "running",
        "error": "error",
        "made-up": "running",
    }
    async with talking(server, streaming=False) as client:
        task = client.task(session.id)
        for word, status in expected.items():
            session.become(word)
            assert await task.poll() == status
            assert task.platform_state == word
        session.become({"type": "busy"})
        assert await task.poll() == "running"


async def test_tokens_and_cost_of_a_session_with_one_message_are_those_of_its_turn(
    server: SwarmlordServer,
) -> None:
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")
        server.sessions[task.id].extra = {"tokens": {"input": 5, "reasoning": 2}, "cost": 0.25}
        result = await task.result()
        assert (result.usage, result.cost) == (Usage(input=5, reasoning=2), 0.25)
        server.scripts = [[at(0.1, lambda s: s.complete("Done"))]]
        await task.send("More")
        await task.poll()
        result = await task.result()
        assert (result.usage, result.cost) == (None, None)


# ---------------------------------------------------------------------------------- files


async def test_files_are_uploaded_to_their_session(server: SwarmlordServer, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * 4096)
    files = [
        Attachment(name='no"te.txt', data=b"milk and honey"),
        Attachment(name="large.bin", path=path, content_type="image/png"),
        Attachment(name="there.pdf", url="https://example.com/there.pdf"),
        Attachment(name="empty", data=b""),
    ]
    told: list[tuple[str, int, int]] = []
    async with talking(server) as client:
        task = await client.agent("writer").run(
            "Go",
            attachments=files,
            on_upload=lambda file, sent, size: told.append((file.name, sent, size)),
        )
        result = await task.result()

    note, large, empty = server.uploads
    assert (note["data"], note["type"]) == (b"milk and honey", "text/plain; charset=utf-8")
    assert (large["data"], large["type"]) == (path.read_bytes(), "image/png")
    assert (empty["data"], empty["type"]) == (b"", "application/octet-stream")
    assert all(each["length"] is not None for each in server.uploads)
    assert {each.path for each in server.asked("upload")} == {f"/session/{task.id}/upload"}
    text, *sent = server.asked("prompt")[0].body["parts"]
    assert text == {"type": "text", "text": "Go"}
    assert sent[1] == {
        "type": "file",
        "url": large["url"],
        "filename": "large.bin",
        "mime": "image/png",
    }
    assert [each["url"] for each in sent] == [
        note["url"],
        large["url"],
        "https://example.com/there.pdf",
        empty["url"],
    ]
    said = result.messages[0]
    assert isinstance(said, UserMessage)
    assert [each.name for each in said.attachments] == [each.name for each in files]
    steps = [sent for name, sent, _ in told if name == "large.bin"]
    assert len(steps) > 2
    assert steps == sorted(steps)
    assert ("empty", 0, 0) in told


async def test_a_file_is_uploaded_once_for_several_messages(server: SwarmlordServer) -> None:
    platform = Swarmlord(KEY, server.url)
    async with Client(platform, cadence=HASTE) as client:
        task = await client.agent("writer").run("Go")
        note = await platform.upload(task.id, Attachment(name="n.md", data=b"# Note"))
        for _ in range(2):
            await task.send("Read", attachments=[note])

    assert note.url == server.uploads[0]["url"]
    assert len(server.uploads) == 1


async def test_a_file_that_cannot_be_read_starts_nothing(
    server: SwarmlordServer, tmp_path: Path
) -> None:
    async with talking(server) as client:
        for wrong in (
            Attachment(name="gone.txt", path=tmp_path / "gone.txt"),
            Attachment(name="none.txt"),
            Attachment(name="both.txt", data=b"x", url="https://example.com"),
        ):
            with pytest.raises(ConfigurationError, match=wrong.name):
                await client.agent("writer").run("Go", attachments=[wrong])
        assert server.requests == []
        with pytest.raises(ConfigurationError, match="folder"):
            await client.agent("writer").run(
                "Go", attachments=[Attachment(name="folder", path=tmp_path)]
            )

    assert server.asked("prompt") == []
    assert server.sessions == {}  # what was made is deleted again


# ---------------------------------------------------------------------------------- webhooks


async def test_a_webhook_is_registered_once_before_anything_is_sent(
    server: SwarmlordServer,
) -> None:
    url = "https://example.com/hook"
    async with talking(server) as client:
        handle = client.agent("writer")
        await asyncio.gather(*(handle.run("Go", webhook=url) for _ in range(3)))
        await handle.run("Go", webhook=f"{url}/2")
        with pytest.raises(ConfigurationError, match="webhook"):
            await handle.run("Go", webhook="example.com")

    assert server.requests[0].route == "webhook"
    assert [each["url"] for each in server.webhooks] == [url, f"{url}/2"]
    ends = ["session.completed", "session.completed_degraded", "session.aborted"]
    assert server.webhooks[0]["events"] == ends


async def test_a_delivery_of_a_webhook_ends_the_waiting(server: SwarmlordServer) -> None:
    server.scripts = [[]]
    receiver = WebhookReceiver("whsec", scheme=SwarmlordScheme())
    async with Client(Swarmlord(KEY, server.url, streaming=False)) as client:
        task = await client.agent("writer").run("Go", webhook="https://example.com/hook")
        with task.attach(receiver):
            waiting = asyncio.create_task(task.result(timeout=5))
            await until(lambda: server.asked("history"))
            session = server.sessions[task.id]
            session.begin("a1")
            session.complete("Hello")
            body = json.dumps({"sessionId": task.id, "status": "idle"}).encode()
            receiver.receive(body, sign(body, "whsec", scheme=SwarmlordScheme()))

            assert (await waiting).text == "Hello"
    receiver.close()


async def test_a_webhook_that_is_refused_starts_nothing(server: SwarmlordServer) -> None:
    server.faults["webhook"] = [Fault(400, b'{"error": "no such host"}')]
    async with talking(server) as client:
        from rxtasks import PlatformError

        with pytest.raises(PlatformError, match="no such host"):
            await client.agent("writer").run("Go", webhook="https://example.com")
        assert server.sessions == {}
        await client.agent("writer").run("Go", webhook="https://example.com")

    assert len(server.webhooks) == 1


# ---------------------------------------------------------------------------------- failures


async def test_a_start_that_is_told_to_wait_leaves_one_session(server: SwarmlordServer) -> None:
    server.faults["prompt"] = [Fault(429, headers={"Retry-After": "0"})]
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")

        assert (await task.result()).text == "Hello"
        assert list(server.sessions) == [task.id]


async def test_a_start_whose_fate_is_unknown_says_so_and_names_the_session(
    server: SwarmlordServer,
) -> None:
    async with talking(server) as client:
        server.faults["agent"] = [Fault(RESET)]
        with pytest.raises(TransportError) as nothing:
            await client.agent("writer").run("Go")
        assert not nothing.value.maybe_accepted
        server.faults["upload"] = [Fault(RESET)]
        note = Attachment(name="n.txt", data=b"n")
        with pytest.raises(TransportError) as nothing:
            await client.agent("writer").run("Go", attachments=[note])
        assert not nothing.value.maybe_accepted
        assert "may have been accepted" not in str(nothing.value)
        assert server.sessions == {}
        server.faults["prompt"] = [Fault(RESET)]
        with pytest.raises(TransportError) as raised:
            await client.agent("writer").run("Go")

        assert raised.value.maybe_accepted
        [session] = server.sessions
        assert session in str(raised.value)
        assert len(server.asked("prompt")) == 1


async def test_an_acceptance_that_cannot_be_read_is_one(server: SwarmlordServer) -> None:
    server.faults["prompt"] = [Fault(202, b"")]
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")
        session = server.sessions[task.id]
        session.user("u1", "Go")
        session.play(ANSWER)

        assert (await task.result()).text == "Hello"


async def test_refusals_are_told_by_kind(server: SwarmlordServer) -> None:
    async with talking(server) as client:
        task = await client.agent("writer").run("Go")
        await task.result()
        server.faults["info"] = [Fault(500), Fault(429, headers={"Retry-After": "7"}), Fault(403)]
        with pytest.raises(ServerError, match="trace-1") as failed:
            await task.poll()
        assert "trace-1" in failed.value.body
        with pytest.raises(RateLimited) as limited:
            await task.poll()
        assert limited.value.retry_after == 7
        with pytest.raises(AuthenticationError):
            await task.poll()
    async with Client(Swarmlord("slsk_wrong-key", server.url)) as client:
        with pytest.raises(AuthenticationError) as refused:
            await client.agent("writer").run("Go")
        assert "slsk_wrong-key" not in f"{refused.value} {refused.value.body}"


# ---------------------------------------------------------------------------------- set-up


async def test_a_session_is_forked(server: SwarmlordServer) -> None:
    platform = Swarmlord(KEY, server.url)
    async with Client(platform, cadence=HASTE) as client:
        task = await client.agent("writer").run("Go")
        await task.result()
        fork = client.task(await platform.fork(task.id))

        assert fork.id != task.id
        assert (await fork.result()).text == "Hello"
        with pytest.raises(TaskNotFound):
            await platform.fork("ses_nothing")


async def test_a_platform_serves_one_client_at_a_time(server: SwarmlordServer) -> None:
    platform = Swarmlord(KEY, server.url)
    with pytest.raises(ClientClosed):
        await platform.fork("ses_1")
    async with Client(platform):
        with pytest.raises(ConfigurationError, match="each client"):
            async with Client(platform):
                pass
    async with Client(platform, cadence=HASTE) as client:
        assert (await (await client.agent("writer").run("Go")).result()).text == "Hello"


async def test_the_environment_says_what_is_not_given(
    server: SwarmlordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SWARMLORD_API_KEY", raising=False)
    monkeypatch.delenv("SWARMLORD_URL", raising=False)
    for make in (Swarmlord, Swarmlord.from_env, lambda: Swarmlord("  ")):
        with pytest.raises(ConfigurationError, match="SWARMLORD_API_KEY"):
            make()
    assert repr(Swarmlord(KEY)) == "<Swarmlord https://api.swarmlord.ai>"
    monkeypatch.setenv("SWARMLORD_API_KEY", f"{KEY}\n")
    monkeypatch.setenv("SWARMLORD_URL", f"{server.url}/")
    for make in (Swarmlord, Swarmlord.from_env):
        async with Client(make(), cadence=HASTE) as client:
            assert (await (await client.agent("writer").run("Go")).result()).text == "Hello"
        assert KEY not in repr(client.platform)
    with pytest.raises(ConfigurationError, match="base URL"):
        Swarmlord(KEY, "api.swarmlord.ai")
