"""Keeps the parts of a hub at work, all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

__all__ = ["Work"]

_PAUSES = (1.0, 60.0)  # seconds before it begins anew, at first and at most

Parts = Callable[[], Sequence[Coroutine[Any, Any, None]]]


class Work:
    """Runs what goes on for ever; where one part of it fails, all of it ends and begins anew.

    Else a process could go on signing for tasks of which it reads and writes nothing any more.
    """

    def __init__(self, parts: Parts, on_failure: Callable[[BaseException, float], None]) -> None:
        """Begin it, on the running loop.

        Args:
            parts: Gives what is to be run.
            on_failure: Called when a part has failed and all have ended, with the seconds until
                they begin anew.
        """
        self._parts = parts
        self._on_failure = on_failure
        self._task = asyncio.Task(self._run(), loop=asyncio.get_running_loop())

    async def end(self) -> None:
        """End all of it."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause, most = _PAUSES
        while True:
            began = loop.time()
            tasks = [asyncio.Task(part, loop=loop) for part in self._parts()]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                error = await _end(tasks)
            if loop.time() - began > most:
                pause = _PAUSES[0]
            self._on_failure(error, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, most)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> BaseException:
    """End what is left of them, and give why the first of them has ended."""
    left = {task for task in tasks if not task.done()}
    while left:  # while it connects, redis-py may swallow a cancellation
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)
    # All are looked at, else asyncio reports what has not been.
    errors = [task.exception() for task in tasks if not task.cancelled()]
    return next((each for each in errors if each is not None), RuntimeError("it has ended"))
