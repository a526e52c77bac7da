"""What the processes that watch a task tell the one that leads."""

from __future__ import annotations

import asyncio

from rxtasks.feed.feed import Feed
from rxtasks.feed.hub.outbox import Outbox
from rxtasks.feed.hub.recall import RecalledState, RecalledTurn
from rxtasks.feed.hub.record import (
    Mark,
    Told,
    encode_told,
)
from rxtasks.feed.hub.seam import Hub, Share
from rxtasks.feed.hub.shared_log import SharedLog
from rxtasks.feed.limits import Limits
from rxtasks.feed.outlet import NOWHERE
from rxtasks.feed.shared_stream import SharedStream
from rxtasks.models import TaskInfo
from rxtasks.platforms.base import Platform, TaskRef
from rxtasks.streams.following import FollowingLog

__all__ = ["HubTelling"]

_REMEMBERED = 1000  # of the things that were told, so that each counts once


class HubTelling(Feed):
    """Tells the process that leads what happens here; or leads, and does what follows from it."""

    state: RecalledState
    log: FollowingLog

    def __init__(
        self,
        platform: Platform,
        limits: Limits,
        ref: TaskRef | None,
        *,
        hub: Hub,
        retention: int | None = None,
        idle_limit: float = 60.0,
        shared: SharedStream | None = None,
    ) -> None:
        """Get ready to watch a task (None: one that has not been started yet)."""
        super().__init__(
            platform, limits, ref, retention=retention, idle_limit=idle_limit, shared=shared
        )
        self.log = FollowingLog(self, retention=retention)  # pyright: ignore[reportIncompatibleVariableOverride]
        self._outlet = NOWHERE
        self._own_stream = shared is None
        self._hub = hub
        self._share: Share | None = None
        self._shared = SharedLog(self.log, self._blank, self._marked)
        self.state = self._shared.replica.state  # pyright: ignore[reportIncompatibleVariableOverride]
        self._outbox: Outbox | None = None  # while it leads
        self._alone = False  # the hub is out of reach, and this watches for itself
        self._pending: dict[str, Told] = {}  # what the leader has to take into account
        self._obeyed: dict[str, None] = {}
        self._swept_at = float("-inf")
        self._swept_upto = "0-0"
        self._doubtful = False  # whether what is pending has reached anybody
        self._ready = asyncio.Event()
        self._looked = False  # this process has asked the platform, and not for the shared log

    def _state_of(self, info: TaskInfo) -> RecalledState:
        return RecalledState(info, self._new_turn(RecalledTurn), self._platform.name)

    def _marked(self, mark: Mark) -> None:
        """Do what a mark in the log says."""

    @property
    def _name_in_hub(self) -> str:
        return f"{self._platform.name}/{self.ref.id if self.ref else ''}"

    def _blank(self) -> RecalledState:
        return self._state_of(self.state.info)

    @property
    def leading(self) -> bool:
        """Whether this process asks the platform for all."""
        return self._outbox is not None

    # ------------------------------------------------------------------ what the leader is told

    @property
    def _awaited(self) -> bool:
        """Whether the leader has not heard yet of a message that was sent here."""
        return any(told.sent for told in self._pending.values())

    def _tell(self, told: Told) -> None:
        """Do what follows from something, or let the leader do it."""
        if told.lasting:
            self._pending[told.id] = told
        if self.leading:
            self._obey(told)
        elif self._alone:
            self._do(told)
        elif told.lasting or self._share is not None:
            self._hub.tell(self._name_in_hub, encode_told(told))

    def _retell(self) -> None:
        self._doubtful = False
        for told in tuple(self._pending.values()):
            if told.id in self._shared.replica.acked:
                del self._pending[told.id]
            else:
                self._hub.tell(self._name_in_hub, encode_told(told))

    def _obey_all(self) -> None:
        if self.leading:
            for position, told in self._shared.replica.unheard():
                self.state.told_position = position
                self._obey(told)

    def _obey(self, told: Told) -> None:
        """Do as the leader what follows from something, once."""
        outbox = self._outbox
        if outbox is None or told.id in self._obeyed:
            return
        self._obeyed[told.id] = None
        while len(self._obeyed) > _REMEMBERED:
            del self._obeyed[next(iter(self._obeyed))]
        if told.lasting:
            outbox.ack(told.id)
        self._do(told)

    def _do(self, told: Told) -> None:
        sent = told.sent
        if sent is not None:
            self.state.late = False
            super().sent(sent.text, sent.accepted, started=sent.started)
        elif told.fault is not None:
            super().fault(told.fault)
        elif told.what == "cancelled":
            super().cancelled()
        elif told.what == "poke":
            super().poke()
        elif told.what == "deleted":
            self._halt()
            self._end_turn()
            self._outlet.complete(ended=True)
        else:
            super().hinted(ended=told.what == "ended-hint")
