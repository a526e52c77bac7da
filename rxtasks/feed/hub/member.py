"""One of the processes that watch a task by way of a hub: it leads or follows."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from collections.abc import Sequence

from rxtasks.errors import RxTasksError, TransportError
from rxtasks.feed.faults import newest
from rxtasks.feed.hub.outbox import Outbox
from rxtasks.feed.hub.recall import RecalledState
from rxtasks.feed.hub.record import (
    UNREADABLE,
    Entry,
    Mark,
    decode_entry,
    decode_told,
    encode_entry,
)
from rxtasks.feed.hub.replica import Replica
from rxtasks.feed.hub.seam import Outgoing, Place
from rxtasks.feed.hub.summary import decode_summary, encode_summary
from rxtasks.feed.hub.telling import HubTelling
from rxtasks.feed.outlet import NOWHERE
from rxtasks.feed.state import State
from rxtasks.feed.turn import TurnState
from rxtasks.models import FatalFault, TransportFault

__all__ = ["HubMember"]

_logger = logging.getLogger("rxtasks.feed")
_SWEEP = 5.0  # seconds that others have to read deltas, before those of final messages go
_PATIENCE = 5.0  # seconds that somebody waits at most for what other processes have seen


class HubMember(HubTelling):
    """Leads or follows, as the hub wants it to."""

    state: RecalledState  # pyright: ignore[reportIncompatibleVariableOverride]

    # ------------------------------------------------------------------ roles

    @property
    def active(self) -> bool:
        """Whether this process asks the platform, for all or for itself."""
        return (self.leading or self._alone) and self.wanted

    @property
    def seen(self) -> State:
        """What is known of the task, as far as the log has told it."""
        return self._shared.replica.state if self.leading else self.state

    async def ready(self) -> None:
        """Wait until the log holds what observers of other processes have seen."""
        if self._share is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._ready.wait()

    def _start(self) -> None:
        if not self.wanted:
            return
        if self._failed:
            self._stop()
        self._failed = False
        if self._share is None:
            self._ready.clear()
            self.log.held = not self.log.read
            self._share = self._hub.join(self._name_in_hub, self)

    def _stop(self) -> None:
        share, self._share = self._share, None
        if share is not None:
            share.leave()
        self._step_down()
        self._alone = False
        self.log.unhold()

    def _step_down(self) -> None:
        self._halt()
        self._outbox = None
        self._outlet = NOWHERE

    def lead(self) -> None:
        """Watch the platform from now on; the log has been read to its end."""
        shared = self._shared
        self._step_down()
        state = self.state = copy.deepcopy(shared.replica.state)
        state.turn.begin_waiting(self._limits.now())
        outbox = Outbox(shared.replica.tail, state.ledger.turn_of, self._filled)
        self._outlet = self._outbox = outbox
        if shared.replica.tail and not shared.attended:
            state.doubt()
            outbox.reopen()
        watched = shared.attended and state.heard
        self._place(shared.replica.stream)
        pending = tuple(self._pending.values())
        state.mute = not shared.replica.tail and (state.heard or self._is_late())
        for told in pending:
            self._obey(told)
        self._obey_all()
        state.late = not pending and not shared.attended
        shared.attended = True  # from now on
        self._goes_on(watched=watched)

    def _is_late(self) -> bool:
        """Whether the task may be further than what was told of it, and somebody may know it.

        The log begins with the present then: else who knows that would see the task go back.
        """
        news = (told.id for _, told in self._shared.replica.unheard() if told.sent)
        return self._looked or any(each not in self._pending for each in news)

    def _place(self, stream: tuple[str, int | None] | None) -> None:
        """Let the stream go on from where somebody else had got to."""
        self._first = True
        if self._own_stream:
            self._stream.go_on(stream[0] if stream is not None else None)

    def _goes_on(self, *, watched: bool) -> None:
        """Begin to watch what others (`watched`) have watched up to now, or nobody has."""
        can = self._platform.capabilities
        whole = can.stream == "everything" and can.resume == "full"
        self._watched_before = watched
        goes_on = watched and self._own_stream and self._stream.cursor is not None
        ours = self._pace.started_here and not (self.state.late or self.state.mute)
        known = self.state.turn.state is not TurnState.UNKNOWN and not self.state.turn.resting
        new = ours and known and self._stream.cursor is None
        self._begin(streamed=whole and (goes_on or new))

    def follow(self) -> None:
        """Leave the platform alone from now on, and forget what has not been written."""
        self._step_down()
        self.state = self._shared.replica.state
        self._doubtful = True
        self._retell()

    def lost(self, error: TransportError, retry_in: float) -> None:
        """The hub cannot be used: watch for itself, or wait."""
        if self._share is None:
            return  # nobody watches any more
        self._step_down()
        self._doubtful = True
        self.state = self._shared.own or self._shared.replica.state
        cause = TransportError(str(error))  # observers get an error of their own
        fault = TransportFault(source="hub", attempt=1, retry_in=retry_in, cause=cause)
        self._faults = newest(self._faults, fault)
        if not self._hub.falls_back:
            self.log.announce(fault)
            return
        state = self.state = self._shared.part()
        state.turn.begin_waiting(self._limits.now())
        self._alone, self._outlet = True, self.log
        self.log.append([fault])
        self._ready.set()
        self.log.unhold()
        watched = state.heard
        self._place(self._shared.replica.stream)
        state.mute = not watched and self._is_late()
        for told in tuple(self._pending.values()):
            self._do(told)
        self._goes_on(watched=watched)

    # ------------------------------------------------------------------ what the hub tells

    @property
    def position(self) -> str:
        """The newest entry that it has read."""
        return self._shared.replica.position

    @property
    def observers(self) -> int:
        """How many observe the task in this process, and wait for its results."""
        return self._users

    @property
    def told_position(self) -> str:
        """What was told up to here has been taken into account."""
        return self._shared.replica.state.told_position

    def joined(self, place: Place, *, attended: bool) -> None:
        """It belongs to those who watch the task; the log up to now follows."""
        self._step_down()
        self._alone = False
        self._faults = ()
        self._shared.join(place, attended=attended)
        self.state = self._shared.replica.state

    def took(self, position: str, data: bytes) -> None:
        """Read an entry of the log."""
        try:
            entry = decode_entry(data)
        except UNREADABLE:
            _logger.exception("an entry of the shared log cannot be read: %s", position)
            self._shared.replica.position = position
            return
        for ack in entry.acks:
            self._pending.pop(ack, None)
        if not self.leading:
            self.state = self._shared.replica.state
        self._shared.take(position, entry)

    def skipped(self, summary: bytes) -> None:
        """Go on behind the entries that a summary is about: they are not there any more."""
        found = decode_summary(summary)
        for ack in found.acks:
            self._pending.pop(ack, None)
        self._shared.skip(found)
        if not self.leading:
            self.state = self._shared.replica.state

    def sum_up(self, summary: bytes | None, entries: Sequence[tuple[str, bytes]]) -> bytes:
        """Sum up the beginning of the log, so that it can be left out."""
        replica = Replica(self._blank())
        if summary is not None:
            replica.resume(replica.state, decode_summary(summary))
        for position, data in entries:
            try:
                replica.take(position, decode_entry(data))
            except UNREADABLE:
                replica.position = position
        return encode_summary(replica.sum_up())

    def heard(self, position: str, data: bytes) -> None:
        """Read what a process tells the one that leads."""
        try:
            told = decode_told(data)
        except UNREADABLE:
            _logger.exception("what another process has told cannot be read: %s", position)
            return
        self._shared.replica.hear(position, told)
        self._obey_all()

    def caught_up(self) -> None:
        """All that was in the log has been read."""
        shared = self._shared
        shared.catch_up()
        if shared.replica.ended:
            self._marked("ended")
            return
        self._ready.set()
        if shared.replica.settled and shared.attended:
            self._marked("settled")
        else:
            self.log.reopen()
        self.log.unhold()
        if self._doubtful:
            self._retell()

    def _marked(self, mark: Mark) -> None:
        if mark == "reopened":
            self.log.reopen()
        elif mark == "settled" and not self._awaited:
            self.log.settle()
            self._waiters.wake()
        elif mark == "ended":
            self._ready.set()
            super().end()
        elif mark == "failed" and isinstance(self._shared.last_fault, FatalFault):
            error = self._shared.last_fault.cause
            self._stop()
            self._failed = True
            self.log.fail(error)
            self._waiters.wake(error)

    # ------------------------------------------------------------------ what is written

    def _filled(self) -> None:
        if self._share is not None:
            self._share.flush()

    def outgoing(self) -> Outgoing | None:
        """Give the next entry to write, if there is one."""
        outbox = self._outbox
        if not outbox:
            return None
        entry = outbox.take()
        worthless: list[str] = []
        if not outbox and (entry.acks or not entry.only_deltas):
            entry.note = self.state.note()
            worthless = self._worthless(entry)
        if self._own_stream and not outbox and self._stream.cursor is not None:
            entry.stream = (self._stream.cursor, self.state.ledger.stream_position)
        return Outgoing(encode_entry(entry), worthless)

    def _worthless(self, entry: Entry) -> list[str]:
        """Choose what is deleted: not at once, since others may not have read it yet."""
        now = self._limits.now()
        if now - self._swept_at < _SWEEP:
            return []
        replica, upto = self._shared.replica, self._swept_upto
        self._swept_at, self._swept_upto = now, replica.position
        worthless = replica.worthless(upto)
        entry.swept = upto if worthless else None
        return worthless

    def _wake(self, error: RxTasksError | None = None) -> None:
        if self._alone:
            super()._wake(error)

    def _deltas_came(self) -> None:
        if self.active:
            super()._deltas_came()
