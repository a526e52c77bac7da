"""From the server's write to the observer, one small event every five milliseconds."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from statistics import median

import aiohttp
import msgspec
import uvloop

from benchmarks.measuring import Row, python
from benchmarks.serving import serving
from benchmarks.stream import Streaming
from rxtasks import Client, Message
from rxtasks.models import TypingMessage

COUNT = 1000
INTERVAL = 0.005
ROUNDS = 5


async def raw(url: str, late: list[float]) -> None:
    """Read with aiohttp, and call a function with each event."""

    def note(content: str) -> None:
        late.append(time.perf_counter() - float(content))

    async with aiohttp.ClientSession() as session, session.get(url) as response:
        async for chunk in response.content.iter_any():
            for event in chunk.split(b"\n\n")[:-1]:
                note(msgspec.json.decode(event[6:])["content"])


async def ours(url: str, late: list[float]) -> None:
    """Observe the messages of a task."""
    done = asyncio.Event()

    def note(message: Message) -> None:
        if isinstance(message, TypingMessage):
            late.append(time.perf_counter() - float(message.text))
            if len(late) == COUNT:
                done.set()

    async with Client(Streaming(url)) as client:
        task = await client.agent("a").run("go")
        task.messages.subscribe(note)
        await done.wait()


def rows() -> Iterator[Row]:
    """Measure."""
    taken: dict[str, list[dict[str, float]]] = {
        "raw asyncio": [],
        "raw uvloop": [],
        "ours asyncio": [],
        "ours uvloop": [],
    }
    with serving("paced", COUNT, INTERVAL) as url:
        for _ in range(ROUNDS):
            for name, runs in taken.items():
                runs.append(python("latency", url, *name.split()))
    p50 = {name: median(each["p50"] for each in runs) for name, runs in taken.items()}
    p99 = {name: median(each["p99"] for each in runs) for name, runs in taken.items()}
    bare = p50["raw uvloop"] / p50["raw asyncio"]
    yield (
        Row("latency of a small event every 5 ms", f"p50 {p50['ours asyncio']:.0f} µs")
        .note("p99, µs", f"{p99['ours asyncio']:.0f}")
        .note("raw aiohttp, p50 and p99, µs", f"{p50['raw asyncio']:.0f}, {p99['raw asyncio']:.0f}")
        .at_most("raw aiohttp and a callback", p50["ours asyncio"] / p50["raw asyncio"], 1.3)
        .at_most("with uvloop, of asyncio's", p50["ours uvloop"] / p50["ours asyncio"], 0.8)
        .note("raw aiohttp with uvloop, of asyncio's", f"{bare:.2f} times")
    )


def main(url: str, how: str, loop: str) -> None:
    """Read in this process, on one of two loops."""
    late: list[float] = []
    factory = uvloop.new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run({"raw": raw, "ours": ours}[how](url, late))
    late.sort()
    print(json.dumps({"p50": late[COUNT // 2] * 1e6, "p99": late[COUNT * 99 // 100] * 1e6}))


if __name__ == "__main__":
    main(*sys.argv[1:])
