"""A server with a thousand readers of one task."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from statistics import median
from urllib.parse import quote

from aiohttp import web

from benchmarks.measuring import ROOT, Row, python
from rxtasks import Client
from rxtasks.local import Context, Yield, typing
from rxtasks.platforms import Local
from rxtasks.server import serve

READERS = 1000
EVENTS = 200
INTERVAL = 0.05
ROUNDS = 3
FRAME = (
    b"event: typing\nid: 1234567890ab:%d\n"
    b'data: {"kind":"typing","id":"msg_0123456789ab","text":"token %d "}\n\n'
)


async def paced(write: Callable[[int], Awaitable[None]]) -> float:
    """Write at regular times; return the CPU time that it took."""
    begun, used = time.perf_counter(), time.process_time()
    for number in range(EVENTS):
        await asyncio.sleep(max(0.0, begun + number * INTERVAL - time.perf_counter()))
        await write(number)
    return time.process_time() - used


async def until(all_there: Callable[[], bool]) -> None:
    """Wait until all readers are there, and have come to rest."""
    while not all_there():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)


async def ours() -> float:
    """Serve a task of an embedded agent that types."""
    texts: asyncio.Queue[str | None] = asyncio.Queue()

    async def agent(ctx: Context) -> AsyncIterator[Yield]:
        while (text := await texts.get()) is not None:
            yield typing(text)

    async def write(number: int) -> None:
        texts.put_nowait(f"token {number} ")

    async with Client(Local(agents={"a": agent})) as client, serve(client) as running:
        task = await client.agent("a").run("go")
        port = int(running.url.rpartition(":")[2])
        async with readers(port, f"/v1/tasks/{quote(task.ref, safe='')}/events"):
            await until(lambda: running.open_streams == READERS)
            used = await paced(write)
            texts.put_nowait(None)
        return used


async def bare() -> float:
    """Write the same bytes with aiohttp to each of the sockets."""
    responses: list[web.StreamResponse] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        responses.append(response)
        await asyncio.Event().wait()
        return response

    async def write(number: int) -> None:
        data = FRAME % (number, number)
        for response in responses:
            await response.write(data)

    application = web.Application()
    application.router.add_get("/", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with readers(runner.addresses[0][1], "/"):
        await until(lambda: len(responses) == READERS)
        used = await paced(write)
    await runner.cleanup()
    return used


@asynccontextmanager
async def readers(port: int, path: str) -> AsyncIterator[None]:
    """Let a process read with a thousand connections."""
    command = [sys.executable, "-m", "benchmarks.server", "read", str(port), path]
    with subprocess.Popen(command, cwd=ROOT) as process:  # noqa: ASYNC220, S603 - it is quick
        try:
            yield
        finally:
            process.terminate()


async def read(port: int, path: str) -> None:
    """Read with a thousand connections until they end."""

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        while await reader.read(65536):
            pass

    await asyncio.gather(*(one() for _ in range(READERS)))


def rows() -> Iterator[Row]:
    """Measure."""
    taken: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(ROUNDS):
        for how, runs in taken.items():
            runs.append(python("server", how)["s"])
    used, floor = median(taken["ours"]), median(taken["bare"])
    writes = READERS * EVENTS
    yield (
        Row(
            "server: 1,000 readers of one task, 20 events/s",
            f"{used / writes * 1e6:.1f} µs a write",
        )
        .note("bare aiohttp, µs", f"{floor / writes * 1e6:.1f}")
        .at_most("CPU of bare aiohttp", used / floor, 1.5)
    )


if __name__ == "__main__":
    if sys.argv[1] == "read":
        asyncio.run(read(int(sys.argv[2]), sys.argv[3]))
    else:
        print(json.dumps({"s": asyncio.run({"ours": ours, "bare": bare}[sys.argv[1]]())}))
