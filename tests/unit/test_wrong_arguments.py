"""What a program gets wrong is said where it is wrong, in a sentence, as a ConfigurationError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reactivex.subject import Subject

from rxtasks import AgentMessage, Attachment, Client, ConfigurationError, TaskTimeout
from rxtasks.hub import RedisHub
from rxtasks.operators import of_type
from rxtasks.platforms import Relevance
from rxtasks.testing import ScriptedPlatform, agent, at, check_stream, status

pytestmark = pytest.mark.asyncio

SCRIPT = [at(1, agent("m-1", "Hello"), status("completed"))]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data": "text"}, "is bytes, not str: encode it"),
        ({"data": 5}, "is bytes, not int"),
        ({"path": 5}, "is a Path or a str, not int"),
        ({"path": b"note.txt"}, "is a Path or a str, not bytes"),
        ({"url": Path("note.txt")}, "the URL of the attachment 'n' is a str, not "),
        ({"content_type": 1}, "the content type of the attachment 'n' is a str, not int"),
        ({"name": None}, "the name of the attachment None is a str, not NoneType"),
        ({"name": "a\udcff"}, "the name of the attachment .* is no Unicode text"),
        ({"content_type": "a\ud800"}, "the content type of the attachment 'n' is no Unicode text"),
        ({"url": "http://a/\ud800"}, "the URL of the attachment 'n' is no Unicode text"),
    ],
)
async def test_an_attachment_of_other_types_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Attachment(**{"name": "n", **fields})


async def test_an_attachment_takes_what_is_as_good() -> None:
    path: Any = "notes/a.txt"
    assert Attachment(name="a.txt", path=path).path == Path("notes/a.txt")
    data: Any = bytearray(b"abc")
    assert Attachment(name="a.txt", data=data) == Attachment(name="a.txt", data=b"abc")


async def test_a_client_says_what_is_no_id() -> None:
    nothing: Any = None
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        with pytest.raises(ConfigurationError, match="the id of a task is a str, not NoneType"):
            client.task(nothing)
        with pytest.raises(ConfigurationError, match="the id of an agent is a str, not NoneType"):
            client.agent(nothing)


@pytest.mark.parametrize("timeout", ["5", float("nan"), b"5"])
async def test_a_timeout_is_a_number(timeout: Any) -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("any").run("Go")
        with pytest.raises(ConfigurationError, match="timeout is a number of seconds or None, not"):
            await task.result(timeout=timeout)


@pytest.mark.parametrize("source", [None, object()])
async def test_what_gives_no_hints_cannot_be_attached(source: Any) -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("any").run("Go")
        with pytest.raises(ConfigurationError, match="gives no hints: attach a WebhookReceiver"):
            task.attach(source)
        assert (await task.result(timeout=5)).text == "Hello"


async def test_a_platform_without_scripts_says_how_one_is_written() -> None:
    async with Client(ScriptedPlatform()) as client:
        with pytest.raises(ConfigurationError, match=r"no script says .* agent\(\"m-1\""):
            await client.agent("any").run("Go")


@pytest.mark.parametrize("make", [Subject(), Subject[int], None])
async def test_what_makes_no_driven_stream_is_said(make: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a function that makes a Driven\(stream, emit\)"):
        await check_stream(make)


@pytest.mark.parametrize("platform", ["http://127.0.0.1:8765", None, ScriptedPlatform])
async def test_a_client_is_given_a_platform(platform: Any) -> None:
    if platform is ScriptedPlatform:
        platform = object()
    with pytest.raises(ConfigurationError, match="a client needs a platform, as in Client"):
        Client(platform)


@pytest.mark.parametrize("bound", [0, "a", 1.5])
async def test_a_bound_is_a_number(bound: Any) -> None:
    with pytest.raises(ConfigurationError, match="retention is a whole number from 1 on, or None"):
        Client(ScriptedPlatform(SCRIPT), retention=bound)


@pytest.mark.parametrize("attachments", ["a.txt", ["a.txt"], 5, b"a"])
async def test_attachments_are_a_list_of_attachments(attachments: Any) -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        with pytest.raises(ConfigurationError, match=r"a list of Attachment\(name=..., path="):
            await client.agent("any").run("Go", attachments=attachments)


@pytest.mark.parametrize("fields", [("us", "p", 5), ("us", 5, "k"), (5, "p", "k")])
async def test_the_keys_of_relevance_are_texts(fields: Any) -> None:
    with pytest.raises(ConfigurationError, match="is a str, not int"):
        Relevance(*fields)


async def test_only_functions_that_nobody_has_to_await_observe() -> None:
    async def later(_: Any) -> None: ...

    given: Any
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("any").run("Go")
        for given in (later, 5):
            for stream in (task.messages, task.messages.filter(bool)):
                with pytest.raises(TypeError, match="on_error is a"):
                    stream.subscribe(print, given)
                with pytest.raises(TypeError, match="on_completed is a"):
                    stream.subscribe(print, print, given)


@pytest.mark.parametrize("kinds", [(), ("AgentMessage",), (AgentMessage, 5)])
async def test_a_filter_by_type_takes_classes(kinds: Any) -> None:
    with pytest.raises(TypeError, match="of_type takes classes"):
        of_type(*kinds)


async def test_what_an_operator_has_made_says_that_it_cannot_be_iterated() -> None:
    async with Client(ScriptedPlatform(SCRIPT)) as client:
        task = await client.agent("any").run("Go")
        derived: Any = task.messages.pipe(of_type(AgentMessage))
        with pytest.raises(TypeError, match="iterate over the stream itself and filter inside"):
            async for _ in derived:
                pass


async def test_a_task_keeps_its_name_while_its_hub_cannot_be_reached() -> None:
    hub = RedisHub("redis://127.0.0.1:1/0", on_outage="wait")
    async with hub, Client(ScriptedPlatform(SCRIPT), hub=hub) as client:
        task = await client.agent("any").run("Go")
        with pytest.raises(TaskTimeout, match="task task-1 was still queued after"):
            await task.result(timeout=0.3)
        assert (task.id, task.status) == ("task-1", "queued")
