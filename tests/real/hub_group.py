"""Processes that watch the same tasks, the server that they watch, and what is true of it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from rxtasks import Client, Task
from rxtasks.local import message, typing
from rxtasks.platforms import Local
from rxtasks.server import Running, serve
from tests.real.redis_server import RedisServer

__all__ = ["Group", "Worker", "group", "problems"]

ROOT = Path(__file__).parents[2]
LEASE = 0.5
PATIENCE = 45.0
GATES: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def teller(ctx: Any) -> AsyncIterator[Any]:
    """Type and finish some messages; the text says how many, and how many words each has."""
    messages, words, pause, *gated = ctx.text.split()
    if gated:
        await GATES[ctx.task_id].wait()
    for number in range(int(messages)):
        for word in range(int(words)):
            yield typing(f"{number}.{word} ")
            await asyncio.sleep(float(pause))
        yield message("".join(f"{number}.{word} " for word in range(int(words))))


def problems(events: list[list[Any]], messages: int) -> list[str]:
    """Say what was lost or came twice.

    What was typed while nobody watched comes as a whole message only.
    """
    wrong: list[str] = []
    finals = [event for event in events if event[1] == "agent"]
    texts = [event[4].split(".")[0] for event in finals]
    if texts != [str(number) for number in range(messages)]:
        wrong.append(f"the messages are {texts}")
    seqs = [event[0] for event in events]
    if seqs != sorted(set(seqs)):
        wrong.append("positions do not increase")
    for final in finals:
        typed = "".join(e[4] for e in events if e[1] == "typing" and e[2] == final[2])
        if not final[4].startswith(typed):
            wrong.append(f"of {final[4]!r} was typed {typed!r}")
    return wrong


class Worker:
    """One process that watches."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.name = ""
        self.led: list[dict[str, Any]] = []
        self._watching: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._done: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            said = json.loads(line)
            if "ready" in said:
                self.name = said["ready"]
                self._ready.set_result(None)
            elif "leads" in said:
                self.led.append(said)
            elif "watches" in said:
                self._watching[said["watches"]].set()
            else:
                self._future(said["done"]).set_result(said)

    def _future(self, ref: str) -> asyncio.Future[dict[str, Any]]:
        return self._done.setdefault(ref, asyncio.get_running_loop().create_future())

    def leave(self, ref: str) -> None:
        assert self.process.stdin is not None
        if self.process.returncode is None:
            self.process.stdin.write(json.dumps({"leave": ref}).encode() + b"\n")

    async def ready(self) -> None:
        await asyncio.wait_for(self._ready, PATIENCE)

    def watch(self, ref: str, observers: int = 2) -> None:
        assert self.process.stdin is not None
        command = json.dumps({"watch": ref, "observers": observers})
        self.process.stdin.write(command.encode() + b"\n")

    async def watches(self, ref: str) -> None:
        await asyncio.wait_for(self._watching[ref].wait(), PATIENCE)

    async def done(self, ref: str) -> dict[str, Any]:
        return await asyncio.wait_for(self._future(ref), PATIENCE)

    async def close(self) -> None:
        if self.process.returncode is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                await asyncio.wait_for(self.process.wait(), 10.0)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        await self._listening


class Askers:
    """Which processes ask for which task, and how often."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def note(self, request: web.Request, task: Task) -> bool:
        """Count a request of a process; allow any."""
        if process := request.headers.get("X-Process"):
            self.counts[task.id][process] += 1
        return True


class Group:
    """Some processes, one server and one Redis."""

    def __init__(
        self,
        running: Running,
        askers: Askers,
        client: Client,
        redis: RedisServer,
        *options: str,
    ) -> None:
        self.running = running
        self.askers = askers
        self.redis = redis
        self.workers: list[Worker] = []
        self._client = client
        self._options = options

    async def add(self) -> Worker:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.real.hub_process"),
            *(self.running.url, self.redis.url, *self._options),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        worker = Worker(process)
        self.workers.append(worker)
        return worker

    async def start(self, text: str, workers: list[Worker], observers: int = 2) -> str:
        """Start a task that says nothing before all who are to watch it do; name it."""
        task = await self._client.agent("teller").run(f"{text} gated")
        for worker in workers:
            worker.watch(task.ref, observers)
        for worker in workers:
            await worker.watches(task.ref)
        GATES[task.id].set()
        return task.ref

    def leader(self, ref: str) -> Worker | None:
        """Find the process that leads a task by what the processes have said."""
        found = [
            (led["token"], worker)
            for worker in self.workers
            for led in worker.led
            if led["leads"].endswith(ref.rpartition("/")[2])
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    async def until_led(self, ref: str) -> Worker:
        async with asyncio.timeout(PATIENCE):
            while (worker := self.leader(ref)) is None:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.005)
        return worker


@asynccontextmanager
async def group(
    size: int,
    *,
    persistent: bool = False,
    outage: str = "fallback",
    most: int = 10_000,
    lease: float = LEASE,
) -> AsyncIterator[Group]:
    redis = RedisServer(persistent=persistent)
    askers = Askers()
    try:
        async with (
            Client(Local(agents={"teller": teller})) as client,
            serve(client, port=0, authorize=askers.note) as running,
        ):
            found = Group(running, askers, client, redis, str(lease), outage, str(most))
            try:
                for worker in [await found.add() for _ in range(size)]:
                    await worker.ready()
                yield found
            finally:
                for worker in found.workers:
                    await worker.close()
    finally:
        redis.close()
