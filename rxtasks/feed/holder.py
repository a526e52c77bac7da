"""Holds the stream of one task while that is worth a connection."""

from __future__ import annotations

from typing import Protocol

from rxtasks.errors import TransportError
from rxtasks.feed.catching_up import CatchingUp
from rxtasks.feed.limits import Limits
from rxtasks.feed.pump import Pump
from rxtasks.feed.shared_stream import Membership, SharedStream
from rxtasks.feed.timers import Timers
from rxtasks.models import TransportFault
from rxtasks.platforms.base import Batch, Platform, TaskRef

__all__ = ["StreamHolder", "StreamSource", "StreamUser"]


class StreamSource(Protocol):
    """Opens a stream and keeps it open: a `Pump`, or a share of one.

    Attributes:
        cursor: Where the next connection goes on.
    """

    cursor: str | None

    @property
    def running(self) -> bool:
        """Whether it has been started, and neither stopped nor given up."""
        ...

    def start(self) -> None:
        """Open the stream and keep it open."""
        ...

    def stop(self) -> None:
        """Close it."""
        ...

    def hurry(self) -> None:
        """Try again now, if it waits for its back-off."""
        ...


_PATIENCE = 5.0  # seconds that a stream waits at most for the poll that tells what it has missed


class StreamUser(Protocol):
    """Takes what the stream brings; all calls are synchronous.

    Attributes:
        ref: The task.
    """

    ref: TaskRef | None

    def take(self, batch: Batch) -> bool:
        """Take a batch; False asks to go back to where the stream skipped something."""
        ...

    def stream_opened(self, *, behind: bool) -> None:
        """The stream stands; if it is `behind`, a poll has to tell what it has missed."""
        ...

    def stream_changed(self) -> None:
        """The stream is over, or there is a place for it: think again."""
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

    __slots__ = (
        "_catching_up",
        "_idle_limit",
        "_limits",
        "_platform",
        "_shared",
        "_source_",
        "_timers",
        "_user",
        "lost_at",
        "open",
        "over",
    )

    def __init__(
        self,
        limits: Limits,
        user: StreamUser,
        platform: Platform,
        *,
        timers: Timers,
        shared: SharedStream | None,
        idle_limit: float,
    ) -> None:
        self.open: bool = False
        self.over: bool = False
        self.lost_at: float | None = None
        self._limits = limits
        self._user = user
        self._platform = platform
        self._timers = timers
        self._shared = shared
        self._idle_limit = idle_limit
        self._catching_up = CatchingUp(platform.capabilities)
        self._source_: StreamSource | None = None  # made when needed: most tasks are idle

    @property
    def _source(self) -> StreamSource:
        if self._source_ is None:
            self._source_ = self._own() if self._shared is None else self._share(self._shared)
        return self._source_

    def _own(self) -> Pump:
        platform, user = self._platform, self._user
        return Pump(
            self._limits,
            lambda cursor: platform.open_stream(user.ref, cursor),
            self,
            name=platform.name,
            idle_limit=self._idle_limit,
        )

    def _share(self, shared: SharedStream) -> Membership:
        user = self._user
        return Membership(shared, self, lambda: user.ref.id if user.ref else "")

    @property
    def held(self) -> bool:
        """Whether the stream is open, or being opened."""
        return self._source_ is not None and self._source_.running

    @property
    def cursor(self) -> str | None:
        """Where the next connection goes on."""
        return None if self._source_ is None else self._source_.cursor

    def align(self, cursor: str | None) -> bool:
        """Let the next connection begin where a poll has ended; False if that cannot be."""
        if cursor is None or self.held:
            return False
        self._source.cursor = cursor
        return True

    def go_on(self, cursor: str | None) -> None:
        """Let the next connection begin there (None: anew), whatever was read before."""
        self._source.cursor = cursor

    def hold(self, *, wanted: bool) -> None:
        """Open the stream if it is wanted and there is a place for it, else close it."""
        if not wanted:
            self.drop()
        elif not self.held and (self._shared or self._limits.acquire_stream(self)):
            self._source.start()

    def hurry(self) -> None:
        """Open a stream that was lost now: the server can be reached again."""
        if self.lost_at is not None:
            self._source.hurry()

    @property
    def connections(self) -> int:
        """How many there have been; what it was when a poll began goes to `caught_up`."""
        return self._catching_up.connections

    def caught_up(self, connections: int | None = None) -> None:
        """Pass on what was held back: a poll has told the rest, or (None) none will for now."""
        for batch in self._catching_up.release(connections):
            self._user.take(batch)

    def drop(self) -> None:
        """Close the stream: one loop turn later nothing of it is left."""
        if self._source_ is not None:
            self._source_.stop()
        self.open = False
        self.lost_at = None
        self._catching_up.forget()
        self._timers.stop("patience")
        self._limits.release_stream(self)

    # ------------------------------------------------------------------ what the pump tells

    def stream_place_free(self) -> None:
        """There is a place: it is taken if it is still wanted."""
        self._user.stream_changed()

    def stream_opened(self) -> None:
        """A connection stands."""
        self.open = True
        self.lost_at = None
        behind = self._catching_up.opened()
        if behind:
            self._timers.set("patience", self._limits.now() + _PATIENCE, self.caught_up)
        self._user.stream_opened(behind=behind)

    def stream_batch(self, batch: Batch) -> bool:
        """Pass a batch on, or hold it back until a poll has told what was before it."""
        return self._catching_up.keep(batch) or self._user.take(batch)

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
