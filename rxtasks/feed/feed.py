"""The feed of one task: it is watched while somebody wants to know."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from reactivex.abc import DisposableBase

from rxtasks.errors import (
    ClientClosed,
    ConfigurationError,
    TaskNotFound,
)
from rxtasks.feed.hints import Attached, HintSource
from rxtasks.feed.turn import TurnState
from rxtasks.feed.watching import Watching
from rxtasks.models import TaskStatus, TransportFault
from rxtasks.platforms.base import Accepted, Metadata, TaskRef

__all__ = ["Feed"]


class Feed(Watching):
    """Watches a task while somebody wants to know, and takes what users do to it.

    Attributes:
        handle: Returns the object that users hold, if there is one.
    """

    ref: TaskRef | None
    handle: Callable[[], Any] = staticmethod(lambda: None)

    def end(self) -> None:
        """The task was deleted: its streams complete, later ones after the log."""
        self._stop()
        self._end_turn()
        self.log.complete(ended=True)
        self._waiters.wake(self._gone())

    def _end_turn(self) -> None:
        """Tell that a turn which had not ended was cancelled along with its task."""
        state, status = self.state, self.state.info.status
        if status.is_final or status is TaskStatus.IDLE:
            return
        turn = state.turn
        turn.word, turn.state, turn.failure = TaskStatus.CANCELLED, TurnState.SETTLED, None
        state.info = msgspec.structs.replace(state.info, requests=())
        self._outlet.append(state.advance(self._limits.now()).values)

    def ending(self) -> AbstractContextManager[None]:
        """Make who waits for a result wait for what becomes of the task: it is cancelled first."""
        return self._waiters.held()

    def close(self) -> None:
        """The client closes: all streams complete."""
        self._stop()
        self.log.complete()
        self._waiters.wake(ClientClosed("the client was closed while this was waited for"))

    def _gone(self) -> TaskNotFound:
        return TaskNotFound(f"the task {self.state.info.id} was ended and deleted")

    # ------------------------------------------------------------------ what the user does

    def sent(self, text: str, accepted: Accepted, *, started: TaskRef | None = None) -> None:
        """A message was accepted; with `started`, it has started the task."""
        now = self._limits.now()
        self._pace.sent(now, started=started is not None)
        if started is not None:
            self.ref = started
        self._stream.over = False  # this turn may have one, though the last one had none
        self._outlet.reopen()
        self._apply(self.state.sent(text, accepted, now, started=started))
        if started is not None and self.active:
            self._start()
        else:
            self._poller.poke(metadata=True, messages=True, delay=0.1)

    def listed(self, info: Metadata) -> None:
        """A listing told where the task stands."""
        self._apply(self.state.listed(info, self._limits.now()))

    def cancelled(self) -> None:
        """The user has cancelled: find out what came of it."""
        self.state.turn.cancelled()
        self._advance()
        self.poke()

    # ------------------------------------------------------------------ hints from outside

    def attach(self, source: HintSource) -> DisposableBase:
        """Let something that learns of changes say when to poll, until the bond is disposed of.

        Raises:
            ClientClosed: The client is not open.
            ConfigurationError: The source has no method `watch`.
        """
        self._limits.check_open()
        if not callable(getattr(source, "watch", None)):
            raise ConfigurationError(
                f"something of type {type(source).__name__} gives no hints: attach a "
                "WebhookReceiver, or what has its method `watch`"
            )
        return Attached(self, self._limits, source, self.state.info.id)

    def attached(self, sources: int) -> None:
        """The number of such sources has changed by so many."""
        self._pace.sources += sources
        self._poller.repace()
        if sources > 0:
            self.poke()  # of what has happened before, nobody was told

    def hinted(self, *, ended: bool) -> None:
        """Something has changed; with `ended`, the turn may have ended."""
        if not self._limits.closing:
            self._pace.hinted(self._limits.now(), ended=ended)
            self.poke()

    # ------------------------------------------------------------------ waiting

    @property
    def standing_fault(self) -> TransportFault | None:
        """The newest fault that still stands: what has failed has not worked since."""
        stands = {
            "poll": self._poller.failing,
            "stream": self._stream.lost_at is not None,
            "hub": True,  # it goes from the list when the hub is back
        }
        return next((f for f in reversed(self._faults) if stands.get(f.source)), None)

    async def wait_settled(self) -> None:
        """Wait until the latest turn has ended and been reconciled, however long that takes.

        Raises:
            RxTasksError: Watching has ended for a reason.
        """
        while not (self.log.ended or self.has_settled()):
            # Who is woken looks again: somebody may have sent the next message already.
            await self._waiters.wait(self.loop)
        if self.log.ended:
            raise self._gone()
