"""Relevance AI: what can be asked of it, and what is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rxtasks import (
    AgentNotFound,
    AgentRunMessage,
    Attachment,
    Client,
    ClientClosed,
    ConfigurationError,
    Gap,
    HandoverMessage,
    PlatformError,
    TaskNotFound,
    TaskStatus,
    ToolMessage,
    UnsupportedOperation,
    UserMessage,
)
from rxtasks.platforms import Relevance
from rxtasks.platforms.relevance import EmbedKey, generate_embed_key
from tests.integration.relevance_server import (
    KEY,
    PROJECT,
    Fault,
    Put,
    RelevanceServer,
    Say,
    State,
    agent,
    at,
    relevance_server,
    tool,
)
from tests.integration.serving import until
from tests.integration.test_relevance_faults import HASTE, Watch, relevance, talking

ANSWER = [
    at(0.02, State("running")),
    at(0.1, Say("a1", "Hel")),
    at(0.15, Say("a1", "lo"), Put("a1", agent("Hello"))),
    at(0.2, State("completed")),
]


@pytest.fixture
async def server() -> AsyncIterator[RelevanceServer]:
    async with relevance_server() as server:
        server.scripts = [ANSWER]
        yield server


# ---------------------------------------------------------------------------------- runs


async def test_a_run_asks_for_a_stream_by_overriding_the_agent_with_itself(
    server: RelevanceServer,
) -> None:
    async with talking(server) as client:
        task = await client.agent("agent-1").run("Go")
        result = await task.result()
        await task.send("More")

        assert result.text == "Hello"
        assert result.status == "completed"
        assert task.ref == f"agent/agent-1/{task.id}"
        assert task.created_at is not None
        assert task.name == "Go"
        first, second = (each.body for each in server.asked("trigger"))
        assert first == {
            "agent_id": "agent-1",
            "agent_override": {**server.agents["agent-1"], "use_streaming": True},
            "message": {"role": "user", "content": "Go", "attachments": []},
        }
        assert second["conversation_id"] == task.id
        assert second["agent_override"]["use_streaming"] is True


async def test_an_agent_that_cannot_be_read_runs_without_a_stream(server: RelevanceServer) -> None:
    server.always["agent"] = Fault(500)
    async with talking(server) as client:
        task = await client.agent("agent-1").run("Go")

        assert "agent_override" not in server.asked("trigger")[0].body
        assert (await task.result()).text == "Hello"


async def test_without_streaming_no_stream_is_asked_for(server: RelevanceServer) -> None:
    async with Client(relevance(server, streaming=False), cadence=HASTE) as client:
        task = await client.agent("agent-1").run("Go")

        assert (await task.result()).text == "Hello"
    assert server.asked("agent", "stream") == []
    assert all(not each.query for each in server.asked("metadata"))


async def test_a_follow_up_settles_by_its_own_answer(server: RelevanceServer) -> None:
    follow_up = [
        at(0.3, State("running")),
        at(0.4, Put("a2", agent("Again"))),
        at(0.5, State("idle")),
    ]
    server.scripts = [ANSWER, follow_up]
    async with talking(server) as client:
        task = await client.agent("agent-1").run("Go")
        assert (await task.result()).text == "Hello"
        await task.send("And?")

        assert (await task.result()).text == "Again"
        assert task.platform_state == "idle"


@pytest.mark.parametrize("word", ["running", "idle", "completed", "paused"])
async def test_a_poll_of_a_resumed_task_is_one_request(server: RelevanceServer, word: str) -> None:
    async with talking(server) as client:
        started = await client.agent("agent-1").run("Go")
        await started.result()
        server.tasks[started.id].become(word)
    async with talking(server) as client:
        task = client.task(started.ref)
        before = len(server.requests)

        assert await task.poll() == word
        assert [each.route for each in server.requests[before:]] == ["metadata"]
        assert (await task.get_messages())[-1].id == "a1"


async def test_a_task_is_resumed_by_its_ref(server: RelevanceServer) -> None:
    async with talking(server) as client:
        ref = (await client.agent("agent-1").run("Go")).ref
        await client.task(ref).result()
    async with talking(server) as client:
        watch = Watch(client.task(ref))
        result = await watch.result()

        assert result.text == "Hello"
        assert [type(each).__name__ for each in watch.full] == ["UserMessage", "AgentMessage"]
        assert client.task(ref).get_messages is not None
        [said, answer] = await client.task(ref).get_messages()
        assert isinstance(said, UserMessage)
        assert said.is_trigger
        assert answer.raw["content"]["type"] == "agent-message"
        with pytest.raises(ConfigurationError, match="agent"):
            client.task(ref.rpartition("/")[2])


async def test_what_does_not_exist_is_not_found(server: RelevanceServer) -> None:
    async with talking(server) as client:
        with pytest.raises(AgentNotFound, match="nobody"):
            await client.agent("nobody").run("Go")
        with pytest.raises(AgentNotFound, match="nobody"):
            await client.workforce("nobody").run("Go")
        nothing = client.agent("agent-1").task("nothing")
        for attempt in (nothing.poll, nothing.result, nothing.get_messages):
            with pytest.raises(TaskNotFound):
                await attempt()
        with pytest.raises(TaskNotFound, match="nothing"):
            await nothing.send("Hello?")


async def test_at_a_wrong_address_the_error_says_what_was_asked(server: RelevanceServer) -> None:
    platform = Relevance("us", PROJECT, KEY, base_url=f"{server.url}/wrong")
    async with Client(platform) as client:
        with pytest.raises(AgentNotFound, match="POST /wrong/latest/agents/trigger answered 404"):
            await client.agent("agent-1").run("Go")
        with pytest.raises(TaskNotFound, match="GET /wrong/latest/agents/agent-1/tasks"):
            await client.agent("agent-1").task("t-1").poll()
        # No task was looked for.
        with pytest.raises(PlatformError, match="file_upload_url answered 404") as caught:
            await platform.upload(Attachment(name="a.txt", data=b"a"))
        assert type(caught.value) is PlatformError


async def test_what_the_platform_cannot_do_is_refused_before_anything_is_sent(
    server: RelevanceServer,
) -> None:
    async with talking(server) as client:
        task = await client.agent("agent-1").run("Go")
        await task.result()
        asked = len(server.requests)
        for attempt in (task.cancel(), task.end(), task.respond("r", "yes")):
            with pytest.raises(UnsupportedOperation, match="Relevance AI"):
                await attempt
        with pytest.raises(UnsupportedOperation, match="webhook"):
            await client.agent("agent-1").run("Go", webhook="https://example.com")
        with pytest.raises(ConfigurationError, match="colour"):
            await client.agent("agent-1").run("Go", colour="red")
        note = Attachment(name="n.txt", data=b"n")
        with pytest.raises(UnsupportedOperation, match="attachments"):
            await client.workforce("workforce-1").run("Go", attachments=[note])

        assert len(server.requests) == asked


async def test_a_sub_agent_s_task_is_opened_from_its_tool_run(server: RelevanceServer) -> None:
    server.add_agent("agent-2")
    sub = server.add_task("agent-2", task_id="sub-1")
    sub.put("s1", agent("Found it."))
    output = {"_agent_conversation_details": {"agent_id": "agent-2", "conversation_id": "sub-1"}}
    server.scripts = [
        [
            at(0.0, State("running"), Put("t1", tool("running", kind="agent", output=output))),
            at(0.1, Put("t1", tool("finished", kind="agent", output={**output, "answer": 42}))),
            at(0.1, Put("a1", agent("Done.")), State("idle")),
        ]
    ]
    async with talking(server) as client:
        result = await (task := await client.agent("agent-1").run("Go")).result()
        run = next(each for each in result.messages if isinstance(each, ToolMessage))

        assert run.is_tool()
        assert run.name == "Search"
        assert run.params == {"of": "Search"}
        assert run.output["answer"] == 42
        assert (await task.sub_task(run).result()).text == "Found it."


# ---------------------------------------------------------------------------------- files


async def test_files_are_uploaded_and_named_by_their_url(
    server: RelevanceServer, tmp_path: Path
) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * 4096)
    files = [
        Attachment(name="note.txt", data=b"milk and honey"),
        Attachment(name="large.bin", path=path, content_type="image/png"),
        Attachment(name="there.pdf", url="https://example.com/there.pdf"),
        Attachment(name="empty", data=b""),
    ]
    told: list[tuple[str, int, int]] = []
    platform = relevance(server, on_upload=lambda a, sent, size: told.append((a.name, sent, size)))
    async with Client(platform, cadence=HASTE) as client:
        task = await client.agent("agent-1").run("Go", attachments=files)
        result = await task.result()

    note, large, empty = server.uploads
    assert note["data"] == b"milk and honey"
    assert note["type"] == "text/plain; charset=utf-8"
    assert large["data"] == path.read_bytes()
    assert large["type"] == "image/png"
    assert empty["type"] == "application/octet-stream"
    assert {each["tagging"] for each in server.uploads} == {"Expire=true"}
    assert {each["query"] for each in server.uploads} == {"X-Amz-Signature=abc%2Fdef0123456789"}
    assert KEY not in str([each["headers"] for each in server.uploads])
    assert all("Transfer-Encoding" not in each["headers"] for each in server.uploads)
    assert server.asked("upload-url")[0].body == {"filename": "note.txt", "extension": "txt"}
    sent = server.asked("trigger")[0].body["message"]["attachments"]
    assert [each["file_name"] for each in sent] == [each.name for each in files]
    assert sent[2]["file_url"] == "https://example.com/there.pdf"
    said = result.messages[0]
    assert isinstance(said, UserMessage)
    assert [each.url for each in said.attachments] == [each["file_url"] for each in sent]
    steps = [(sent, size) for name, sent, size in told if name == "large.bin"]
    assert len(steps) > 2
    assert steps == sorted(steps)
    assert steps[-1] == (2**20, 2**20)
    assert ("empty", 0, 0) in told


async def test_a_file_is_uploaded_once_for_several_messages(server: RelevanceServer) -> None:
    platform = relevance(server)
    told: list[int] = []
    async with Client(platform, cadence=HASTE) as client:
        note = await platform.upload(
            Attachment(name="n.md", data=b"# Note"),
            on_upload=lambda _a, sent, _size: told.append(sent),
        )
        for _ in range(2):
            await client.agent("agent-1").run("Go", attachments=[note])

    assert note.url
    assert told == [6]
    assert len(server.uploads) == 1
    assert server.uploads[0]["type"].startswith("text/")


async def test_a_file_that_cannot_be_read_is_not_sent(
    server: RelevanceServer, tmp_path: Path
) -> None:
    async with talking(server) as client:
        handle = client.agent("agent-1")
        for wrong in (
            Attachment(name="gone.txt", path=tmp_path / "gone.txt"),
            Attachment(name="none.txt"),
            Attachment(name="both.txt", data=b"x", url="https://example.com"),
            Attachment(name="folder", path=tmp_path),
        ):
            with pytest.raises(ConfigurationError, match=wrong.name):
                await handle.run("Go", attachments=[wrong])

    assert server.asked("trigger") == []
    assert server.uploads == []


async def test_a_file_that_grows_meanwhile_is_not_sent(
    server: RelevanceServer, tmp_path: Path
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 1000)

    def grow(request: Any) -> None:
        if request.route == "upload-url":
            path.write_bytes(b"x" * 2000)

    server.on_request = grow
    async with talking(server) as client:
        with pytest.raises(ConfigurationError, match="changed"):
            await client.agent("agent-1").run(
                "Go", attachments=[Attachment(name="log.txt", path=path)]
            )
    assert server.asked("trigger") == []


async def test_a_store_that_refuses_says_no_secret(server: RelevanceServer) -> None:
    from rxtasks import PlatformError

    body = b"<Error>signature abc%2Fdef0123456789 and abc/def0123456789 do not match</Error>"
    server.faults["put"] = [Fault(403, body, kind="application/xml")]
    async with talking(server) as client:
        with pytest.raises(PlatformError) as raised:
            await client.agent("agent-1").run("Go", attachments=[Attachment(name="n", data=b"n")])

    said = f"{raised.value} {raised.value.body}"
    assert "def0123456789" not in said
    assert "403" in said


# ---------------------------------------------------------------------------------- lists


async def test_agents_are_got_and_listed_lazily(server: RelevanceServer) -> None:
    server.agents.clear()
    for i in range(250):
        server.add_agent(f"agent-{i}", description=None if i else "The first.")
    platform = relevance(server)
    async with Client(platform):
        one = await platform.get_agent("agent-0")
        assert (one.name, one.description, one.model) == ("Agent agent-0", "The first.", "a-model")
        assert one.created_at is not None
        assert one.created_at.year == 2026
        first = await anext(platform.agents())
        assert first.id == "agent-0"
        assert [each.body for each in server.asked("agents")] == [{"page_size": 100, "page": 1}]
        assert len(await platform.list_agents()) == 250
        with pytest.raises(AgentNotFound):
            await platform.get_agent("nobody")
        assert (await platform.get_workforce("workforce-1")).name == "The workforce"
        with pytest.raises(AgentNotFound):
            await platform.get_workforce("nobody")


async def test_an_agent_s_tasks_are_listed_lazily_filtered_and_sorted(
    server: RelevanceServer,
) -> None:
    states = ["idle", "errored-pending-approval", "timed-out", "running", "queued-for-rerun"]
    for i in range(230):
        task = server.add_task(task_id=f"t{i:03}")
        task.state, task.title = states[i % 5], f"Task {i % 7}"
    async with talking(server) as client:
        handle = client.agent("agent-1")
        found = [task async for task in handle.tasks(sort="created_at")]
        assert len({task.id for task in found}) == 230
        pages = server.asked("list")
        assert [each.query["page"] for each in pages] == ["1", "2", "3"]
        assert json.loads(pages[0].query["sort"]) == [{"insert_date": "asc"}]
        assert found[1].status is TaskStatus.ERROR
        assert found[1].platform_state == "errored-pending-approval"

        wrong = [task async for task in handle.tasks(status="error")]
        assert len(wrong) == 92
        filters = json.loads(server.asked("list")[-1].query["filters"])
        assert filters[0] == {
            "condition": "==",
            "condition_value": ["agent-1"],
            "field": "conversation.agent_id",
            "filter_type": "exact_match",
        }
        assert set(filters[1]["condition_value"]) == {
            "timed-out",
            "unrecoverable",
            "errored-pending-approval",
        }
        assert len([task async for task in handle.tasks(search=" Task 3 ")]) == 33
        asked = len(server.requests)
        assert len([task async for task in handle.tasks(limit=3)]) == 3
        assert server.asked("list")[-1].query["page_size"] == "3"
        assert [task async for task in handle.tasks(status="not-started")] == []
        assert [task async for task in handle.tasks(limit=0)] == []
        assert len(server.requests) == asked + 1
        with pytest.raises(ConfigurationError, match="updated_at"):
            await anext(handle.tasks(sort="colour"))


async def test_a_listing_is_as_long_as_asked_though_tasks_start_meanwhile(
    server: RelevanceServer,
) -> None:
    for i in range(200):
        server.add_task("agent-1", "agent", f"t{i}")
    async with talking(server) as client:
        found: list[str] = []
        async for task in client.agent("agent-1").tasks(limit=150):
            found.append(task.id)
            if len(found) == 100:
                for i in range(200, 260):
                    server.add_task("agent-1", "agent", f"t{i}")

    assert len(set(found)) == len(found) == 150


# ---------------------------------------------------------------------------------- workforces


def run(state: str | None, finished: str | None = None) -> dict[str, Any]:
    details = {"project": PROJECT, "region": "bcbe5a", "conversation_id": "c-9"}
    details |= {"current_state": state} if state else {}
    details |= {"finished_state": finished} if finished else {}
    who = {"agent_id": "agent-9", "name": "Nine"}
    return {"type": "workforce-agent-run", "task_details": details, "agent_details": who}


HANDOVER = {
    "type": "workforce-agent-handover",
    "agent_details": {"agent_id": "agent-8", "name": "Eight"},
    "trigger": {"message": "Your turn."},
}


async def test_a_workforce_tells_who_works_and_who_hands_over(server: RelevanceServer) -> None:
    server.scripts = [
        [
            at(0.02, State("running"), Put("r1", run("running"))),
            at(0.1, Say("a1", "We ")),
            at(0.2, Put("r1", run("running", "completed")), Put("h1", HANDOVER)),
            at(0.3, Put("a1", agent("We are done."))),
            at(0.3, State("completed")),
        ]
    ]
    async with talking(server) as client:
        watch = Watch(await client.workforce("workforce-1").run("Go"))
        result = await watch.result()
        watch.check()

        assert result.text == "We are done."
        assert watch.task.ref.startswith("workforce/workforce-1/")
        runs = [each for each in watch.full if isinstance(each, AgentRunMessage)]
        assert [each.status for each in runs] == [TaskStatus.RUNNING, TaskStatus.COMPLETED]
        assert (runs[0].agent_id, runs[0].agent_name, runs[0].task_id) == (
            "agent-9",
            "Nine",
            "c-9",
        )
        [handover] = [each for each in watch.full if isinstance(each, HandoverMessage)]
        assert (handover.agent_id, handover.text) == ("agent-8", "Your turn.")
        assert watch.task.sub_task(runs[1]).ref == "agent/agent-9/c-9"
        assert watch.typed("a1") == "We "
        again = client.task(watch.task.ref)
        assert again is watch.task
        await again.send("More")
        assert server.asked("trigger")[-1].body["workforce_task_id"] == again.id


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("running", "running"),
        ("completed", "completed"),
        ("execution-limit-reached", "error"),
        ("errored-pending-approval", "error"),
        ("pending-approval", "action"),
        ("escalated", "action"),
        ("made-up", "running"),
    ],
)
async def test_a_workforce_s_states(server: RelevanceServer, state: str, status: str) -> None:
    task = server.add_task("workforce-1", "workforce", "w-1")
    task.put("u1", {"type": "user-message", "text": "Go"})
    task.put("a1", agent("Hm."))
    task.become(state)
    async with talking(server) as client:
        assert await client.workforce("workforce-1").task("w-1").poll() == status


async def test_a_workforce_s_tasks_are_listed_by_cursor(server: RelevanceServer) -> None:
    for i in range(250):
        task = server.add_task("workforce-1", "workforce", f"w{i:03}")
        task.state = "completed" if i % 50 else "escalated"
    async with talking(server) as client:
        handle = client.workforce("workforce-1")
        assert len([task async for task in handle.tasks()]) == 250
        assert [each.body.get("cursor") for each in server.asked("list")] == [None, "100", "200"]
        waiting = [task.id async for task in handle.tasks(status="action", limit=4)]
        assert waiting == ["w000", "w050", "w100", "w150"]
        with pytest.raises(UnsupportedOperation, match="order"):
            await anext(handle.tasks(sort="created_at"))


@pytest.mark.parametrize(
    ("keeps", "ways"),
    [("newest", {"before"}), ("newest", {"page"}), ("oldest", {"page"}), ("newest", set[str]())],
)
async def test_polls_of_a_long_workforce_task_stay_small(
    server: RelevanceServer, keeps: str, ways: set[str]
) -> None:
    server.keeps, server.ways = keeps, ways
    task = server.add_task("workforce-1", "workforce", "w-1")
    for i in range(900):
        task.put(f"m{i}", agent(str(i)), late=1000 - i)
    task.become("running")
    async with talking(server) as client:
        watch = Watch(client.workforce("workforce-1").task("w-1"))
        await until(lambda: len(watch.full) == 900)
        for i in range(900, 1300):
            task.put(f"m{i}", agent(str(i)), late=(1300 - i) * 0.06)
            if i % 100 == 0:
                await asyncio.sleep(0.1)
        await until(lambda: len(watch.full) == 1300)
        polls = len(server.asked("messages"))
        await asyncio.sleep(0.5)
        recent = server.asked("messages")[polls:]
        watch.check()

        assert watch.said() == [str(i) for i in range(1300)]
        assert not [fault for fault in watch.faults if isinstance(fault, Gap)]
        assert max(each.body["page_size"] for each in recent) == 100


async def test_a_workforce_that_shows_only_its_oldest_messages_says_that_some_are_missing(
    server: RelevanceServer,
) -> None:
    server.keeps = "oldest"
    task = server.add_task("workforce-1", "workforce", "w-1")
    for i in range(1200):
        task.put(f"m{i}", agent(str(i)), late=2000 - i)
    task.become("running")
    async with talking(server) as client:
        watch = Watch(client.workforce("workforce-1").task("w-1"))
        await until(lambda: watch.faults)
        await asyncio.sleep(0.3)

        assert watch.said() == [str(i) for i in range(1000)]
        assert [type(each).__name__ for each in watch.faults] == ["Gap"]


# ---------------------------------------------------------------------------------- keys


async def test_an_embed_key_opens_its_agent_and_no_other(server: RelevanceServer) -> None:
    key = await generate_embed_key("us", PROJECT, agent_id="agent-1", base_url=server.url)
    restored = EmbedKey.from_dict(json.loads(json.dumps(key.to_dict())))
    assert restored == key
    assert key.secret not in f"{key!r} {key}"
    platform = Relevance(embed_key=restored, base_url=server.url, stream_url=server.url)
    assert key.secret not in repr(platform)
    async with Client(platform, cadence=HASTE) as client:
        task = await client.agent("agent-1").run("Go")

        assert task.id.startswith("prefix-agent-1_-_")
        assert (await task.result()).text == "Hello"
        await task.send("More")
        assert "agent_override" not in server.asked("trigger")[0].body
        assert server.asked("trigger")[1].body["conversation_id"] == task.id
        asked = len(server.requests)
        with pytest.raises(ConfigurationError, match="agent-2"):
            await client.agent("agent-2").run("Go")
        assert len(server.requests) == asked


async def test_an_embed_key_opens_a_workforce(server: RelevanceServer) -> None:
    key = await generate_embed_key("eu", PROJECT, workforce_id="workforce-1", base_url=server.url)
    assert EmbedKey.from_dict(key.to_dict()) == key
    platform = Relevance(embed_key=key, base_url=server.url, stream_url=server.url)
    async with Client(platform, cadence=HASTE) as client:
        task = await client.workforce("workforce-1").run("Go")

        assert task.id.startswith("prefix-workforce-1_-_")
        assert (await task.result()).text == "Hello"


async def test_embed_keys_are_refused_with_a_reason(server: RelevanceServer) -> None:
    with pytest.raises(AgentNotFound):
        await generate_embed_key("us", PROJECT, agent_id="nobody", base_url=server.url)
    with pytest.raises(ConfigurationError, match="exactly one"):
        await generate_embed_key("us", PROJECT, base_url=server.url)
    with pytest.raises(ConfigurationError, match="exactly one"):
        await generate_embed_key("us", PROJECT, agent_id="a", workforce_id="w")


# ---------------------------------------------------------------------------------- set-up


async def test_a_platform_serves_one_client_at_a_time(server: RelevanceServer) -> None:
    platform = relevance(server)
    with pytest.raises(ClientClosed):
        await platform.get_agent("agent-1")
    async with Client(platform):
        with pytest.raises(ConfigurationError, match="each client"):
            async with Client(platform):
                pass
        assert (await platform.get_agent("agent-1")).id == "agent-1"
    async with Client(platform):
        assert (await platform.get_agent("agent-1")).id == "agent-1"
