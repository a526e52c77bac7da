"""Keeps one stream open: reconnects, renews credentials, notices silence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Protocol

from rxtasks.errors import (
    AuthenticationError,
    PlatformError,
    RateLimited,
    RxTasksError,
    TransportError,
    UnsupportedOperation,
)
from rxtasks.feed.cadence import TICK
from rxtasks.feed.faults import longest_wait
from rxtasks.feed.limits import Limits
from rxtasks.platforms.base import Batch
from rxtasks.platforms.checks import broken
from rxtasks.wire.backoff import Backoff

__all__ = ["Pump", "Sink"]

_logger = logging.getLogger("rxtasks.feed")

_BACKOFF = Backoff(base=0.25, cap=30.0)
_LASTED = 10.0  # seconds after which a connection counts as having worked
_SHORTEST_WATCH = 10.0  # seconds: no server that sends heartbeats is hurried more than that
_ENOUGH = 4  # signs of life without content, the first batch included, that show the rhythm
_REFUSALS = 3  # refusals of fresh credentials in a row until a stream is given up


class Sink(Protocol):
    """Takes what a stream brings. All calls are synchronous, on the loop."""

    def stream_opened(self) -> None:
        """A connection stands."""
        ...

    def stream_batch(self, batch: Batch) -> bool:
        """Take a batch; False asks for a reconnect from the cursor before it."""
        ...

    def stream_lost(self, error: Exception | None, attempt: int, retry_in: float) -> None:
        """The connection is gone (None: the server ended it cleanly) and will be opened anew."""
        ...

    def stream_over(self) -> None:
        """There will be no stream any more."""
        ...


class _Restart(Exception):
    """The connection is to be opened anew, although it works."""


class Pump:
    """Runs one stream until it is stopped.

    Attributes:
        cursor: Where the next connection goes on.
    """

    def __init__(
        self,
        limits: Limits,
        connect: Callable[[str | None], AsyncGenerator[Batch, None]],
        sink: Sink,
        *,
        name: str,
        idle_limit: float,
    ) -> None:
        """Get ready; `name` is what the platform is called."""
        self.cursor: str | None = None
        self._limits = limits
        self._connect = connect
        self._sink = sink
        self._name = name
        self._idle_limit = idle_limit
        self._task: asyncio.Task[None] | None = None
        self._waiting: asyncio.Event | None = None  # for the end of a back-off

    @property
    def running(self) -> bool:
        """Whether it has been started, and neither stopped nor given up."""
        return self._task is not None

    def start(self) -> None:
        """Open the stream and keep it open."""
        if self._task is None:
            self._task = self._limits.spawn(self._run())

    def stop(self) -> None:
        """Close the stream: one loop turn later nothing of it is left."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        me = asyncio.current_task()
        attempt = refused = 0
        while True:
            opened_at = self._limits.now()
            connection = _Connection(self._limits, self._idle_limit)
            error: Exception | None = None
            try:
                await self._read(connection)
            except _Restart:
                continue
            except UnsupportedOperation:
                break
            except Exception as failure:  # noqa: BLE001 - whatever it is, the stream is lost
                error = failure
            if self._task is not me:
                return  # stopped, while there was nothing to wait for
            if error is not None and not isinstance(error, RxTasksError | OSError):
                _logger.error("the adapter of %s has failed", self._name, exc_info=error)
            if connection.final:
                break
            refused = refused + 1 if isinstance(error, AuthenticationError) else 0
            if refused >= _REFUSALS:
                break
            lasted = self._limits.now() - opened_at >= _LASTED
            attempt = 1 if connection.brought or lasted else attempt + 1
            wait = error.retry_after if isinstance(error, PlatformError) else None
            if isinstance(error, RateLimited):
                self._limits.budget.limited(self._limits.now(), wait)
            retry_in = _BACKOFF.delay(attempt, wait, cap=longest_wait(error))
            self._sink.stream_lost(error, attempt, retry_in)
            await self._pause(retry_in, bound=wait is not None)
        self._task = None
        self._sink.stream_over()

    def hurry(self) -> None:
        """Try again now, if it waits for its back-off: the server can be reached again."""
        if self._waiting is not None:
            self._waiting.set()

    async def _pause(self, seconds: float, *, bound: bool) -> None:
        """Wait for the back-off; what the server itself asked for (`bound`) is not cut short."""
        if bound:
            await asyncio.sleep(seconds)
            return
        self._waiting = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._waiting.wait()
        self._waiting = None

    async def _read(self, connection: _Connection) -> None:
        with connection:
            async with contextlib.aclosing(self._opened()) as batches:
                opened = False
                async for batch in batches:
                    if not isinstance(batch, Batch):  # pyright: ignore[reportUnnecessaryIsInstance]
                        raise broken(self._name, "yielded", batch, "open_stream", "yield Batch")
                    if not opened:
                        opened = True
                        self._sink.stream_opened()
                    connection.alive(batch)
                    if batch.final:
                        return
                    news = batch.items or batch.reset
                    if news and not self._sink.stream_batch(batch):
                        raise _Restart
                    if batch.cursor is not None:
                        self.cursor = batch.cursor

    def _opened(self) -> AsyncGenerator[Batch, None]:
        stream = self._connect(self.cursor)
        if hasattr(stream, "__aiter__") and hasattr(stream, "aclose"):
            return stream
        given: object = stream
        if isinstance(given, Coroutine):
            given.close()  # else Python complains that nobody has awaited it
        raise broken(self._name, "returned", given, "open_stream", "be an async generator")


