"""How many turns run at once, and for how long one may."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from rxtasks.arguments import check_count, check_seconds

__all__ = ["Allowance", "Limits", "Slots"]


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of a platform; None: there is none.

    Attributes:
        max_running: How many turns run at once; the others wait with the status `queued`.
        time_limit: Seconds that a turn may take, waiting for people not counted.
    """

    max_running: int | None = None
    time_limit: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that nothing could keep to.

        Raises:
            ConfigurationError: One is not positive.
        """
        check_count("max_running", self.max_running, optional=True)
        check_seconds("time_limit", self.time_limit, optional=True)


class Slots:
    """Lets so many run at once; who comes first goes first."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Wait for a slot."""
        if self._limit is None or self._taken < self._limit:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # it was given in the same moment
            raise

    def take(self) -> None:
        """Take one without waiting, though there be none."""
        self._taken += 1

    def release(self) -> None:
        """Give one back."""
        self._taken -= 1
        while self._waiting and (self._limit is None or self._taken < self._limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


class Allowance:
    """The slot and the time of one turn. Waiting for a person takes neither."""

    def __init__(self, slots: Slots, seconds: float | None, expire: Callable[[], None]) -> None:
        self._slots = slots
        self._left = seconds
        self._expire = expire
        self._used = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        """Wait for a slot; from then on the time runs."""
        await self._slots.acquire()
        self._go()

    def pause(self) -> None:
        """Stop the time and give the slot back."""
        if not self._used:
            return
        self._used = False
        self._slots.release()
        if self._timer is not None:
            self._left = self._timer.when() - asyncio.get_running_loop().time()
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        """Go on at once, though it be one more than run at once: it had its turn."""
        if not self._used and not self._over:
            self._slots.take()
            self._go()

    def end(self) -> None:
        """Give everything back for good."""
        self.pause()
        self._over = True

    def _go(self) -> None:
        self._used = True
        if self._left is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(self._left, 0.0), self._expire)
