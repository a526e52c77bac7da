"""A built-in agent that runs shell commands. It is for nobody who is not asked for a token."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from rxtasks.arguments import check_count, check_fields, check_path, check_seconds
from rxtasks.local.agents import Agent
from rxtasks.local.context import Context
from rxtasks.local.yields import Yield, message, tool_started

__all__ = ["CommandFailed", "Excerpt", "command"]

_CHUNK = 16 * 1024
"""Bytes that are read at once. What is not read yet lets the command wait, not the memory grow."""

_SHOWN = 0.1
"""Seconds between two states of the output: all of it is told each time."""

_LAST_WORDS = 0.2
"""Seconds that the output may stay open after the end of a command, held by what it has started."""


class CommandFailed(Exception):
    """A command has ended with an exit code other than 0, or by a signal."""


class Excerpt:
    """The beginning and the end of a text, where all of it would be too much."""

    def __init__(self, limit: int) -> None:
        """Make an empty one.

        Args:
            limit: Characters that are kept at most: a quarter of them of the beginning.
        """
        self._first, self._last = limit // 4, limit - limit // 4
        self._head = self._tail = ""
        self._left_out = 0

    def add(self, text: str) -> None:
        """Add to the text."""
        room = self._first - len(self._head)
        self._head += text[:room]
        self._tail += text[room:]
        too_much = len(self._tail) - self._last
        if too_much > 0:
            self._left_out += too_much
            self._tail = self._tail[too_much:]

    def __str__(self) -> str:
        if not self._left_out:
            return self._head + self._tail
        return f"{self._head}\n[... {self._left_out} characters left out ...]\n{self._tail}"


def command(
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    keep: int = 64 * 1024,
    grace: float = 2.0,
) -> Agent:
    """Make an agent that runs the text of each message as a shell command.

    The output (both streams, as text) is told while it comes, as the output of a tool run; of a
    huge one the beginning and the end. Exit code 0 completes the turn, with the output as its
    message; any other is an error. The command gets no input. With the turn, however it ends, all
    processes of the command's group end: they get SIGTERM, and SIGKILL after a grace.

    Whoever can start its tasks can do on this machine whatever this process may: so a server takes
    it only with a token. Agents of yours that have the attribute `needs_token`, too.

    Args:
        cwd: The directory in which commands run; None: that of this process.
        env: The environment of commands; None: that of this process.
        keep: Characters of output that are kept at most.
        grace: Seconds between SIGTERM and SIGKILL, at most 4.

    Raises:
        ConfigurationError: A bound is out of range.
    """
    if cwd is not None:
        check_path("cwd", cwd)
    if env is not None:
        check_fields("env", env)
    check_count("keep", keep, least=4)
    check_seconds("grace", grace, zero=True, most=4.0)

    async def run(ctx: Context) -> AsyncIterator[Yield]:
        """Run a shell command."""
        tool = tool_started("shell", params={"command": ctx.text})
        yield tool
        output = Excerpt(keep)
        async with _running(ctx.text, grace, cwd=cwd, env=env) as (process, pipe):
            async with aclosing(_reading(process, pipe, output)) as more:
                async for _ in more:
                    tool = tool.progress(str(output))
                    yield tool
            code = await process.wait()
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
            tool = tool.progress(str(output))
            yield tool
            yield tool.failed(how)
            raise CommandFailed(f"the command has ended with {how}")
        yield tool.finished(output=str(output))
        yield message(str(output))

    run.__dict__["needs_token"] = True  # which functools.wraps hands on
    return run


@asynccontextmanager
async def _running(
    text: str, grace: float, *, cwd: str | os.PathLike[str] | None, env: Mapping[str, str] | None
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """Run a command as the first of a group of its own, and end all of the group."""
    loop = asyncio.get_running_loop()
    # A pipe of our own: asyncio counts a process as running as long as one of its pipes is open.
    here, there = os.pipe()
    reader = asyncio.StreamReader(limit=_CHUNK)
    protocol = asyncio.StreamReaderProtocol(reader)
    with os.fdopen(there, "wb", buffering=0) as output:
        pipe, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(here, "rb", buffering=0))
        try:
            process = await asyncio.create_subprocess_shell(
                text,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
        except BaseException:
            pipe.close()
            raise
    try:
        yield process, reader
    finally:
        try:
            await _end_group(process, grace)
        finally:
            pipe.close()


async def _reading(
    process: asyncio.subprocess.Process, pipe: asyncio.StreamReader, output: Excerpt
) -> AsyncGenerator[None]:
    """Read the output to its end; give a sign when there is more of it, but not too often."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    loop = asyncio.get_running_loop()
    exited = asyncio.ensure_future(process.wait())
    shown = loop.time() - _SHOWN
    try:
        while True:
            chunk = asyncio.ensure_future(pipe.read(_CHUNK))
            try:
                await asyncio.wait({chunk, exited}, return_when=asyncio.FIRST_COMPLETED)
                if not chunk.done():
                    await asyncio.wait({chunk}, timeout=_LAST_WORDS)
            finally:
                chunk.cancel()
            if not chunk.done() or not chunk.result():
                break
            output.add(decoder.decode(chunk.result()))
            if loop.time() - shown >= _SHOWN:
                shown = loop.time()
                yield
        output.add(decoder.decode(b"", final=True))
    finally:
        exited.cancel()


async def _end_group(process: asyncio.subprocess.Process, grace: float) -> None:
    """End what is left of a command and of all that it has started."""
    loop = asyncio.get_running_loop()
    end = loop.time() + grace
    if _tell_group(process, signal.SIGTERM):
        # A signal of 0 asks whether anybody is there; nobody tells.
        while loop.time() < end and _tell_group(process, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        _tell_group(process, signal.SIGKILL)
    await process.wait()


def _tell_group(process: asyncio.subprocess.Process, number: int) -> bool:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
