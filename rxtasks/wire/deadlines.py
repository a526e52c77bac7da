"""Bounds on waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from rxtasks.errors import ClientClosed, RxTasksError, TransportError
from rxtasks.wire.exchange import Exchange

__all__ = ["Deadlines"]


class Deadlines:
    """Bounds on waiting, all of which closing can end at once."""

    def __init__(self, closed_sentence: str) -> None:
        self.closed: bool = False
        self._closed_sentence = closed_sentence
        self._running: set[asyncio.Timeout] = set()

    def check(self) -> None:
        """Raise `ClientClosed` after `close`."""
        if self.closed:
            raise ClientClosed(self._closed_sentence)

    def close(self) -> None:
        """End every wait with `ClientClosed` on the next turn of the loop."""
        self.closed = True
        now = asyncio.get_running_loop().time()
        for deadline in self._running:
            deadline.reschedule(now)

    @asynccontextmanager
    async def within(self, seconds: float, exchange: Exchange) -> AsyncGenerator[None]:
        """Bound the block's time.

        Raises:
            TransportError: The time is over.
            ClientClosed: `close` was called.
        """
        self.check()
        try:
            async with asyncio.timeout(seconds) as deadline:
                self._running.add(deadline)
                try:
                    yield
                finally:
                    self._running.discard(deadline)
        except RxTasksError as error:
            if isinstance(error, TransportError):
                self.check()
            raise
        except TimeoutError:
            self.check()
            raise exchange.lost(f"was not answered within {seconds:g} s") from None

    async def sleep(self, seconds: float) -> None:
        """Wait; `close` cuts it short."""
        if self.closed:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds) as deadline:
                self._running.add(deadline)
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    self._running.discard(deadline)
