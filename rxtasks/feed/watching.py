"""Watching one task: polls and a stream, merged into its log."""

from __future__ import annotations

import logging
from typing import TypeVar

from rxtasks.errors import RxTasksError
from rxtasks.feed.cadence import Facts, What
from rxtasks.feed.faults import Refusals, newest
from rxtasks.feed.holder import StreamHolder
from rxtasks.feed.limits import Limits
from rxtasks.feed.outcome import Outcome
from rxtasks.feed.outlet import Outlet
from rxtasks.feed.pace import Pace
from rxtasks.feed.poller import Poller
from rxtasks.feed.refcount import RefCounted
from rxtasks.feed.shared_stream import SharedStream
from rxtasks.feed.state import State
from rxtasks.feed.timers import Timers
from rxtasks.feed.turn import Turn, TurnState
from rxtasks.feed.waiters import Waiters
from rxtasks.models import Connection, FatalFault, TaskInfo, TaskStatus, TransportFault
from rxtasks.platforms.base import Batch, Platform, TaskRef, Want
from rxtasks.platforms.checks import polled
from rxtasks.streams.log import TaskLog

__all__ = ["Watching"]

_logger = logging.getLogger("rxtasks.feed")

_T = TypeVar("_T", bound=Turn)
_SOON = 0.4  # seconds after the loss of a stream in which it may be back before the status is read


