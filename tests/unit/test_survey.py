"""The built-in agents."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from rxtasks import AgentMessage, Client, TaskStatus, ToolMessage, ToolStatus, Usage
from rxtasks.cli.files import Limits, Tree
from rxtasks.cli.survey import Survey, built_in, shown, size_of, summary, thought, tokens
from rxtasks.local import Context
from rxtasks.platforms.local import Local

NOTE = "TO" + "DO"


def plant(root: Path) -> None:
    (root / "src").mkdir()
    (root / "src" / "a.py").write_text(f"# {NOTE}\n" * 3 + "x\n" * 7)
    (root / "src" / "b.py").write_text(f"# {NOTE}\n" + "x" * 2000)
    (root / "read.md").write_text("# Title\n")
    (root / "data.bin").write_bytes(b"\0" * 4096)


async def test_a_survey_tells_exactly_what_is_there(tmp_path: Path) -> None:
    plant(tmp_path)
    async with Client(Local({"survey": Survey(tmp_path, pace=0)})) as client:
        task = await client.agent("survey").run("go")
        result = await task.result(timeout=20)

    tools = {each.name: each.output for each in result.messages if isinstance(each, ToolMessage)}
    assert result.status == "completed"
    assert tools == {
        "list files": "4 files in 2 directories",
        "count lines": {"Python": 12, "Markdown": 1},
        "find largest files": {"data.bin": "4.0 KiB"},
        "count TODOs": "4 in 2 files",
    }
    assert result.text.splitlines() == [
        f"{tmp_path.name} holds 4 files in 2 directories, 13 lines of text.",
        "",
        "Lines:",
        "  Python    12 lines in 2 files",
        "  Markdown   1 line in 1 file",
        "",
        "Largest files:",
        "  data.bin  4.0 KiB",
        "  src/b.py  2.0 KiB",
        "  src/a.py   35 B",
        "",
        "4 TODOs in 2 files, 3 of them in src/a.py.",
        "",
        "Note: 1 binary file not counted as text.",
    ]
    agent = next(each for each in result.messages if isinstance(each, AgentMessage))
    assert agent.thoughts == (
        "4 files, 2 languages: Python leads with 92% of the lines. Now to put it in a few words.",
    )
    words = Usage(output=len(result.text.split()), reasoning=len(agent.thoughts[0].split()))
    assert result.usage == words


async def test_every_tool_moves_through_its_states(tmp_path: Path) -> None:
    plant(tmp_path)
    states: dict[str, list[ToolStatus]] = {}
    async with Client(Local({"survey": Survey(tmp_path, pace=0)})) as client:
        task = await client.agent("survey").run("go")
        async for each in task.messages:
            if isinstance(each, ToolMessage):
                states.setdefault(each.name, []).append(each.status)

    assert list(states) == ["list files", "count lines", "find largest files", "count TODOs"]
    for seen in states.values():
        assert list(dict.fromkeys(seen)) == ["pending", "running", "completed"]


async def test_the_text_is_typed_word_by_word(tmp_path: Path) -> None:
    plant(tmp_path)
    typed = 0
    async with Client(Local({"survey": Survey(tmp_path, pace=0.2)})) as client:
        task = await client.agent("survey").run("go")
        async for each in task.messages:
            typed += each.is_typing()

    assert typed > 10


async def test_a_survey_of_an_empty_directory_says_so(tmp_path: Path) -> None:
    async with Client(Local({"survey": Survey(tmp_path, pace=0)})) as client:
        result = await (await client.agent("survey").run("go")).result(timeout=20)

    assert "holds 0 files in 1 directory, 0 lines of text." in result.text
    assert "No TODOs are left" in result.text


async def test_a_survey_that_had_to_stop_says_so(tmp_path: Path) -> None:
    plant(tmp_path)
    survey = Survey(tmp_path, limits=Limits(files=2), pace=0)
    async with Client(Local({"survey": survey})) as client:
        result = await (await client.agent("survey").run("go")).result(timeout=20)

    assert "stopped at 2 files, so there is more than this" in result.text


async def test_cancelling_a_survey_stops_it(tmp_path: Path) -> None:
    plant(tmp_path)
    async with Client(Local({"survey": Survey(tmp_path, pace=50)})) as client:
        task = await client.agent("survey").run("go")
        began = time.monotonic()
        await asyncio.sleep(0.05)
        await task.cancel()
        result = await task.result(timeout=5)

    assert time.monotonic() - began < 2
    assert result.status == "cancelled"
    tools = [each for each in result.messages if isinstance(each, ToolMessage)]
    assert tools
    assert all(each.status.is_final for each in tools)


async def test_a_file_name_of_any_bytes_can_be_told(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad-\xff-\x1b[31m.py")).write_text("x\n")
    async with Client(Local({"survey": Survey(tmp_path, pace=0)})) as client:
        result = await (await client.agent("survey").run("go")).result(timeout=20)

    assert result.status == "completed"
    assert "bad-\ufffd-?[31m.py" in result.text


async def test_echo_says_the_same_again(tmp_path: Path) -> None:
    async with Client(Local(built_in(tmp_path))) as client:
        task = await client.agent("echo").run("say  it\nagain ")
        result = await task.result(timeout=5)

    assert (result.text, task.status) == ("say  it\nagain ", TaskStatus.COMPLETED)
    assert result.usage == Usage(output=4)


async def test_an_agent_can_be_tried_without_a_client(tmp_path: Path) -> None:
    items = [item async for item in Survey(tmp_path, pace=0)(Context("go"))]

    assert len(items) > 10


def test_a_thought_fits_what_was_found(tmp_path: Path) -> None:
    empty = Tree(tmp_path)
    binary = Tree(tmp_path, files={"a": 1})
    other = Tree(tmp_path, files={"a": 1})
    other.lines["Other"] = 4

    assert "nothing" in thought(empty)
    assert "None of these files" in thought(binary)
    assert "Other leads with 100%" in thought(other)
    assert "  Other  4 lines in 0 files" in summary(other)


def test_sizes_are_for_people() -> None:
    sizes = [size_of(size) for size in (0, 1023, 1024, 1536, 5 << 20, 3 << 30, 7 << 50)]

    assert sizes == ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "3.0 GiB", "7168.0 TiB"]


def test_tokens_are_all_of_a_text() -> None:
    for text in ("", "a", " a  b\n\nc ", "\n"):
        assert "".join(tokens(text)) == text
    assert shown("a\nb") == "a?b"
