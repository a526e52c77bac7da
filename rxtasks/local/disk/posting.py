"""Has reports delivered that are due, one attempt at a time: the file knows what comes next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from rxtasks.errors import RxTasksError
from rxtasks.local.disk.link import Link
from rxtasks.local.disk.outbox import Report
from rxtasks.local.state import TaskState

__all__ = ["Posting", "Reporter"]

_log = logging.getLogger("rxtasks.webhooks")

_CLOSING = 5.0
"""Seconds that attempts under way may still take when the file is closed."""


class Reporter(Protocol):
    """Writes reports, and delivers them if it can."""

    @property
    def possible(self) -> bool:
        """Whether it can deliver."""
        ...

    def written(self, state: TaskState, /) -> bytes:
        """Write what is delivered of a task; called in any thread."""
        ...

    async def attempt(self, report: Report, /) -> float | None:
        """Try once; give the seconds until it is to be tried again, None: it is over."""
        ...


class Posting:
    """Runs one asyncio task for each attempt."""

    def __init__(self, link: Link, reporter: Reporter) -> None:
        self._link = link
        self._reporter = reporter
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def take(self, reports: Sequence[Report]) -> None:
        """Deliver what was taken from the file."""
        if self._closed:
            return  # leaving the file lets others have it
        for report in reports:
            running = asyncio.Task(self._deliver(report), name=f"rxtasks report {report.id}")
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    async def aclose(self) -> None:
        """Let what is under way end, for a few seconds; the rest stays in the file."""
        self._closed = True
        try:
            if self._running:
                await asyncio.wait(self._running, timeout=_CLOSING)
        finally:
            left = tuple(self._running)
            for running in left:
                running.cancel()
            if left:
                await asyncio.wait(left)

    async def _deliver(self, report: Report) -> None:
        again = await self._reporter.attempt(report)
        try:
            await self._link.call(self._link.file.attempted, report.id, again)
        except RxTasksError as error:
            _log.warning("what came of a webhook cannot be written down (yet): %s", error)
        self._link.worker.nudge()  # there may be more to deliver, now or in a second
