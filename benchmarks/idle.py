"""Ten thousand idle tasks in one process."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import AsyncGenerator, Iterator

from benchmarks.measuring import Row, python
from benchmarks.serving import serving
from rxtasks import Client, TaskStatus
from rxtasks.models import AgentMessage
from rxtasks.platforms.base import (
    Batch,
    Capabilities,
    Metadata,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.testing import ScriptedPlatform
from rxtasks.wire.http import Http, HttpOptions

COUNT = 10_000
STREAMS = 1_000
AFTER = 300.0  # seconds for which nothing has happened when the idle pace is looked at


class Idle(ScriptedPlatform):
    """Tasks to which nothing happens; polls and streams go over loopback."""

    def __init__(self, url: str, count: int, *, streaming: bool) -> None:
        can = Capabilities(stream="everything" if streaming else "nothing", resume="full")
        super().__init__([], capabilities=can)
        self.polled = self.opened = 0
        self.ready = asyncio.Event()
        self._http = Http(url, platform="bench", options=HttpOptions())
        self._count = count
        self._streaming = streaming

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        await self._http.request("GET", "/poll")
        self.polled += 1
        if not self._streaming and self.polled >= self._count:
            self.ready.set()
        status = TaskStatus.RUNNING if self._streaming else TaskStatus.IDLE
        facts = [] if self._streaming else [AgentMessage("done", id="m")]
        return Snapshot(
            info=Metadata(platform_state=status.value, status=status),
            facts=facts if want.messages else None,
            cursor="c",
        )

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        async with self._http.stream("GET", "/stream") as connection:
            self.opened += 1
            if self.opened >= self._count:
                self.ready.set()
            yield Batch()
            async for _ in connection.batches():
                yield Batch()

    async def aclose(self) -> None:
        await self._http.aclose()


async def measured(url: str, count: int, *, streaming: bool, memory: bool) -> dict[str, float]:
    """Subscribe to so many tasks; say how long that took, and what they cost."""
    platform = Idle(url, count, streaming=streaming)
    async with Client(platform, max_streams=count) as client:
        warm = client.task("warm")  # what the first one makes for all is none of theirs
        warm.messages.subscribe(lambda _: None)
        await asyncio.sleep(0.5)
        if memory:
            gc.collect()
            tracemalloc.start()
        begun = time.perf_counter()
        tasks = [client.task(f"task-{number}") for number in range(count - 1)]
        for task in tasks:
            task.messages.subscribe(lambda _: None)
        await platform.ready.wait()
        took = time.perf_counter() - begun
        if memory:
            await asyncio.sleep(1.0)
            gc.collect()
            return {"bytes": tracemalloc.get_traced_memory()[0] / count}
        await asyncio.sleep(AFTER)
        polled, used, begun = platform.polled, time.process_time(), time.perf_counter()
        await asyncio.sleep(20.0)
        busy = (time.process_time() - used) / (time.perf_counter() - begun)
        return {"subscribed": took, "busy": busy, "polls": platform.polled - polled}


def rows() -> Iterator[Row]:
    """Measure."""
    with serving("idle") as url:
        polled = python("idle", url, COUNT, "poll", "memory")
        streamed = python("idle", url, STREAMS, "stream", "memory")
        pace = python("idle", url, COUNT, "poll", "time")
    yield (
        Row("10,000 subscribed idle tasks", f"{polled['bytes'] / 1024:.1f} KiB each")
        .at_most("memory", polled["bytes"] / 1024, 4, " KiB")
        .at_most("subscribing all of them", pace["subscribed"], 5, " s")
        .at_most("of a core, 5 min later", 100 * pace["busy"], 3, " %")
        .note("polls a second then", f"{pace['polls'] / 20:.0f}")
    )
    yield Row("a task with a live connection", f"{streamed['bytes'] / 1024:.1f} KiB").at_most(
        "memory", streamed["bytes"] / 1024, 18, " KiB"
    )


if __name__ == "__main__":
    address, tasks, kind, what = sys.argv[1:]
    figures = measured(address, int(tasks), streaming=kind == "stream", memory=what == "memory")
    print(json.dumps(asyncio.run(figures)))
