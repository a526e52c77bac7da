"""Shared over Redis beside the plain feed: what it adds to a delay, and what goes through."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from statistics import median
from subprocess import DEVNULL, Popen

from benchmarks.latency import COUNT, INTERVAL
from benchmarks.measuring import Row, python
from benchmarks.serving import serving
from benchmarks.stream import Streaming
from rxtasks import Client, Message
from rxtasks.hub import RedisHub
from rxtasks.models import TypingMessage

ROUNDS = 3
BULK = 100_000
HOW = ("plain", "leader", "follower")


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis server without persistence; give its URL."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("this benchmark needs redis-server; on Debian: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            folder,
        ]
        with Popen(command, stdout=DEVNULL) as process:  # noqa: S603
            try:
                while True:
                    try:
                        socket.create_connection(("127.0.0.1", port), timeout=1).close()
                        break
                    except OSError:
                        time.sleep(0.05)
                yield f"redis://127.0.0.1:{port}/0"
            finally:
                process.terminate()


async def watch(url: str, how: str, redis: str, count: int) -> list[float]:
    """Observe the messages of a task; give when each delta came, less what it says."""
    came: list[float] = []
    done = asyncio.Event()
    prefix = uuid.uuid4().hex

    def note(message: Message) -> None:
        if isinstance(message, TypingMessage):
            sent = message.text
            came.append(time.perf_counter() - (float(sent) if sent[0].isdecimal() else 0.0))
            if len(came) == count:
                done.set()

    async with AsyncExitStack() as stack:

        async def client() -> Client:
            hub = None
            if how != "plain":
                hub = await stack.enter_async_context(RedisHub(redis, prefix=prefix))
            return await stack.enter_async_context(Client(Streaming(url), hub=hub))

        first = await client()
        task = await first.agent("a").run("go")
        if how == "follower":
            second = await client()
            twin = second.task(task.ref)
            task.updates.subscribe(lambda _: None)
            twin.messages.subscribe(note)
        else:
            task.messages.subscribe(note)
        await done.wait()
    return came


def rows() -> Iterator[Row]:
    """Measure."""
    with redis_server() as redis:
        delays = _figures("paced", (COUNT, INTERVAL), redis, COUNT)
        bulk = _figures("bulk", (BULK, 2**14, 1), redis, BULK)
    p50 = {how: median(each["p50"] for each in runs) for how, runs in delays.items()}
    p99 = {how: median(each["p99"] for each in runs) for how, runs in delays.items()}
    rate = {how: median(each["rate"] for each in runs) for how, runs in bulk.items()}
    yield (
        Row("a small event every 5 ms, shared over Redis", f"p50 {p50['leader']:.0f} µs")
        .note("p99, µs", f"{p99['leader']:.0f}")
        .note("in another process's client, p50 and p99, µs", _pair(p50, p99, "follower"))
        .note("plain feed, p50 and p99, µs", _pair(p50, p99, "plain"))
        .at_most("added to the plain feed", (p50["leader"] - p50["plain"]) / 1000, 5.0, " ms")
    )
    yield (
        Row("a stream as fast as it goes, shared over Redis", f"{rate['leader']:,.0f} deltas/s")
        .note("in another process's client", f"{rate['follower']:,.0f} deltas/s")
        .note("plain feed", f"{rate['plain']:,.0f} deltas/s")
        .at_least("deltas a second", rate["leader"], 20_000, "")
    )


def _pair(p50: dict[str, float], p99: dict[str, float], how: str) -> str:
    return f"{p50[how]:.0f}, {p99[how]:.0f}"


def _figures(
    kind: str, arguments: tuple[object, ...], redis: str, count: int
) -> dict[str, list[dict[str, float]]]:
    taken: dict[str, list[dict[str, float]]] = {how: [] for how in HOW}
    with serving(kind, *arguments) as url:
        for _ in range(ROUNDS):
            for how, runs in taken.items():
                runs.append(python("hub", url, how, redis, count))
    return taken


def main(url: str, how: str, redis: str, count: str) -> None:
    """Watch in this process."""
    came = asyncio.run(watch(url, how, redis, int(count)))
    rate = len(came) / (came[-1] - came[0]) if came[-1] > came[0] else 0.0
    late = sorted(came)
    p50, p99 = (late[len(late) * part // 100] * 1e6 for part in (50, 99))
    print(json.dumps({"p50": p50, "p99": p99, "rate": rate}))


if __name__ == "__main__":
    main(*sys.argv[1:])