class Watching(RefCounted):
    """Brings what polls and a stream tell of a task into its log.

    Whatever is learned of the task, also by a single `poll`, passes through here. Observers keep
    it going: `active` says whether there are any.

    Attributes:
        ref: The task; None until it has been started.
        state: What is known of it.
        log: What has been seen of it.
    """

    def __init__(
        self,
        platform: Platform,
        limits: Limits,
        ref: TaskRef | None,
        *,
        retention: int | None = None,
        idle_limit: float = 60.0,
        shared: SharedStream | None = None,
    ) -> None:
        """Get ready to watch a task (None: one that has not been started yet)."""
        self._platform = platform
        self._limits = limits
        info = TaskInfo(
            id=ref.id if ref else "",
            agent_id=ref.agent.id if ref and ref.agent else None,
            status=TaskStatus.IDLE if ref else TaskStatus.NOT_STARTED,
        )
        self.ref: TaskRef | None = ref
        self.state: State = self._state_of(info)
        self.log: TaskLog = TaskLog(self, retention=retention)
        self._outlet: Outlet = self.log
        self._faults: tuple[TransportFault, ...] = ()  # the newest of each source
        self._users = 0
        self._poller = Poller(limits, self)
        self._timers = Timers(limits)
        self._stream = StreamHolder(
            limits, self, platform, timers=self._timers, shared=shared, idle_limit=idle_limit
        )
        self._waiters = Waiters()
        self._first = True  # no poll of messages has succeeded since the start
        self._watched_before = False  # by another process, from which this one takes over
        self._failed = False
        self._refusals = Refusals(credentials_renew=platform.capabilities.credentials_renew)
        self._pace = Pace(limits.cadence)

    def _state_of(self, info: TaskInfo) -> State:
        """Begin to know things of a task."""
        return State(info, self._new_turn(Turn), self._platform.name)

    def _new_turn(self, kind: type[_T]) -> _T:
        can, cadence = self._platform.capabilities, self._limits.cadence
        grace = cadence.grace if can.grace is None else can.grace
        return kind(can, start_timeout=cadence.start_timeout, grace=grace)

    @property
    def seen(self) -> State:
        """What is known of the task, as far as the log has told it."""
        return self.state

    async def ready(self) -> None:
        """Wait until the log holds what observers of other processes have seen."""

    def _start(self) -> None:
        if not self.active:
            return
        # A stream that carries everything tells a task that was just started from its beginning,
        # with every state between; a poll would only see where it is by now. One that has ended
        # already, since a key was used before, is to be read anyway.
        can = self._platform.capabilities
        whole = can.stream == "everything" and can.resume == "full"
        fresh = self._pace.started_here and self._stream.cursor is None
        streamed = whole and fresh and not self.state.turn.resting
        self._begin(streamed=streamed)

    def _begin(self, *, streamed: bool) -> None:
        """Poll, and open the stream; if it is `streamed`, polls have time."""
        self._pace.changed_at = self._limits.now()
        self._stream.over = self._failed = False
        self._first = not streamed
        self._poller.start(self._limits.cadence.reconnecting if streamed else 0.0)
        self._watch()

    def _stop(self) -> None:
        self._halt()

    def _halt(self) -> None:
        """Stop the polls and the stream."""
        self._poller.stop()
        self._stream.drop()
        self._timers.clear()
        self.state.connection = "idle"

    def _give_up(self, error: RxTasksError) -> None:
        """Tell the fault, then end everybody's stream; subscribing again tries anew."""
        self._failed = True
        self._halt()
        self._outlet.append([FatalFault(error)])
        self._outlet.fail(error)
        self._wake(error)

    def _wake(self, error: RxTasksError | None = None) -> None:
        """Let those go on who wait for the end of the turn."""
        self._waiters.wake(error)

    def poke(self) -> None:
        """Something has probably changed: poll now."""
        self._poller.poke(metadata=True, messages=True)

    # ------------------------------------------------------------------ polls

    async def poll(self, want: Want) -> None:
        """Poll once, and merge what was found."""
        if self.ref is None:
            return
        now, begun = self._limits.now(), self._stream.connections
        margin = want.messages and self._pace.margin_due(now)
        mark = self.state.mark(margin=margin, messages=want.messages)
        if mark.margin:
            self._pace.margin_at = now
            margin_seconds = self._limits.cadence.margin
            want = Want(info=want.info, messages=want.messages, margin=margin_seconds)
        found = await self._platform.snapshot(self.ref, mark.cursor, want)
        snapshot = polled(found, self._platform)
        self._refusals.answered()
        if self._poller.failing:
            self._stream.hurry()
        first, self._first = self._first, self._first and snapshot.facts is None
        aligned = self._stream.align(snapshot.stream_cursor)
        self._apply(
            self.state.snapshot(
                snapshot,
                mark,
                self._limits.now(),
                first=first and not self._watched_before,
                streaming=self._stream.open,
                aligned=aligned,
            )
        )
        if snapshot.info is not None and snapshot.facts is not None:
            self._stream.caught_up(begun)
        if first and not self._first:
            self._watch()  # the stream was waiting for this, whatever it brought

    def poll_failed(self, error: Exception, attempt: int, retry_in: float) -> bool:
        """Tell that a poll failed; False if watching cannot go on."""
        reason = self._refusals.fatal(error, new=self._pace.is_new(self._limits.now()))
        if reason is not None:
            self._give_up(reason)
            return False
        if not isinstance(error, RxTasksError):
            _logger.error("the adapter of %s has failed", self._platform.name, exc_info=error)
        self.fault(TransportFault(source="poll", attempt=attempt, retry_in=retry_in, cause=error))
        self._stream.caught_up()
        return True

    def facts(self, what: What) -> Facts:
        """On what the pace of one kind of poll depends at present."""
        now, carries, lost_at = self._limits.now(), self._platform.capabilities.stream, None
        if carries == "everything":  # no other makes up for what it missed: nothing waits for it
            lost_at = self._stream.lost_at
        stream = carries if self._stream.open else "nothing"
        return self._pace.facts(what, now, self.state, stream=stream, lost_at=lost_at)

    # ------------------------------------------------------------------ the stream

    def stream_opened(self, *, behind: bool) -> None:
        """The stream stands; if it is `behind`, a poll has to tell what it has missed."""
        if behind:
            self._poller.afresh()
        self.stream_changed()

    def take(self, batch: Batch) -> bool:
        """Take what the stream brought; False asks to go back to where it skipped something."""
        self._apply(self.state.batch(batch, self._limits.now()))
        return self.state.ledger.take_hole() is None

    def stream_changed(self) -> None:
        """The stream was opened or is over, or there is a place for it: the pace changes."""
        self._watch()
        self._repace()

    def _repace(self) -> None:
        if self._platform.capabilities.stream == "everything":
            self._poller.repace()
        else:  # for no other can polls wait
            self._poller.hasten()

    def stream_failed(self, fault: TransportFault) -> None:
        """The stream was lost and will be opened anew."""
        self.fault(fault)
        self._repace()
        if not self._poller.failing:  # a clean end and a cut look the same: only the status tells
            self._poller.poke(metadata=True, delay=_SOON)

    def has_settled(self) -> bool:
        """Whether the latest turn has ended and been reconciled."""
        return self.state.turn.state is TurnState.SETTLED

    def _wants_stream(self) -> bool:
        can = self._platform.capabilities
        if self._stream.over or can.stream == "nothing":
            return False
        if self._first and can.resume != "none":
            return False  # the first poll says what is history, and where the stream begins
        if self.has_settled():
            # Held a little longer for a follow-up, but not opened for one.
            return self._pace.lingers(self._limits.now()) and self._stream.held
        return self.state.turn.state is not TurnState.UNKNOWN

    # ------------------------------------------------------------------ what follows

    def _apply(self, outcome: Outcome, *, changed: bool = True) -> None:
        """Append what is new to the log, and do what follows from it."""
        now = self._limits.now()
        if outcome.began:
            self._outlet.reopen()
        if outcome.history:
            self._outlet.append(outcome.history, history=True)
        if outcome.values:
            if changed:
                self._pace.saw(outcome.values, now)
            if isinstance(outcome.values[-1], list):
                self._deltas_came()
            self._outlet.append(outcome.values)
        if outcome.settled:
            self._pace.settled_at = now
            self._outlet.settle()
            self._wake()
            self._poller.repace()
        self._poll_for(outcome)
        if not (outcome.values and isinstance(outcome.values[-1], list)):
            self._watch()

    def _poll_for(self, outcome: Outcome) -> None:
        """Poll sooner, if what arrived says that there is more to find."""
        deltas_only = self._platform.capabilities.stream == "deltas"
        if outcome.values and not outcome.only_deltas:
            self._poller.hasten()
        if outcome.poll or (outcome.reconcile and not outcome.look):
            self.poke()
        elif outcome.look or (outcome.switched and deltas_only):
            self._poller.poke(messages=True)

    def _deltas_came(self) -> None:
        """When a text has gone quiet, its final form is looked for."""
        if self._platform.capabilities.stream == "deltas" and "quiet" not in self._timers:
            self._timers.set("quiet", self._pace.quiet_at, self._gone_quiet)

    def _gone_quiet(self) -> None:
        if not self._pace.is_quiet(self._limits.now()):
            self._timers.set("quiet", self._pace.quiet_at, self._gone_quiet)
        elif self.state.ledger.live:
            self._poller.poke(messages=True)

    def fault(self, fault: TransportFault) -> None:
        """Tell a fault that will be made up for."""
        self._faults = newest(self._faults, fault)
        self._outlet.append([fault])
        self._watch()

    def _watch(self) -> None:
        """Bring the stream, the timers and the connection in line with the state."""
        if not self.active:
            return
        self._stream.hold(wanted=self._wants_stream())
        if (deadline := self.state.turn.deadline()) is not None:
            self._timers.set("deadline", deadline, self._advance)
        if self._stream.held and self.has_settled():
            self._timers.set("linger", self._pace.linger_end, self._watch)
        if (connection := self._connection()) != self.state.connection:
            self.state.connection = connection
            self._apply(self.state.advance(self._limits.now()), changed=False)

    def _connection(self) -> Connection:
        if self._stream.open:
            return "live"
        if self._stream.lost_at is not None or self._poller.failing:
            return "reconnecting"
        return "idle" if self.has_settled() else "polling"

    def _advance(self) -> None:
        self._apply(self.state.advance(self._limits.now()))
