"""From the socket to the observer: whole streams over loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from statistics import median

import aiohttp
import httpx
from httpx_sse import aconnect_sse

from benchmarks.decode import decode
from benchmarks.measuring import Row, medians, node, ns
from benchmarks.serving import serving
from rxtasks import Client, TaskStatus
from rxtasks.models import Message, TypingMessage
from rxtasks.platforms.base import (
    Accepted,
    Batch,
    Capabilities,
    Metadata,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.platforms.relevance.stream import deltas
from rxtasks.platforms.unknown import Unknown
from rxtasks.testing import ScriptedPlatform
from rxtasks.wire.http import Http, HttpOptions

COUNT = 200_000
SLOW = 10
MANY = 1_000_000


def cpu_of(work: Callable[[], Awaitable[None]]) -> float:
    """Run something on a loop of its own; return the CPU time that it took."""

    async def measured() -> float:
        begun = time.process_time()
        await work()
        return time.process_time() - begun

    return asyncio.run(measured())


async def read_alone(url: str) -> None:
    """Read with aiohttp, and look at nothing."""
    async with aiohttp.ClientSession(read_bufsize=2**16) as session, session.get(url) as response:
        async for _ in response.content.iter_any():
            pass


async def decoded(url: str, count: int) -> None:
    """Read with the HTTP client and the decoder of this library, without tasks."""
    http, seen = Http(url, platform="bench"), 0
    async with http.stream("GET", "/") as connection:
        async for events in connection.batches():
            for _, _, data in events:
                decode(data)
                seen += 1
    await http.aclose()
    assert seen == count


async def httpx_sse(url: str, count: int) -> None:
    """Read with httpx, httpx-sse and json."""
    seen = 0
    async with httpx.AsyncClient() as client, aconnect_sse(client, "GET", url) as source:
        async for event in source.aiter_sse():
            seen += bool(json.loads(event.data)["type"])
    assert seen == count


class Streaming(ScriptedPlatform):
    """Tasks that are busy for ever, with the stream of Relevance AI's adapter."""

    def __init__(self, url: str) -> None:
        super().__init__([], capabilities=Capabilities(stream="deltas"))
        self._http = Http(url, platform="bench", options=HttpOptions())
        self._unknown = Unknown("bench", "benchmarks")

    async def start(self, *_: object, **__: object) -> Accepted:
        self._count = getattr(self, "_count", 0) + 1
        return Accepted(id=f"task-{self._count}")

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        info = Metadata(platform_state="running", status=TaskStatus.RUNNING)
        return Snapshot(info=info if want.info else None, facts=[] if want.messages else None)

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        async with self._http.stream("GET", "/") as connection:
            yield Batch()
            async for events in connection.batches():
                yield Batch(items=deltas(events, self._unknown))
            yield Batch(final=True)

    async def aclose(self) -> None:
        await self._http.aclose()


async def watched(url: str, count: int, tasks: int = 1) -> list[float]:
    """Read with this library, up to one observer of each task's messages.

    Returns:
        The CPU time that it took from the first delta on, then when each task ended, in seconds.
    """
    ends: list[float] = []
    done = asyncio.Event()
    begun = used = 0.0

    def observer() -> Callable[[Message], None]:
        seen = 0

        def on_next(message: Message) -> None:
            nonlocal seen, begun, used
            if message.__class__ is TypingMessage:
                seen += 1
                if not begun:
                    begun, used = time.perf_counter(), time.process_time()
                if seen == count:
                    ends.append(time.perf_counter() - begun)
                    if len(ends) == tasks:
                        done.set()

        return on_next

    async with Client(Streaming(url), max_streams=tasks) as client:
        running = [await client.agent("a").run("go") for _ in range(tasks)]
        for task in running:
            task.messages.subscribe(observer())
        await done.wait()
        return [time.process_time() - used, *ends]


def tasks_at_once(tasks: int, delays: list[float]) -> Callable[[], float]:
    """Measure tasks at once: nanoseconds of CPU for each delta, once all streams are open."""
    each = MANY // tasks

    def measure() -> float:
        with serving("bulk", each, 2**14, tasks) as url:
            used, *ends = asyncio.run(watched(url, each, tasks))
        delays.append(max(ends) / median(ends))
        return ns(used, MANY)

    return measure


def rows() -> Iterator[Row]:
    """Measure."""
    few = COUNT // SLOW
    with serving("bulk", COUNT, 1, 1) as url:
        taken = medians(
            {
                "ours": lambda: ns(cpu_of(lambda: decoded(url, COUNT)), COUNT),
                "floor": lambda: ns(cpu_of(lambda: read_alone(url)), COUNT),
                "node": lambda: node("stream.mjs", url, COUNT)["ns"],
            }
        )
    yield (
        Row("decode over HTTP, one event an HTTP chunk", f"{taken['ours']:.0f} ns an event")
        .note("aiohttp reading alone, Node fetch, ns", f"{taken['floor']:.0f}, {taken['node']:.0f}")
        .at_least("speed of Node", taken["node"] / taken["ours"], 1.0)
        .at_most("aiohttp reading alone", taken["ours"] / taken["floor"], 1.4)
    )
    with serving("bulk", COUNT, 2**16, 1) as url, serving("bulk", few, 2**16, 1) as little:
        taken = medians(
            {
                "ours": lambda: ns(cpu_of(lambda: _once(url)), COUNT),
                "httpx": lambda: ns(cpu_of(lambda: httpx_sse(little, few)), few),
            }
        )
    yield (
        Row("socket to observer, one task", f"{taken['ours']:.0f} ns of CPU a delta")
        .at_most("CPU", taken["ours"] / 1000, 0.7, " µs")
        .at_least("speed of httpx + httpx-sse + json", taken["httpx"] / taken["ours"], 5)
    )
    delays: list[float] = []
    taken = medians({"one": tasks_at_once(1, []), "many": tasks_at_once(1000, delays)})
    yield (
        Row("socket to observer, 1,000 tasks at once", f"{taken['many']:.0f} ns of CPU a delta")
        .at_least("rate of one task", taken["one"] / taken["many"], 0.6)
        .at_most("slowest task to the median", max(delays), 5)
    )


async def _once(url: str) -> None:
    await watched(url, COUNT)
