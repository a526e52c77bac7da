"""A2A against a scripted server, in both bindings: as it should be, and as it should not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rxtasks import (
    AgentErrorMessage,
    AgentFault,
    AgentMessage,
    Attachment,
    Cadence,
    Client,
    TaskStatus,
    TransportFault,
    UnknownMessage,
    UserMessage,
)
from rxtasks.errors import (
    AgentNotFound,
    AuthenticationError,
    ConfigurationError,
    DecodeError,
    PlatformError,
    ServerError,
    TaskNotFound,
    TransportError,
    UnsupportedOperation,
)
from rxtasks.platforms import A2A
from tests.integration.a2a_server import (
    AGENT,
    RESET,
    TOKEN,
    A2AServer,
    Fault,
    Refused,
    Step,
    Work,
    a2a_server,
    at,
)
from tests.integration.serving import until
from tests.integration.test_relevance_faults import Watch

HASTE = Cadence(reconnecting=0.2)
BINDINGS = {"JSONRPC": ("JSONRPC", "/rpc", "1.0"), "HTTP+JSON": ("HTTP+JSON", "/rest", "1.0")}


@pytest.fixture(params=list(BINDINGS))
async def server(request: pytest.FixtureRequest) -> AsyncIterator[A2AServer]:
    async with a2a_server() as server:
        server.bindings = [BINDINGS[request.param]]
        server.scripts = [turn()]
        yield server


@asynccontextmanager
async def talking(server: A2AServer, **options: Any) -> AsyncIterator[Client]:
    platform = A2A(server.url, **{"token": TOKEN, **options})
    async with Client(platform, cadence=HASTE) as client:
        yield client


def turn(*, pause: float = 0.02, end: str = "COMPLETED") -> list[Step]:
    """Say something, write an artifact in four pieces, and end."""
    words = ["The ", "answer ", "is ", "42."]
    return [
        at(0.03, lambda w: w.become("WORKING", "On it.")),
        *(
            at(0.1 + i * pause, lambda w, i=i: w.add(words[i], last=i == len(words) - 1))
            for i in range(len(words))
        ),
        at(0.1 + 5 * pause, lambda w: w.become(end, "Done.")),
    ]


async def ran(client: Client, text: str = "Go") -> Watch:
    return Watch(await client.agent(AGENT).run(text))


def is_whole(watch: Watch) -> None:
    watch.check()
    assert sorted(watch.said()) == ["Done.", "On it.", "The answer is 42."]
    assert all(each.revision == 1 for each in watch.full)


# ---------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_run_tells_everything_once(server: A2AServer, streaming: bool) -> None:
    async with talking(server, streaming=streaming) as client:
        watch = await ran(client)
        result = await watch.result()

        is_whole(watch)
        assert (result.status, result.text) == ("completed", "The answer is 42.")
        assert isinstance(watch.full[0], UserMessage)
        assert watch.faults == []
        assert "The answer is 42.".startswith(watch.typed("artifact/a1"))
        assert bool(server.asked("SubscribeToTask")) is streaming
        assert len(server.asked("card")) == 1


async def test_a_stream_brings_every_piece(server: A2AServer) -> None:
    server.scripts = [turn(pause=0.05)]
    async with talking(server) as client:
        watch = await ran(client)
        await watch.result()

        assert watch.typed("artifact/a1") == "The answer is 42."
        assert len(server.asked("SubscribeToTask")) == 1
        assert watch.words[0] == "TASK_STATE_SUBMITTED"
        assert watch.words[-1] == "TASK_STATE_COMPLETED"


async def test_a_server_without_streams_is_polled(server: A2AServer) -> None:
    server.can = {"streaming": False}
    async with talking(server) as client:
        watch = await ran(client)
        await watch.result()

        is_whole(watch)
        assert server.asked("SubscribeToTask") == []


async def test_a_task_is_resumed_by_its_id_alone(server: A2AServer) -> None:
    work = server.add_task("t-1")
    work.become("WORKING")
    async with talking(server) as client:
        watch = Watch(client.task("t-1"))
        await until(lambda: work.streams)
        work.add("Half ")
        await until(lambda: watch.typed("artifact/a1") == "Half ")
        work.add("done.", last=True)
        work.become("COMPLETED")
        assert (await watch.result()).text == "Half done."


async def test_an_agent_that_says_nothing_has_ended_all_the_same(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("COMPLETED"))]]
    async with talking(server) as client:
        result = await (await client.agent(AGENT).run("Go")).result(timeout=5)

        assert (result.status, result.text) == ("completed", "")


async def test_files_and_data_of_an_agent_are_told_as_they_are(server: A2AServer) -> None:
    def write(work: Work) -> None:
        work.add("A chart: ")
        work.add("", url="https://files.test/c.png", mediaType="image/png", filename="c.png")
        work.add("", data={"rows": [1, 2]}, last=True)
        work.become("COMPLETED")

    server.scripts = [[at(0.05, write)]]
    async with talking(server) as client:
        watch = await ran(client)
        result = await watch.result()

        others = [each for each in watch.full if isinstance(each, UnknownMessage)]
        assert [(each.id, each.type) for each in others] == [
            ("artifact/a1/1", "file"),
            ("artifact/a1/2", "data"),
        ]
        assert others[1].raw["data"] == {"rows": [1, 2]}
        assert result.text == "A chart: "


async def test_files_go_with_a_message(server: A2AServer) -> None:
    files = [
        Attachment(name="a.txt", data=b"abc"),
        Attachment(name="b.pdf", url="https://files.test/b.pdf"),
    ]
    async with talking(server) as client:
        watch = Watch(await client.agent(AGENT).run("Read", attachments=files))
        await watch.result()

        [request] = server.asked("SendMessage")
        params = request.body.get("params", request.body)
        assert params["message"]["parts"] == [
            {"text": "Read"},
            {"raw": "YWJj", "filename": "a.txt", "mediaType": "text/plain"},
            {
                "url": "https://files.test/b.pdf",
                "filename": "b.pdf",
                "mediaType": "application/pdf",
            },
        ]
        question = watch.full[0]
        assert isinstance(question, UserMessage)
        assert [each.data or each.url for each in question.attachments] == [
            b"abc",
            "https://files.test/b.pdf",
        ]


async def test_a_webhook_and_the_conversation_go_with_a_start(server: A2AServer) -> None:
    async with talking(server) as client:
        agent = client.agent(AGENT)
        await agent.run(
            "Go", webhook="https://hook.test/x", webhook_token="t", context_id="c-1",
            reference_task_ids=["t-0"], metadata={"a": 1},
        )  # fmt: skip
        with pytest.raises(ConfigurationError, match="knows no option colour"):
            await agent.run("Go", colour="red")
        with pytest.raises(ConfigurationError, match="a webhook must be an absolute URL"):
            await agent.run("Go", webhook="hook")

        [request] = server.asked("SendMessage")
        params = request.body.get("params", request.body)
        push = params["configuration"]["taskPushNotificationConfig"]
        assert push == {"url": "https://hook.test/x", "token": "t"}
        sent = params["message"]
        assert (sent["contextId"], sent["referenceTaskIds"]) == ("c-1", ["t-0"])
        assert sent["metadata"] == {"a": 1}


async def test_a_server_without_webhooks_is_sent_nothing(server: A2AServer) -> None:
    server.can = {"streaming": True}
    async with talking(server) as client:
        with pytest.raises(UnsupportedOperation, match="sends no webhooks"):
            await client.agent(AGENT).run("Go", webhook="https://hook.test/x")
        assert server.asked("SendMessage") == []


# ---------------------------------------------------------------------------------- messages alone


async def test_a_message_alone_is_a_task_that_has_ended(server: A2AServer) -> None:
    server.reply = {"messageId": "m-1", "contextId": "c-9", "role": "ROLE_AGENT",
                    "parts": [{"text": "Hello."}]}  # fmt: skip
    async with talking(server) as client:
        watch = await ran(client, "Hi")
        result = await watch.result()

        assert (result.status, result.text) == ("completed", "Hello.")
        assert [getattr(each, "text", "") for each in watch.full] == ["Hi", "Hello."]
        assert watch.task.platform_state == "message"
        assert server.asked("GetTask", "SubscribeToTask") == []
        platform = client.platform
        assert isinstance(platform, A2A)
        assert await platform.context_id(watch.task.id) == "c-9"
        await watch.task.cancel()
        with pytest.raises(UnsupportedOperation, match="takes no message any more"):
            await watch.task.send("More")
        with pytest.raises(ConfigurationError, match="does not wait for 'x'"):
            await watch.task.respond("x", "y")

        ref = watch.task.ref
    async with talking(server) as client:
        with pytest.raises(TaskNotFound, match="only the client that has sent"):
            await client.task(ref).poll()


async def test_a_message_to_a_task_may_be_answered_with_one(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING"))]]
    async with talking(server) as client:
        watch = await ran(client)
        server.reply = {"messageId": "m-1", "role": "ROLE_AGENT", "parts": [{"text": "Later."}]}
        await watch.task.send("How far?")
        [work] = server.tasks.values()
        work.become("COMPLETED")
        await watch.result()

        assert watch.said() == ["Later."]


# ---------------------------------------------------------------------------------- conversations


@pytest.mark.parametrize(("word", "kind"), [("INPUT", "input"), ("AUTH", "approval")])
async def test_what_an_agent_waits_for_is_answered(server: A2AServer, word: str, kind: str) -> None:
    server.scripts = [
        [at(0.03, lambda w: w.become(f"{word}_REQUIRED", "Which colour?", id="q-1"))],
        turn(),
    ]
    async with talking(server) as client:
        watch = await ran(client)
        await until(lambda: watch.task.requests)
        assert watch.task.status is TaskStatus.ACTION
        [asked] = watch.task.requests
        assert (asked.id, asked.kind, asked.prompt) == ("q-1", kind, "Which colour?")

        with pytest.raises(ConfigurationError, match="does not wait for 'q-0'"):
            await watch.task.respond("q-0", "blue")
        await watch.task.respond("q-1", "blue")
        result = await watch.result()
        with pytest.raises(ConfigurationError, match="any more"):
            await watch.task.respond("q-1", "red")

        assert result.text == "The answer is 42."
        assert watch.task.requests == ()
        texts = [getattr(each, "text", "") for each in watch.full]
        assert texts[:4] == ["Go", "Which colour?", "blue", "On it."]
        watch.check()


async def test_a_task_that_has_ended_takes_no_message(server: A2AServer) -> None:
    async with talking(server) as client:
        watch = await ran(client)
        await watch.result()
        with pytest.raises(UnsupportedOperation, match=r"run\(text, context_id="):
            await watch.task.send("More")

        platform = client.platform
        assert isinstance(platform, A2A)
        assert await platform.context_id(watch.task.id) == f"context-of-{watch.task.id}"
        assert watch.task.status is TaskStatus.COMPLETED


async def test_a_send_that_begins_another_task_says_so(server: A2AServer) -> None:
    work = server.add_task("t-1")
    answer = b'{"task": {"id": "t-2"}}'
    if server.bindings[0][0] == "JSONRPC":
        answer = b'{"result": %b}' % answer
    server.faults["SendMessage"] = [Fault(200, answer)]
    async with talking(server) as client:
        with pytest.raises(PlatformError, match=r"client\.task\('t-2'\)"):
            await client.task(work.id).send("More")


async def test_cancelling_twice_is_no_error(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING", "On it."), lambda w: w.add("Half"))]]
    async with talking(server) as client:
        watch = await ran(client)
        await watch.task.cancel()
        await watch.task.cancel()
        result = await watch.result()

        assert (result.status, result.text) == ("cancelled", "Half")
        with pytest.raises(TaskNotFound):
            await client.task("nope").cancel()


async def test_an_agent_that_cannot_be_cancelled_says_so(server: A2AServer) -> None:
    def refuse(work: Work) -> None:
        raise Refused("UNSUPPORTED_OPERATION", "no")

    server.on_cancel = refuse
    server.scripts = [[at(0.0, lambda w: w.become("WORKING"))]]
    async with talking(server) as client:
        task = await client.agent(AGENT).run("Go")
        with pytest.raises(UnsupportedOperation, match="does not let the task"):
            await task.cancel()
        with pytest.raises(UnsupportedOperation, match="cannot delete tasks"):
            await task.end()


# ---------------------------------------------------------------------------------- failures


@pytest.mark.parametrize("word", ["FAILED", "REJECTED"])
async def test_a_failure_says_why(server: A2AServer, word: str) -> None:
    server.scripts = [[at(0.05, lambda w: w.become(word, "The tool exploded."))]]
    async with talking(server) as client:
        watch = await ran(client)
        result = await watch.result()

        assert (result.status, result.error) == ("error", "The tool exploded.")
        [failure] = [each for each in watch.full if isinstance(each, AgentErrorMessage)]
        assert failure.last_error == "The tool exploded."
        assert [type(each) for each in watch.faults] == [AgentFault]


async def test_a_crash_says_why_if_the_stream_does(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING"))]]
    async with talking(server) as client:
        watch = await ran(client)
        await until(lambda: server.open_streams)
        [work] = server.tasks.values()
        work.crash(f"boom {TOKEN}")
        result = await watch.result()

        assert (result.status, result.error) == ("error", "boom ***")
        assert [type(each) for each in watch.faults] == [AgentFault]


async def test_a_stream_that_fails_alone_is_opened_again(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING"))]]
    async with talking(server) as client:
        watch = await ran(client)
        [work] = server.tasks.values()
        await until(lambda: work.streams)
        for stream in list(work.streams):
            stream.fail({"code": -32603, "message": "too slow"})
        await until(lambda: len(server.asked("SubscribeToTask")) == 2 and work.streams)
        work.become("COMPLETED", "Done.")
        result = await watch.result()

        assert (result.status, result.text) == ("completed", "Done.")
        [fault] = watch.faults
        assert isinstance(fault, TransportFault)
        assert isinstance(fault.cause, ServerError)
        assert "too slow" in str(fault.cause)


async def test_a_crash_without_a_stream_is_a_failure(server: A2AServer) -> None:
    server.scripts = [[at(0.1, lambda w: w.crash("boom"))]]
    async with talking(server, streaming=False) as client:
        result = await (await client.agent(AGENT).run("Go")).result(timeout=5)

        assert (result.status, result.error) == ("error", "the agent failed, and did not say why")


async def test_a_state_that_nobody_knows_stops_nothing(
    server: A2AServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.scripts = [
        [at(0.0, lambda w: w.become("DREAMING")), at(0.1, lambda w: w.become("COMPLETED", "Up."))]
    ]
    async with talking(server) as client:
        watch = await ran(client)
        assert watch.task.status is TaskStatus.RUNNING
        assert watch.task.platform_state == "TASK_STATE_DREAMING"
        assert (await watch.result()).text == "Up."
    assert sum("TASK_STATE_DREAMING" in each.message for each in caplog.records) == 1


async def test_what_nobody_knows_is_told_as_it_is_and_logged(
    server: A2AServer, caplog: pytest.LogCaptureFixture
) -> None:
    def strange(work: Work) -> None:
        work.become("WORKING", "Hm.", role="ROLE_SYSTEM", id="s-1")
        work.emit(somethingNew={})
        work.add("", hologram="...", last=True)
        work.become("COMPLETED")

    server.scripts = [[at(0.0, lambda w: w.become("WORKING"))]]
    with caplog.at_level(logging.WARNING, "rxtasks.platforms.a2a"):
        async with talking(server) as client:
            watch = await ran(client)
            await until(lambda: server.open_streams)
            strange(*server.tasks.values())
            await watch.result()

    unknown = [each for each in watch.full if isinstance(each, UnknownMessage)]
    assert {(each.id, each.type) for each in unknown} == {
        ("s-1", "ROLE_SYSTEM"),
        ("artifact/a1/0", ""),
    }
    assert "a message of the role 'ROLE_SYSTEM'" in caplog.text
    assert "a part with the fields 'hologram'" in caplog.text
    assert "a stream event 'of no kind'" in caplog.text


# ---------------------------------------------------------------------------------- the wire


@pytest.mark.parametrize("cuts", [[1], [2], [4, 1], [3, 2, 1]])
async def test_streams_that_break_lose_nothing(server: A2AServer, cuts: list[int]) -> None:
    server.cuts = list(cuts)
    server.scripts = [turn(pause=0.15)]
    async with talking(server) as client:
        watch = await ran(client)
        result = await watch.result()

        is_whole(watch)
        assert result.text == "The answer is 42."
        assert "The answer is 42.".startswith(watch.typed("artifact/a1"))
        assert all(isinstance(each, TransportFault) for each in watch.faults)
        assert len(watch.faults) >= 1


@pytest.mark.parametrize("replays", [1, 2, 3])
async def test_pieces_that_are_repeated_after_a_cut_are_told_once(
    server: A2AServer, replays: int
) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING", "On it."))]]
    async with talking(server) as client:
        watch = await ran(client)
        [work] = server.tasks.values()
        await until(lambda: work.streams)
        for piece in ("The ", "answer ", "is "):
            work.add(piece)
        await until(lambda: watch.typed("artifact/a1") == "The answer is ")
        server.replays = replays
        work.drop()
        await until(lambda: len(server.asked("SubscribeToTask")) == 2 and work.streams)
        work.add("42.", last=True)
        await until(lambda: "The answer is 42." in watch.said())
        work.become("COMPLETED", "Done.")
        await watch.result()

        is_whole(watch)
        assert watch.typed("artifact/a1") == "The answer is 42."


async def test_pieces_that_only_look_repeated_are_put_right(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING"), lambda w: w.add("ha"))]]
    async with talking(server) as client:
        watch = await ran(client)
        [work] = server.tasks.values()
        await until(lambda: watch.typed("artifact/a1") == "ha" and work.streams)
        work.drop()
        await until(lambda: len(server.asked("SubscribeToTask")) == 2 and work.streams)
        work.add("ha")
        work.add("!", last=True)
        await until(lambda: watch.said() == ["haha!"])
        work.become("COMPLETED")
        await watch.result()

        watch.check()
        assert watch.said() == ["haha!"]


async def test_events_that_cannot_be_read_are_a_reason_to_poll(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING"))]]
    async with talking(server) as client:
        watch = await ran(client)
        [work] = server.tasks.values()
        await until(lambda: work.streams and watch.task.status is TaskStatus.RUNNING)
        for data in (b"{", b"[]", b'{"statusUpdate": 5}', b'{"result": 5}', b"\xff"):
            work.write(b"data: " + data + b"\r\n\r\n: ping\r\n\r\n")
        streams, work.streams = work.streams, set()
        work.become("COMPLETED", "Done.")  # of which the stream does not tell
        result = await watch.result()
        work.streams = streams

        assert result.text == "Done."


async def test_a_stream_that_comes_too_late_ends_without_a_fault(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING", "On it."))]]
    server.faults["SubscribeToTask"] = [Fault(None, wait=0.2)]
    async with talking(server) as client:
        watch = await ran(client)
        [work] = server.tasks.values()
        await until(lambda: server.asked("SubscribeToTask"))
        work.become("COMPLETED", "Done.")
        result = await watch.result()

        assert (result.status, result.text) == ("completed", "Done.")
        assert watch.faults == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(429, headers={"Retry-After": "0.2"}),
        Fault(RESET),
        Fault(200, b'{"result": {"id": 5}, "id": 5}'),
        Fault(200, b"{"),
        Fault(200, b"[]"),
    ],
    ids=["500", "429", "reset", "other", "half", "list"],
)
async def test_polls_and_streams_that_fail_are_made_again(server: A2AServer, fault: Fault) -> None:
    server.scripts = [turn(pause=0.1)]
    for route in "GetTask", "SubscribeToTask":
        server.faults[route] = [fault, fault]
    async with talking(server) as client:
        watch = await ran(client)
        await watch.result()

        is_whole(watch)
        assert any(isinstance(each, TransportFault) for each in watch.faults)


async def test_a_send_whose_fate_is_unknown_says_so(server: A2AServer) -> None:
    async with talking(server) as client:
        await client.agent(AGENT).run("Go")
        server.faults["SendMessage"] = [Fault(RESET)]
        with pytest.raises(TransportError) as caught:
            await client.agent(AGENT).run("Go")
        assert caught.value.maybe_accepted
        assert len(server.asked("SendMessage")) == 2


async def test_a_start_that_is_refused_for_now_is_made_again(server: A2AServer) -> None:
    server.faults["SendMessage"] = [Fault(429, headers={"Retry-After": "0"})]
    async with talking(server) as client:
        watch = await ran(client)
        await watch.result()
        assert len(server.asked("SendMessage")) == 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"error": {"code": -32603, "message": "boom"}}', ServerError),
        (b'{"error": {"code": "odd", "message": ["x"]}}', PlatformError),
        (b'{"error": 5}', PlatformError),
        (b"{}", DecodeError),
    ],
)
async def test_answers_of_another_kind_are_errors(body: bytes, error: type[Exception]) -> None:
    async with a2a_server() as server, talking(server) as client:
        server.faults["SendMessage"] = [Fault(200, body)]
        with pytest.raises(error):
            await client.agent(AGENT).run("Go")


async def test_no_error_repeats_the_token(server: A2AServer) -> None:
    async with talking(server) as client:
        with pytest.raises(TaskNotFound, match=r"TASK_NOT_FOUND for Bearer \*\*\*|for \*\*\*") as e:
            await client.task("nope").poll()
        assert TOKEN not in str(e.value) + e.value.body


# ---------------------------------------------------------------------------------- the card


async def test_an_agent_of_another_name_is_not_found(server: A2AServer) -> None:
    async with talking(server) as client:
        with pytest.raises(AgentNotFound, match="its agent is 'Demo'"):
            await client.agent("Other").run("Go")
        with pytest.raises(AgentNotFound):
            [each async for each in client.agent("Other").tasks()]
        platform = client.platform
        assert isinstance(platform, A2A)
        [agent] = await platform.list_agents()
        assert (agent.id, agent.streaming, agent.webhooks) == (AGENT, True, True)


async def test_credentials_that_are_refused_end_the_watching(server: A2AServer) -> None:
    server.add_task("t-1")
    async with talking(server, token="another") as client:
        watch = Watch(client.task("t-1"))
        with pytest.raises(AuthenticationError):
            await watch.result()


async def test_a_token_may_come_from_a_function_along_with_headers(server: A2AServer) -> None:
    async def token() -> str:
        return TOKEN

    async with talking(server, token=token, headers={"X-Team": "7"}) as client:
        assert client.platform.capabilities.credentials_renew
        await (await ran(client)).result()
        [request] = server.asked("SendMessage")
        assert request.headers["X-Team"] == "7"


async def test_a_version_of_before_is_refused(server: A2AServer) -> None:
    server.bindings = [("JSONRPC", "/rpc", "0.3"), ("GRPC", "/", "1.0")]
    server.card = {"protocolVersion": "0.3"}
    async with talking(server) as client:
        with pytest.raises(PlatformError, match=r"version 1\.0 .* GRPC 1\.0, JSONRPC 0\.3, ver"):
            await client.agent(AGENT).run("Go")


async def test_a_server_without_a_card_has_no_agent(server: A2AServer) -> None:
    server.faults["card"] = [Fault(404)]
    async with talking(server) as client:
        with pytest.raises(AgentNotFound, match=r"agent-card\.json"):
            await client.agent(AGENT).run("Go")
        await (await ran(client)).result()  # what failed is asked for again


async def test_credentials_do_not_go_to_another_origin(server: A2AServer) -> None:
    async with a2a_server() as other:
        other.scripts = [turn()]
        binding, path, version = server.bindings[0]
        face = {"url": other.url + path, "protocolBinding": binding, "protocolVersion": version}
        server.card = {"supportedInterfaces": [face]}
        async with talking(server) as client:
            with pytest.raises(PlatformError, match="credentials must not go"):
                await client.agent(AGENT).run("Go")
        async with talking(server, endpoint=other.url + path) as client:
            await (await ran(client)).result()
        async with talking(server, token=None) as client:
            with pytest.raises(AuthenticationError):
                await client.agent(AGENT).run("Go")
        assert len(other.requests) > 1
        assert {each.route for each in server.requests} == {"card"}


async def test_a_tenant_is_named_in_every_call(server: A2AServer) -> None:
    binding, path, version = server.bindings[0]
    face = {"protocolBinding": binding, "protocolVersion": version, "tenant": "t/1"}
    server.card = {"supportedInterfaces": [{"url": server.url + path, **face}]}
    async with talking(server) as client:
        if binding == "JSONRPC":
            await (await ran(client)).result()
            assert all(each.body["params"]["tenant"] == "t/1" for each in server.requests[1:])
        else:
            with pytest.raises(PlatformError, match=r"/rest/t%2F1/message:send answered 404"):
                await client.agent(AGENT).run("Go")


# ---------------------------------------------------------------------------------- the list


async def test_tasks_are_listed_page_by_page(server: A2AServer) -> None:
    for number in range(60):
        work = server.add_task(f"t-{number}")
        work.become("COMPLETED" if number % 2 else ("FAILED", "REJECTED")[number // 2 % 2])
    async with talking(server) as client:
        agent = client.agent(AGENT)
        assert [each.id async for each in agent.tasks()] == [f"t-{n}" for n in range(59, -1, -1)]
        assert len(server.asked("ListTasks")) == 2
        assert [each.id async for each in agent.tasks(limit=2)] == ["t-59", "t-58"]
        failed = [each async for each in agent.tasks(status="error", sort="-updated_at")]
        assert len(failed) == 30
        assert failed[0].status is TaskStatus.ERROR
        done = [each.id async for each in agent.tasks(status="completed", limit=3, search=" ")]
        assert done == ["t-59", "t-57", "t-55"]
        before = len(server.requests)
        assert [each async for each in agent.tasks(status="paused")] == []
        assert [each async for each in agent.tasks(limit=0)] == []
        with pytest.raises(UnsupportedOperation, match="no call to search"):
            [each async for each in agent.tasks(search="x")]
        with pytest.raises(UnsupportedOperation, match="by -updated_at only"):
            [each async for each in agent.tasks(sort="created_at")]
        assert len(server.requests) == before


async def test_a_server_that_lists_nothing_says_so(server: A2AServer) -> None:
    server.always["ListTasks"] = Fault(
        *((200, b'{"error": {"code": -32601}}') if server.bindings[0][0] == "JSONRPC" else (404,))
    )
    async with talking(server) as client:
        with pytest.raises(UnsupportedOperation, match="lists no tasks"):
            [each async for each in client.agent(AGENT).tasks()]


async def test_nothing_is_left_open(server: A2AServer) -> None:
    server.scripts = [[at(0.0, lambda w: w.become("WORKING"))]]
    async with talking(server) as client:
        task = await client.agent(AGENT).run("Go")
        subscription = task.messages.subscribe(lambda _: None)
        await until(lambda: server.open_streams)
        subscription.dispose()
        await until(lambda: not server.open_streams)
        await asyncio.sleep(0)
        assert isinstance((await task.get_messages())[0], UserMessage | AgentMessage)
