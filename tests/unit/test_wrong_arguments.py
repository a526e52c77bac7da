"""What a program gets wrong is said where it is wrong, in a sentence, as a ConfigurationError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reactivex.subject import Subject

from rxtasks import Attachment, Client, ConfigurationError
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
