"""Tasks in a file, whose processes are killed: nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rxtasks import (
    AgentErrorMessage,
    AgentMessage,
    Client,
    ToolMessage,
    UserMessage,
)
from rxtasks.platforms import Local
from tests.integration.durable_worker import busy

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("durable_worker.py")

POINTS = 30
"""How many processes are killed, each at another moment."""

AT_ONCE = 10
"""How many of them run at the same time, two at each file."""

SILENCE = 0.6
"""Seconds after which a process counts as gone."""

LIFE = 0.8
"""Seconds after its first acknowledgement that a process lives at most."""


@dataclass
class Victim:
    """A process that is killed, and what it had acknowledged."""

    path: Path
    seed: int
    pid: int = 0
    acknowledged: list[tuple[str, str, str]] = field(default_factory=list)
    spoke: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, words: str) -> None:
        verb, task, *name = words.split(" ", 2)
        if verb == "born":
            self.pid = int(task)
        else:
            self.acknowledged.append((verb, task, name[0]))
            self.spoke.set()

    async def live_and_die(self) -> None:
        """Wait for a random moment, which is the same for the same seed."""
        await asyncio.wait_for(self.spoke.wait(), 30)
        await asyncio.sleep(random.Random(self.seed).uniform(0.0, LIFE))
        os.kill(self.pid, signal.SIGKILL)


@asynccontextmanager
async def workers(victims: list[Victim]) -> AsyncIterator[asyncio.StreamWriter]:
    """Start what starts processes; leaving waits until all of them have ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(WORKER), str(SILENCE)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    out = process.stdout

    async def listen() -> None:
        while line := (await out.readline()).decode():
            seed, words = line.rstrip().split(" ", 1)
            victims[int(seed)].hear(words)

    listening = asyncio.create_task(listen())
    try:
        yield process.stdin
    finally:
        for each in victims:
            if each.pid:
                with suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)
        process.stdin.close()
        await asyncio.wait_for(listening, 30)  # until nobody has the pipe open any more
        await process.wait()


async def settled(client: Client) -> list[Any]:
    """Wait until nothing runs any more, for longer than the owners may be silent."""
    end = time.monotonic() + 10 * SILENCE + 5
    while True:
        tasks = [task async for task in client.agent("busy").tasks()]
        if not any(task.is_running() for task in tasks):
            return tasks
        assert time.monotonic() < end, [task for task in tasks if task.is_running()]
        await asyncio.sleep(0.05)


def check_whole(task: Any, said: list[Any]) -> None:
    """Nothing of a task is half there."""
    questions = [each for each in said if isinstance(each, UserMessage)]
    errors = [each for each in said if isinstance(each, AgentErrorMessage)]
    assert [each.created_at for each in said] == sorted(each.created_at for each in said)
    for question in questions:
        if not question.text.endswith(" more"):
            assert [each.data for each in question.attachments] == [question.text.encode()]
    assert all(each.status.is_final for each in said if isinstance(each, ToolMessage))
    assert task.status.value in {"completed", "error"}
    # Exactly one process has said so, however many have noticed.
    assert len(errors) == (task.status.value == "error")
    assert all("interrupted" in each.last_error for each in errors)
    for each in said:
        if isinstance(each, AgentMessage):
            words = each.text.split()
            assert words == [f"{words[0].split('.')[0]}.{n}" for n in range(len(words))]


@pytest.mark.timeout(120)
async def test_what_was_acknowledged_survives_being_killed_at_thirty_points(
    tmp_path: Path,
) -> None:
    victims = [
        Victim(tmp_path / f"{number // 2 % (AT_ONCE // 2)}.db", number) for number in range(POINTS)
    ]
    async with workers(victims) as births:
        for start in range(0, POINTS, AT_ONCE):
            these = victims[start : start + AT_ONCE]
            births.writelines(f"{each.seed} {each.path}\n".encode() for each in these)
            await asyncio.gather(*(each.live_and_die() for each in these))

    interrupted = 0
    for path in sorted({each.path for each in victims}):
        platform = Local({"busy": busy}, path=path, owner_timeout=SILENCE)
        rival = Local({"busy": busy}, path=path, owner_timeout=SILENCE)
        async with Client(platform) as client, Client(rival):
            tasks = {task.id: task for task in await settled(client)}
            history = {task: await each.get_messages() for task, each in tasks.items()}
            for victim in victims:
                for verb, task, name in victim.acknowledged if victim.path == path else ():
                    texts = [each.text for each in history[task] if isinstance(each, UserMessage)]
                    assert name in texts
                    if verb == "run":
                        again = await client.agent("busy").run(
                            name,
                            attachments=history[task][0].attachments,
                            idempotency_key=name,
                        )
                        assert again.id == task
            assert len(await settled(client)) == len(tasks)
            for task, said in history.items():
                check_whole(tasks[task], said)
                interrupted += tasks[task].status.value == "error"
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()

    assert sum(len(each.acknowledged) for each in victims) > 5 * POINTS
    assert interrupted >= POINTS // 2
