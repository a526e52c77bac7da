"""Ten thousand idle tasks in one process."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measuring import Row, python

COUNT = 10_000

MEMORY = """
import asyncio, gc, json, sys, time, tracemalloc
from rxtasks import Client
from rxtasks.models import AgentMessage
from rxtasks.platforms.base import Batch, Capabilities, Metadata, Snapshot, TaskStatus
from rxtasks.testing import ScriptedPlatform
from rxtasks.wire.http import Http, HttpOptions, Timeouts

count, url, streaming = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "stream"


class Idle(ScriptedPlatform):
    def __init__(self):
        can = Capabilities(stream="everything" if streaming else "nothing", resume="full")
        super().__init__([], capabilities=can)
        self.http = Http(url, platform="bench", options=HttpOptions())
        self.polled = self.opened = 0
        self.first = asyncio.Event()

    async def snapshot(self, ref, cursor, want):
        await self.http.request("GET", "/poll")
        self.polled += 1
        if self.polled == count:
            self.first.set()
        word, status = ("running", TaskStatus.RUNNING) if streaming else ("idle", TaskStatus.IDLE)
        facts = [AgentMessage("done", id="m")] if want.messages and not streaming else []
        return Snapshot(info=Metadata(platform_state=word, status=status), facts=facts, cursor="c")

    async def open_stream(self, ref, cursor):
        async with self.http.stream("GET", "/stream") as connection:
            self.opened += 1
            yield Batch()
            async for events in connection.batches():
                yield Batch()

    async def aclose(self):
        await self.http.aclose()


async def main():
    platform = Idle()
    async with Client(platform, max_streams=count) as client:
        # What one task makes for all of them is none of theirs.
        warm = client.task("warm")
        warm.messages.subscribe(lambda _: None)
        await asyncio.sleep(0.5)
        gc.collect()
        tracemalloc.start()
        begun, used = time.perf_counter(), time.process_time()
        tasks = [client.task(f"task-{i}") for i in range(count - 1)]
        for task in tasks:
            task.messages.subscribe(lambda _: None)
        await platform.first.wait()
        while streaming and platform.opened < count:
            await asyncio.sleep(0.05)
        took = time.perf_counter() - begun
        await asyncio.sleep(1.0)
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0] / count
        tracemalloc.stop()
        used, begun, polled = time.process_time(), time.perf_counter(), platform.polled
        await asyncio.sleep(0 if streaming else 10)
        busy = (time.process_time() - used) / max(0.001, time.perf_counter() - begun)
        print(json.dumps({"bytes": memory, "subscribed": took, "busy": busy,
                          "polls": platform.polled - polled}), flush=True)


asyncio.run(main())
"""


def rows() -> Iterator[Row]:
    """Measure."""
    from benchmarks.serving import serving

    with serving("idle") as url:
        polled = python(MEMORY, COUNT, url, "poll")
        streamed = python(MEMORY, COUNT // 10, url, "stream")
    yield (
        Row("10,000 subscribed idle tasks", f"{polled['bytes'] / 1024:.1f} KiB each")
        .at_most("memory", polled["bytes"] / 1024, 4, " KiB")
        .at_most("subscribing all of them", polled["subscribed"], 5, " s")
        .at_most("of a core in the seconds after that", 100 * polled["busy"], 3, " %")
    )
    yield Row(
        "tasks with a live SSE connection", f"{streamed['bytes'] / 1024:.1f} KiB each"
    ).at_most("memory", streamed["bytes"] / 1024, 18, " KiB")
