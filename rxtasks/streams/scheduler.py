"""A scheduler on the loop's own clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxtasks.arguments import check_is

__all__ = ["LoopScheduler"]


class LoopScheduler(AsyncIOScheduler):
    """Schedules Rx operators on an asyncio loop, by the time of that loop.

    The stock `AsyncIOScheduler` reads the wall clock, so that operators that compare times
    (`timestamp`, `time_interval`, absolute due times) go wrong where the loop's time is virtual,
    or the wall clock is set. Here `now` begins at the wall clock and moves with `loop.time()`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        check_is("loop", loop, asyncio.AbstractEventLoop, "an event loop of asyncio")
        super().__init__(loop)
        self._epoch = datetime.now(UTC) - timedelta(seconds=loop.time())

    @property
    def now(self) -> datetime:
        """The time of the loop, as a datetime in UTC."""
        return self._epoch + timedelta(seconds=self._loop.time())
