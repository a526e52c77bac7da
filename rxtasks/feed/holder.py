"""Holds the stream of one task while that is worth a connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from rxtasks.errors import TransportError
from rxtasks.feed.limits import Limits
from rxtasks.feed.pump import Pump
from rxtasks.models import TransportFault
from rxtasks.platforms.base import Batch
from rxtasks.wire.backoff import Backoff

__all__ = ["StreamHolder", "StreamUser"]


class StreamUser(Protocol):
    """Takes what the stream brings; all calls are synchronous."""

    def take(self, batch: Batch) -> bool:
        """Take a batch; False asks to go back to where the stream skipped something."""
        ...

    def stream_changed(self) -> None:
        """The stream was opened or lost, or there is a place for it: think again."""
        ...

    def stream_failed(self, fault: TransportFault) -> None:
        """The stream was lost and will be opened anew."""
        ...

    def has_settled(self) -> bool:
        """Whether the turn has ended, so that the end of its stream is none too early."""
        ...


class StreamHolder:
    """Opens a task's stream when it is wanted and there is a place for it.

    Attributes:
        open: A connection stands.
        over: The server says that there will be no stream any more.
        lost_at: When the connection was lost that is being opened anew, in the loop's seconds.
    """

    def __init__(
        self,
        limits: Limits,
        user: StreamUser,
        connect: Callable[[str | None], AsyncGenerator[Batch, None]],
        *,
        idle_limit: float,
    ) -> None:
        self.open: bool = False
        self.over: bool = False
        self.lost_at: float | None = None
        self._limits = limits
        self._user = user
        backoff = Backoff(base=0.25, cap=30.0)
        self._pump = Pump(limits, connect, self, backoff=backoff, idle_limit=idle_limit)

    @property
    def held(self) -> bool:
        """Whether the stream is open, or being opened."""
        return self._pump.running

    @property
    def cursor(self) -> str | None:
        """Where the next connection goes on."""
        return self._pump.cursor

    def align(self, cursor: str | None) -> bool:
        """Let the next connection begin where a poll has ended; False if that cannot be."""
        if cursor is None or self.held:
            return False
        self._pump.cursor = cursor
        return True

    def hold(self, *, wanted: bool) -> None:
        """Open the stream if it is wanted and there is a place for it, else close it."""
        if not wanted:
            self.drop()
        elif not self.held and self._limits.acquire_stream(self):
            self._pump.start()

    def hurry(self) -> None:
        """Open a stream that was lost now: the server can be reached again."""
        if self.lost_at is not None:
            self._pump.hurry()

    def drop(self) -> None:
        """Close the stream: one loop turn later nothing of it is left."""
        self._pump.stop()
        self.open = False
        self.lost_at = None
        self._limits.release_stream(self)

    # ------------------------------------------------------------------ what the pump tells

    def stream_place_free(self) -> None:
        """There is a place: it is taken if it is still wanted."""
        self._user.stream_changed()

    def stream_opened(self) -> None:
        """A connection stands."""
        self.open = True
        self.lost_at = None
        self._user.stream_changed()

    def stream_batch(self, batch: Batch) -> bool:
        """Pass a batch on."""
        return self._user.take(batch)

    def stream_lost(self, error: Exception | None, attempt: int, retry_in: float) -> None:
        """The connection is gone and will be opened anew."""
        self.open = False
        if error is None and self._user.has_settled():
            self.drop()
            self._user.stream_changed()
            return
        if self.lost_at is None:
            self.lost_at = self._limits.now()
        cause = error or TransportError("the server ended the stream before the task had ended")
        self._user.stream_failed(
            TransportFault(source="stream", attempt=attempt, retry_in=retry_in, cause=cause)
        )

    def stream_over(self) -> None:
        """There will be no stream any more."""
        self.over = True
        self._user.stream_changed()
