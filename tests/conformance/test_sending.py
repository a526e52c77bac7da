"""What goes with a message: files, and keys that make it count once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rxtasks import Attachment, ConfigurationError, UnsupportedOperation, UserMessage
from tests.conformance.script import files, prompt, types
from tests.conformance.setups import Bench, Can
from tests.conformance.watching import Probe, settled, texts

NOTE = Attachment(name="note.txt", content_type="text/plain", data=b"milk and honey")


@pytest.mark.needs(Can.ATTACH)
async def test_attachments_reach_the_agent(bench: Bench) -> None:
    task = await bench.agent.run(prompt(files()), attachments=[NOTE])
    result = await task.result()

    assert result.text == "note.txt=milk and honey"
    said = result.messages[0]
    assert isinstance(said, UserMessage)
    assert [each.name for each in said.attachments] == ["note.txt"]


@pytest.mark.needs(Can.ATTACH, Can.AGAIN)
async def test_attachments_go_with_a_follow_up(bench: Bench) -> None:
    task = await bench.agent.run(prompt(types("a")))
    await task.result()
    second = Attachment(name="two.txt", content_type="text/plain", data=b"2")
    await task.send(prompt(files()), attachments=[NOTE, second])

    assert (await task.result()).text == "note.txt=milk and honey, two.txt=2"


@pytest.mark.needs(Can.ATTACH)
async def test_a_file_of_this_machine_is_sent_along(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"bread")
    attachment = Attachment(name="list.txt", content_type="text/plain", path=path)
    task = await bench.agent.run(prompt(files()), attachments=[attachment])

    assert (await task.result()).text == "list.txt=bread"
    missing = Attachment(name="gone.txt", path=tmp_path / "gone.txt")
    with pytest.raises(ConfigurationError, match=r"gone\.txt"):
        await task.send(prompt(files()), attachments=[missing])


@pytest.mark.lacks(Can.ATTACH)
async def test_a_platform_that_takes_no_attachments_says_so(bench: Bench) -> None:
    with pytest.raises(UnsupportedOperation):
        await bench.agent.run(prompt(files()), attachments=[NOTE])
    task = await bench.agent.run(prompt(types("a")))
    with pytest.raises(UnsupportedOperation):
        await task.send(prompt(files()), attachments=[NOTE])


@pytest.mark.needs(Can.KEYS)
async def test_one_key_starts_one_task(bench: Bench) -> None:
    text = prompt(types("a"))
    first = await bench.agent.run(text, idempotency_key="key-1")
    messages = Probe(first.messages)
    second = await bench.agent.run(text, idempotency_key="key-1")
    other = await bench.agent.run(text, idempotency_key="key-2")
    await settled(first)
    await asyncio.gather(second.result(), other.result())

    assert second.id == first.id != other.id
    assert second is first
    assert texts(messages.values) == texts((await second.result()).messages)


@pytest.mark.needs(Can.KEYS)
async def test_one_key_starts_one_task_also_at_once(bench: Bench) -> None:
    text = prompt(types("a"))
    tasks = await asyncio.gather(
        *(bench.agent.run(text, idempotency_key="key-1") for _ in range(3))
    )
    await settled(tasks[0])

    assert tasks[0] is tasks[1] is tasks[2]


@pytest.mark.needs(Can.KEYS)
async def test_without_a_key_the_same_text_starts_another_task(bench: Bench) -> None:
    text = prompt(types("a"))
    first, second = await bench.agent.run(text), await bench.agent.run(text)
    await asyncio.gather(first.result(), second.result())

    assert first.id != second.id


@pytest.mark.lacks(Can.KEYS)
async def test_a_key_that_nobody_would_look_at_is_refused(bench: Bench) -> None:
    with pytest.raises(UnsupportedOperation, match="idempotency_key"):
        await bench.agent.run(prompt(types("a")), idempotency_key="key-1")


@pytest.mark.needs(Can.AGAIN)
async def test_of_first_messages_at_once_one_starts_the_task(bench: Bench) -> None:
    task = bench.agent.new_task()
    await asyncio.gather(*(task.send(prompt(types(word))) for word in ("one", "two")))
    result = await task.result()

    assert [m.is_user() for m in result.messages].count(True) == 2
    assert result.status == "completed"
