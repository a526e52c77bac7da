"""A server under load: 1,000 readers of a task and 200 requests a second, for a minute.

`python -m benchmarks load`. The server, its readers and whoever makes the requests are processes of
their own. Nothing may be lost: each reader has to get every message, and every request its answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp

from benchmarks.measuring import ROOT, Row
from rxtasks import Client
from rxtasks.local import Context, Yield, message, typing
from rxtasks.platforms import Local
from rxtasks.server import serve

READERS = int(os.environ.get("LOAD_READERS", "1000"))
RATE = 200  # requests a second
SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
DELTAS = 10  # a second; and one message
PATIENCE = 60.0


async def talk(ctx: Context) -> AsyncIterator[Yield]:
    """Type, and say it, once a second."""
    await ctx.ask("Are all there?")
    begun = time.monotonic()
    for second in range(round(SECONDS)):
        for number in range(DELTAS):
            due = begun + second + number / DELTAS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield typing(f"token {second} {number} ")
        yield message()


async def short(ctx: Context) -> AsyncIterator[Yield]:
    """Answer at once."""
    yield message(ctx.text)


async def served() -> None:
    """Serve until the input ends."""
    agents = {"talk": talk, "short": short}
    async with Client(Local(agents)) as client, serve(client, max_streams=READERS) as running:
        task = await client.agent("talk").run("go")
        while not task.requests:
            await asyncio.sleep(0.01)
            await task.poll()
        print(json.dumps([running.url, task.ref, task.requests[0].id]), flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.read)


async def read(port: int, path: str) -> None:
    """Read with many connections; say how many messages each of them got, and when all are in."""
    there, counts = 0, []

    async def one() -> int:
        nonlocal there
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        found, rest, is_there = 0, b"", False
        while chunk := await reader.read(65536):
            text = rest + chunk
            if not is_there and b"event: live" in text:
                is_there = True
                there += 1
            found += text.count(b"event: agent\n")
            rest = text[text.rfind(b"\n") + 1 :]
            if found == round(SECONDS):
                break
        writer.close()
        return found

    async def tell() -> None:
        while there < READERS:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
        print("there", flush=True)

    telling = asyncio.create_task(tell())
    async with asyncio.timeout(SECONDS + PATIENCE):
        counts = await asyncio.gather(*(one() for _ in range(READERS)))
        await telling
    print(json.dumps([min(counts), max(counts)]), flush=True)


async def ask(url: str, ref: str) -> None:
    """Make requests at a rate; say how many failed, and how long they took."""
    task = quote(ref, safe="")
    taken: list[float] = []
    failed: list[str] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as session:

        async def one(number: int) -> None:
            begun = time.perf_counter()
            try:
                await _one(session, url, task, number)
            except (aiohttp.ClientError, TimeoutError, AssertionError) as error:
                failed.append(repr(error))
            taken.append(time.perf_counter() - begun)

        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(round(RATE * SECONDS)):
                await asyncio.sleep(max(0.0, begun + number / RATE - time.monotonic()))
                group.create_task(one(number))
    taken.sort()
    print(
        json.dumps([len(taken), failed[:5], taken[len(taken) // 2], taken[len(taken) * 99 // 100]])
    )


async def _one(session: aiohttp.ClientSession, url: str, task: str, number: int) -> None:
    """Make one request; one of twenty starts a task, and the next deletes it."""
    headers = {"Content-Type": "application/json"}
    if number % 20 == 0:
        path = f"{url}/v1/agents/short/tasks"
        async with session.post(path, json={"text": "Hi"}, headers=headers) as answer:
            assert answer.status == 201
            started = (await answer.json())["id"]
        async with session.delete(f"{url}/v1/tasks/{started}", headers=headers) as answer:
            assert answer.status == 204
        return
    paths = (f"tasks/{task}", "agents", f"tasks/{task}/snapshot?want=info", "agents/talk/tasks")
    async with session.get(f"{url}/v1/{paths[number % 4]}") as answer:
        assert answer.status == 200
        await answer.read()


def memory(pid: int) -> float:
    """Say how much memory a process has resident, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def cpu(pid: int) -> float:
    """Say how many seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a part of this in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load", *words]
    with subprocess.Popen(  # noqa: S603 - it is this very file
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        try:
            yield running
        finally:
            running.terminate()


def line(running: subprocess.Popen[str]) -> str:
    """Read what a process says."""
    assert running.stdout is not None
    return running.stdout.readline()


def rows() -> Iterator[Row]:
    """Measure."""
    with process("serve") as server:
        url, ref, request = json.loads(line(server))
        port, task = url.rpartition(":")[2], quote(ref, safe="")
        with process("read", port, f"/v1/tasks/{task}/events") as readers:
            assert line(readers).strip() == "there"
            command = [sys.executable, "-m", "benchmarks.load", "go", url, task, request]
            subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - it is this very file
            with process("ask", url, ref) as asking:
                time.sleep(SECONDS / 4)
                early, used = memory(server.pid), cpu(server.pid)
                time.sleep(SECONDS * 5 / 8)
                late = memory(server.pid)
                busy = (cpu(server.pid) - used) / (SECONDS * 5 / 8)
                count, failed, middle, slow = json.loads(line(asking))
            fewest, most = json.loads(line(readers))
    assert not failed, failed
    missed = max(round(SECONDS) - fewest, most - round(SECONDS))
    yield (
        Row(
            f"load: {READERS:,} readers of a task, {RATE} requests/s, {SECONDS:.0f} s",
            f"{middle * 1e3:.1f} ms a request",
        )
        .at_most("requests that failed", len(failed), 0, "")
        .at_most("messages that a reader missed", missed, 0, "")
        .at_most("growth of memory", late - early, 5, " MiB")
        .note("requests", f"{count:,}")
        .note("slowest of a hundred, ms", f"{slow * 1e3:.0f}")
        .note("memory, MiB", f"{late:.0f}")
        .note("CPU of the server", f"{busy:.0%}")
    )


async def go(url: str, task: str, request: str) -> None:
    """Let the agent begin."""
    path = f"{url}/v1/tasks/{task}/requests/{request}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(path, json={"answer": "yes"}) as answer,
    ):
        assert answer.status == 204


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    parts = {"serve": served, "read": lambda p, q: read(int(p), q), "ask": ask, "go": go}
    asyncio.run(parts[sys.argv[1]](*sys.argv[2:]))  # type: ignore[operator]
