"""Coroutines that wait for the end of a turn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator

from rxtasks.errors import RxTasksError, fresh

__all__ = ["Waiters"]


class Waiters:
    """Whoever waits for one thing; each is woken once."""

    __slots__ = ("_due", "_futures", "_held")

    def __init__(self) -> None:
        self._futures: tuple[asyncio.Future[None], ...] = ()  # takes nothing while it is empty
        self._held = 0
        self._due = False

    async def wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until `wake` is called; raise what it was called with."""
        future: asyncio.Future[None] = loop.create_future()
        self._futures = (*self._futures, future)
        try:
            await future
        finally:
            self._futures = tuple(each for each in self._futures if each is not future)

    def wake(self, error: RxTasksError | None = None) -> None:
        """Let everybody go on; with an error, each of them raises a copy of its own."""
        self._due = error is None and self._held > 0
        if self._due:
            return
        for future in self._futures:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(fresh(error))

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Meanwhile only errors wake; a wake that fell into the block is made up for after it."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self._due:
                self.wake()
