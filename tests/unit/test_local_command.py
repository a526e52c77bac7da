# ruff: noqa: ASYNC240 - /proc is no disk
"""The built-in agent that runs shell commands."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from rxtasks import Client, ConfigurationError, TaskResult, ToolMessage, ToolStatus
from rxtasks.local import Context
from rxtasks.local.command import Excerpt, command
from rxtasks.platforms import Local


async def run(text: str, **options: Any) -> TaskResult:
    async with Client(Local({"command": command(**options)})) as client:
        return await (await client.agent("command").run(text)).result(timeout=20)


def tool(result: TaskResult) -> ToolMessage:
    (found,) = (each for each in result.messages if isinstance(each, ToolMessage))
    return found


def is_alive(pid: int) -> bool:
    """A zombie is not: whoever has inherited it has only not asked yet what became of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_dead(*pids: int) -> None:
    async with asyncio.timeout(10):
        while any(is_alive(pid) for pid in pids):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_exit_code_zero_completes_with_the_output_of_both_streams() -> None:
    result = await run("echo out; echo err >&2")

    assert (result.status, result.text) == ("completed", "out\nerr\n")
    run_of_it = tool(result)
    assert (run_of_it.name, run_of_it.status) == ("shell", ToolStatus.COMPLETED)
    assert run_of_it.params == {"command": "echo out; echo err >&2"}
    assert run_of_it.output == "out\nerr\n"


@pytest.mark.parametrize(
    ("text", "how"), [("echo why; exit 3", "exit code 3"), ("echo why; kill -9 $$", "SIGKILL")]
)
async def test_any_other_end_is_an_error_that_says_which(text: str, how: str) -> None:
    result = await run(text)

    assert result.status == "error"
    assert how in result.error
    assert tool(result).status is ToolStatus.ERROR
    assert how in tool(result).errors[0]
    assert tool(result).output == "why\n"


async def test_output_is_told_while_it_comes() -> None:
    async with Client(Local({"command": command(grace=0.2)})) as client:
        task = await client.agent("command").run("echo one; sleep 300; echo two")
        running = await task.messages.first(
            lambda each: isinstance(each, ToolMessage) and each.output is not None
        )
        await task.cancel()

    assert isinstance(running, ToolMessage)
    assert running.output == "one\n"


async def test_a_huge_output_is_shortened_and_says_so() -> None:
    result = await run("seq 1 2000000", keep=1000)

    assert result.text.startswith("1\n2\n3\n")
    assert result.text.endswith("1999999\n2000000\n")
    total = sum(len(str(n)) + 1 for n in range(1, 2_000_001))
    assert f"[... {total - 1000} characters left out ...]" in result.text
    assert len(result.text) < 1100


@pytest.mark.parametrize("length", [0, 3, 7, 8, 9, 100])
def test_an_excerpt_keeps_the_beginning_and_the_end(length: int) -> None:
    text = "".join(chr(ord("a") + n % 26) for n in range(length))
    excerpt = Excerpt(8)
    for letter in text:
        excerpt.add(letter)

    whole = Excerpt(8)
    whole.add(text)
    assert str(excerpt) == str(whole)
    left_out = f"\n[... {length - 8} characters left out ...]\n"
    assert str(whole) == (text if length <= 8 else text[:2] + left_out + text[-6:])


async def test_bytes_that_are_no_text_are_replaced() -> None:
    assert (await run(r"printf 'a\377b\303'")).text == "a\ufffdb\ufffd"


async def test_there_is_no_input_and_environment_and_directory_are_as_given(tmp_path: Any) -> None:
    result = await run("cat; pwd; echo $NAME", cwd=tmp_path, env={"NAME": "x"})

    assert result.text == f"{tmp_path}\nx\n"


async def test_cancelling_ends_the_whole_group_even_what_ignores_sigterm() -> None:
    async with Client(Local({"command": command(grace=0.2)})) as client:
        task = await client.agent("command").run(
            "trap '' TERM; sleep 300 & echo $$ $!; while :; do sleep 0.05; done"
        )
        told = await task.messages.first(
            lambda each: isinstance(each, ToolMessage) and bool(each.output)
        )
        assert isinstance(told, ToolMessage)
        pids = [int(each) for each in told.output.split()]
        assert all(is_alive(pid) for pid in pids)
        began = time.monotonic()
        await task.cancel()
        took = time.monotonic() - began
        assert (await task.result()).status == "cancelled"
        await until_dead(*pids)

    assert took < 3


async def test_what_a_command_leaves_behind_ends_with_it() -> None:
    result = await run("sleep 300 & echo $!", grace=0.2)

    assert result.status == "completed"
    await until_dead(int(result.text))


async def test_an_agent_that_is_closed_in_the_middle_ends_its_command() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    agent: Any = command()
    async with aclosing(agent(Context("echo $$; sleep 300"))) as items:
        await anext(items)
        state = await anext(items)
    await until_dead(int(state.output))
    await asyncio.sleep(0)

    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"grace": 5.0}, {"grace": -1.0}])
def test_bounds_that_cannot_be_kept_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        command(**wrong)


def files_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_who_is_cancelled_before_the_command_begins_leaves_no_pipe_open() -> None:
    async def begin() -> None:
        agent: Any = command()
        async with aclosing(agent(Context("true"))) as running:
            async for _ in running:
                pass

    await run("true")  # what asyncio opens once, it has open
    before = files_open()
    for steps in range(1, 6):
        beginning = asyncio.create_task(begin())
        for _ in range(steps):
            await asyncio.sleep(0)
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning
    await asyncio.sleep(0.05)  # transports close in the next round of the loop

    assert files_open() == before
