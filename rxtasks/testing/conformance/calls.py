"""Trials of single calls: what comes, when, where, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from rxtasks.testing.conformance.bench import Bench, End

__all__ = [
    "cancels_what_runs",
    "ends",
    "fails",
    "looks_for_timers",
    "nests",
    "never_ends",
    "subscribes_after_the_end",
    "subscribes_before_and_after",
]


async def never_ends(bench: Bench) -> None:
    """Observe for a while."""
    observer = bench.observe()
    for _ in range(3):
        await bench.emit_to(observer)
    await bench.quiet()


async def ends(bench: Bench, end: End) -> None:
    """Observe until the end, and a little longer."""
    first, second = bench.observe(), bench.observe()
    await bench.emit_to(first, second)
    await bench.end(end, first, second)
    with contextlib.suppress(Exception):  # what has ended may refuse to bring more
        await bench.emit()
    await bench.quiet()


async def nests(bench: Bench) -> None:
    """Let an observer make the stream bring more, and subscribe, inside its first call."""
    nested: list[str] = []

    def react(call: str, _: Any) -> None:
        if call == "on_next" and not nested:
            nested.append(call)
            bench.emit_inside()
            bench.observe()

    observer = bench.observe(react=react)
    await bench.emit_to(observer)
    await bench.emit_to(observer)
    await bench.quiet()


async def subscribes_before_and_after(bench: Bench) -> None:
    """Subscribe when there is nothing yet, and when there is something to replay."""
    first = bench.observe()
    await bench.emit_to(first)
    second = bench.observe()
    await bench.emit_to(first, second)
    await bench.quiet()


async def subscribes_after_the_end(bench: Bench, end: End) -> None:
    """Subscribe when the end is all that there is to tell."""
    observer = bench.observe()
    await bench.emit_to(observer)
    await bench.end(end, observer)
    bench.observe()
    await bench.quiet()


async def cancels_what_runs(bench: Bench) -> None:
    """Cancel the asyncio tasks of the stream, as the end of a program does."""
    before = asyncio.all_tasks()
    bench.observe()
    await bench.quiet()
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await bench.quiet()
    observer = bench.observe()
    await bench.emit()
    await bench.quiet()
    bench.dispose(observer)
    await bench.quiet()


async def fails(bench: Bench, end: End) -> None:
    """Let the stream fail."""
    observer = bench.observe()
    await bench.end(end, observer)
    await bench.quiet()


async def looks_for_timers(bench: Bench) -> None:
    """Look for timer threads at every turn."""
    observer = bench.observe()
    bench.verify()
    for _ in range(3):
        await bench.emit()
        await bench.quiet()
    await bench.emit_to(observer)
    bench.dispose()
    await bench.quiet()