class _Connection:
    """Watches over one connection: silence breaks it, and credentials about to expire renew it.

    It compares timestamps in one timer instead of arming a timer for every batch.
    """

    def __init__(self, limits: Limits, idle_limit: float) -> None:
        self.final = False
        self.brought = False
        self._limits = limits
        self._idle_limit = idle_limit
        self._heard = limits.now()
        self._beat = self._heard  # when the last heartbeat came
        self._longest = 0.0  # between two heartbeats
        self._heartbeats = 0
        self._renew_at = float("inf")
        self._renew_by = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._reason: Exception | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._arm()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._reason is None or self._task is None:
            return
        # What was cancelled here may have come out as something else, or as nothing at all; and
        # somebody else may have cancelled as well.
        if self._task.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            raise self._reason from None

    def alive(self, batch: Batch) -> None:
        """Take note of a sign of life."""
        now = self._limits.now()
        if batch.items:
            self.brought = True
        elif self._heartbeats or batch.expires_in is None:
            self._heartbeats += 1
            self._longest = max(self._longest, now - self._beat)
            self._beat = now
        self._heard = now
        if not batch.items and self._heartbeats == _ENOUGH:
            self._arm()  # from here on silence is noticed sooner
        self.final = batch.final
        if batch.expires_in is not None:
            ahead = min(30.0, 0.2 * batch.expires_in)
            self._renew_by = now + max(2.0, batch.expires_in)
            self._renew_at = max(now + 1.0, self._renew_by - ahead)
            self._arm()

    def _patience(self) -> float:
        if self._heartbeats < _ENOUGH:
            return self._idle_limit
        return min(self._idle_limit, max(_SHORTEST_WATCH, 3.0 * self._longest))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = min(self._heard + self._patience(), self._renew_at)
        self._timer = self._limits.at(due, self._check)

    def _check(self) -> None:
        now = self._limits.now()
        patience = self._patience()
        if now >= self._heard + patience - TICK:
            self._break(TransportError(f"the stream was silent for {patience:.3g} s"))
        elif now >= self._renew_at - TICK and (
            now - self._heard >= 1.0 or now >= self._renew_by - 1.0
        ):
            self._break(_Restart())
        else:
            if now >= self._renew_at - TICK:
                self._renew_at = now + 0.5  # wait for a quiet moment
            self._arm()

    def _break(self, reason: Exception) -> None:
        self._reason = reason
        if self._task is not None:
            self._task.cancel()
