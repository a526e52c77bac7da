"""What a test leaves behind: tasks, timers and connections of its loop, and threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from rxtasks.testing.conformance.belongings import Belongings

__all__ = ["Leak", "left_threads", "no_leaks"]

_TURNS = 3  # of the loop, that a disposed thing has to be gone
_CLOSING = 1.0  # real seconds that a closing connection has to say goodbye (TLS)
_THREAD_EXIT = 0.2  # real seconds for a thread that was told to end to be scheduled


class Leak(AssertionError):
    """Something was left behind.

    Attributes:
        left: A line about each thing.
    """

    def __init__(self, left: list[str]) -> None:
        super().__init__("left behind:\n  " + "\n  ".join(left))
        self.left: list[str] = left


@asynccontextmanager
async def no_leaks() -> AsyncGenerator[None]:
    """Complain of what a block leaves behind on its loop and in its process.

    Those are asyncio tasks, timers, connections and threads that were not there before it. The
    threads of `asyncio.to_thread` belong to the loop, and are ended.

    Raises:
        Leak: Something was left, a moment later. An exception of the block goes before.
    """
    loop = asyncio.get_running_loop()
    threads = set(threading.enumerate())
    before = Belongings(loop)
    yield
    left = await _left_on_loop(before)
    await loop.shutdown_default_executor()
    left += left_threads(threads)
    if left:
        raise Leak(left)


async def _left_on_loop(before: Belongings) -> list[str]:
    loop = asyncio.get_running_loop()
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    left = Belongings(loop)
    end = time.monotonic() + _CLOSING
    while left.since(before, "transports") and time.monotonic() < end:
        await asyncio.sleep(0.01)
        left = Belongings(loop)
    return left.since(before, "tasks", "timers", "transports")


def left_threads(before: set[threading.Thread]) -> list[str]:
    """Say which threads run that were not there before, and do not end by themselves."""
    started = set(threading.enumerate()) - before
    for thread in started:
        thread.join(_THREAD_EXIT)
    return [f"thread {thread!r}" for thread in started if thread.is_alive()]
