"""Holds clients of event streams against the same faults: `python -m benchmarks.peers`.

It takes five minutes, most of which is waiting, installs the clients first, and writes the
table of docs/comparison.md. With names of clients, or words of what the server does, it only prints
what it finds: `python -m benchmarks.peers langgraph silent`.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from benchmarks.measuring import ROOT
from benchmarks.peers.cases import CASES, Case, CaseServer
from benchmarks.peers.installing import CACHE, HERE, NODE, PYTHON, install
from benchmarks.peers.verdict import Run, table, verdict
from tests.integration.raw_server import serving

BOUND = 15.0
"""Seconds for which a client is waited for, from when it begins to connect."""
STARTING = 60.0
ENDING = 10.0
AT_ONCE = 3
PAGE = ROOT / "docs" / "comparison.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"

OURS = [sys.executable, "-m", "benchmarks.peers.ours"]
PYTHONS = [str(PYTHON), str(HERE / "clients.py")]
NODES = [str(NODE), str(CACHE / "node" / "clients.mjs")]
CLIENTS = {
    "rxtasks task": [*OURS, "task"],
    "rxtasks EventSource": [*OURS, "event_source"],
    "httpx-sse": [*PYTHONS, "httpx_sse"],
    "httpx-sse, README's retries": [*PYTHONS, "httpx_sse_retrying"],
    "aiohttp-sse-client2": [*PYTHONS, "aiohttp_sse_client2"],
    "launchdarkly-eventsource": [*PYTHONS, "launchdarkly"],
    "langgraph-sdk": [*PYTHONS, "langgraph"],
    "eventsource (npm)": [*NODES, "eventsource"],
    "eventsource-parser, fetch": [*NODES, "parser"],
    "@opencode-ai/sdk": [*NODES, "opencode"],
}


async def _listen(process: Process, run: Run) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        run.take(*json.loads(line))


async def _end(process: Process, *, at_once: bool) -> None:
    try:
        async with asyncio.timeout(0 if at_once else ENDING):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _measure(case: Case, name: str) -> Run:
    """Let one client read one stream."""
    run = Run()
    async with serving(CaseServer(case, plain=name != "rxtasks task")) as server:
        # The address stands last: a client is told it as an argument.
        process = await asyncio.create_subprocess_exec(
            *CLIENTS[name], server.url, stdout=PIPE, stderr=DEVNULL, cwd=ROOT
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(STARTING):
                ready = await process.stdout.readline()
            assert ready.startswith(b'["ready"'), f"{name} does not start: {ready!r}"
            async with asyncio.timeout(BOUND):
                await _listen(process, run)
        except TimeoutError:
            run.hung = True
        finally:
            await _end(process, at_once=run.hung)
        run.early = server.early(case.waits)
        await server.revived()
    return run


async def _rows(cases: Sequence[Case], names: Sequence[str]) -> list[tuple[str, list[str]]]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case, name: str) -> str:
        async with places:
            run = await _measure(case, name)
        said = verdict(run)
        print(f"{case.does:50} {name:28} {said:20} {run.raised or run.faults[:1]}", flush=True)
        return said

    async def row(case: Case) -> tuple[str, list[str]]:
        return case.does, list(await asyncio.gather(*(one(case, name) for name in names)))

    return list(await asyncio.gather(*map(row, cases)))


def _versions() -> str:
    pins = (HERE / "requirements.txt").read_text(encoding="utf-8").split()
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    node = wanted.pop("node")
    peers = [
        *(pin.replace("==", " ") for pin in pins),
        *(" ".join(each) for each in wanted.items()),
    ]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `python -m benchmarks.peers`, with Python "
        f"{platform.python_version()} and Node.js {node}, {len(os.sched_getaffinity(0))} cores "
        f"({platform.machine()}, {platform.system()}): rxtasks {version('rxtasks')}, "
        f"{', '.join(peers)}."
    )


def replaced(page: str, text: str) -> str:
    """Put a text between the markers of a page."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{PAGE.name} has lost its markers {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{text}\n\n{END}{after}"


def main(words: Sequence[str]) -> None:
    """Measure all and write it down, or measure what is asked for and print it."""
    names = [name for name in CLIENTS if any(word in name for word in words)] or list(CLIENTS)
    cases = [case for case in CASES if any(word in case.does for word in words)] or list(CASES)
    install()
    rows = asyncio.run(_rows(cases, names))
    found = table(names, rows)
    if words:
        print(found)
        return
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replaced(page, f"{_versions()}\n\n{found}"), encoding="utf-8")
    print(f"written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
