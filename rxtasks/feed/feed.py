"""The feed of one task: polls and a stream, under a reference count, merged into its log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable

from rxtasks.errors import (
    AgentNotFound,
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    RxTasksError,
    TaskNotFound,
    TransportError,
    UnsupportedOperation,
    fresh,
)
from rxtasks.feed.cadence import Facts
from rxtasks.feed.limits import TICK, Limits
from rxtasks.feed.poller import Poller
from rxtasks.feed.pump import Pump
from rxtasks.feed.state import Outcome, State
from rxtasks.feed.turn import Turn, TurnState
from rxtasks.models import (
    Connection,
    FatalFault,
    TaskFault,
    TaskInfo,
    TaskStatus,
    TransportFault,
)
from rxtasks.platforms.base import Accepted, Batch, Metadata, Platform, TaskRef, Want
from rxtasks.streams.log import TaskLog
from rxtasks.wire.backoff import Backoff

__all__ = ["Feed"]

_logger = logging.getLogger("rxtasks.feed")

_NEW_TASK = 10.0  # seconds in which a task that was just started may still be unknown
_HOPELESS = (ConfigurationError, UnsupportedOperation, ClientClosed)


class Feed:
    """Watches one task while somebody wants to know.

    Whatever is learned of the task, also by a single `poll`, passes through here into its log.

    Attributes:
        ref: The task; None until it has been started.
        state: What is known of it.
        log: What has been seen of it.
        last_fault: The newest fault.
    """

    def __init__(
        self,
        platform: Platform,
        limits: Limits,
        ref: TaskRef | None,
        *,
        retention: int | None = None,
        idle_limit: float = 60.0,
    ) -> None:
        cadence = limits.cadence
        info = TaskInfo(
            id=ref.id if ref else "",
            agent_id=ref.agent.id if ref and ref.agent else None,
            status=TaskStatus.IDLE if ref else TaskStatus.NOT_STARTED,
        )
        turn = Turn(platform.capabilities, start_timeout=cadence.start_timeout, grace=cadence.grace)
        self.ref = ref
        self.state = State(info, turn, platform.name)
        self.log = TaskLog(self, retention=retention)
        self.last_fault: TaskFault | None = None
        self._platform = platform
        self._limits = limits
        self._users = 0
        self._poller = Poller(limits, self, Backoff(base=0.5, cap=30.0))
        stream_backoff = Backoff(base=0.25, cap=30.0)
        self._pump = Pump(
            limits, self._connect, self, backoff=stream_backoff, idle_limit=idle_limit
        )
        self._waiters: set[asyncio.Future[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._first = True  # no poll of messages has succeeded since the feed was started
        self._streaming = False
        self._stream_over = False
        self._failed = False
        self._refused = 0
        # Times of the loop, in seconds.
        self._dropped_at: float | None = None
        self._started_at = self._sent_at = self._margin_at = float("-inf")
        self._changed_at = self._delta_at = self._settled_at = float("-inf")

    # ------------------------------------------------------------------ the reference count

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the client; raises ClientClosed if that is not open."""
        return self._limits.loop

    @property
    def active(self) -> bool:
        """Whether somebody wants to know, and there is something to watch."""
        wanted = self._users > 0 and self.ref is not None and not self.log.ended
        return wanted and not self._limits.closing

    def retain(self) -> None:
        """Somebody wants to know: start with the first.

        Raises:
            ClientClosed: The client is closed, or being closed.
        """
        self._limits.check_open()
        self._users += 1
        if self._users == 1 or self._failed:
            self._start()

    def release(self) -> None:
        """Somebody has left: stop with the last."""
        self._users -= 1
        if self._users == 0:
            self._stop()

    def _start(self) -> None:
        if not self.active:
            return
        self._changed_at = self._limits.now()
        self._stream_over = self._failed = False
        # A stream that carries everything tells a task that was just started from its beginning,
        # with every state between; a poll would only see where it is by now.
        can = self._platform.capabilities
        streamed = can.stream == "everything" and can.resume == "full" and self._is_new()
        self._first = not streamed
        self._poller.start(self._limits.cadence.reconnecting if streamed else 0.0)
        self._watch()

    def _stop(self) -> None:
        self._poller.stop()
        self._drop_stream()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.state.connection = "idle"

    def _is_new(self) -> bool:
        return self._started_at > float("-inf") and self._pump.cursor is None

    def _give_up(self, error: RxTasksError) -> None:
        """Tell the fault, then end everybody's stream; subscribing again tries anew."""
        self.last_fault = FatalFault(error)
        self._failed = True
        self._stop()
        self.log.append([self.last_fault])
        self.log.fail(error)
        self._wake(error)

    def end(self) -> None:
        """The task was deleted: its streams complete, later ones after the log."""
        self._stop()
        self.log.complete(ended=True)
        self._wake(self._gone())

    def close(self) -> None:
        """The client closes: all streams complete."""
        self._stop()
        self.log.complete()
        self._wake(ClientClosed("the client was closed while this was waited for"))

    def _gone(self) -> TaskNotFound:
        return TaskNotFound(f"the task {self.state.info.id} was ended and deleted")

    # ------------------------------------------------------------------ what the user does

    def sent(self, text: str, accepted: Accepted, *, started: TaskRef | None = None) -> None:
        """A message was accepted; with `started`, it has started the task."""
        now = self._limits.now()
        self._sent_at = self._changed_at = now
        if started is not None:
            self.ref = started
            self._started_at = now
        self.log.reopen()
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
        self._apply(self.state.advance(self._limits.now()))
        self.poke()

    def poke(self) -> None:
        """Something has probably changed: poll now."""
        self._poller.poke(metadata=True, messages=True)

    async def wait_settled(self) -> None:
        """Wait until the latest turn has ended and been reconciled, however long that takes.

        Raises:
            RxTasksError: Watching has ended for a reason.
        """
        if self.log.ended:
            raise self._gone()
        if self.state.turn.state is TurnState.SETTLED:
            return
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self, error: RxTasksError | None = None) -> None:
        for waiter in self._waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(fresh(error))

    # ------------------------------------------------------------------ polls

    async def poll(self, want: Want) -> None:
        """Poll once, and merge what was found."""
        if self.ref is None:
            return
        cadence, now = self._limits.cadence, self._limits.now()
        margin = want.messages and now - self._margin_at >= cadence.margin_every
        mark = self.state.mark(margin=margin, messages=want.messages)
        if mark.margin:
            self._margin_at = now
            want = Want(info=want.info, messages=want.messages, margin=cadence.margin)
        snapshot = await self._platform.snapshot(self.ref, mark.cursor, want)
        self._refused = 0
        first, self._first = self._first, self._first and snapshot.facts is None
        aligned = snapshot.stream_cursor is not None and not self._pump.running
        if aligned:
            self._pump.cursor = snapshot.stream_cursor
        self._apply(
            self.state.snapshot(
                snapshot,
                mark,
                self._limits.now(),
                first=first,
                streaming=self._streaming,
                aligned=aligned,
            )
        )
        if first and not self._first:
            self._watch()  # the stream was waiting for this, whatever it brought

    def poll_failed(self, error: Exception, attempt: int, retry_in: float) -> bool:
        """Tell that a poll failed; False if watching cannot go on."""
        fatal = self._is_fatal(error)
        if fatal is not None:
            self._give_up(fatal)
            return False
        if not isinstance(error, RxTasksError):
            _logger.error("the adapter of %s has failed", self._platform.name, exc_info=error)
        self.fault(TransportFault(source="poll", attempt=attempt, retry_in=retry_in, cause=error))
        return True

    def _is_fatal(self, error: Exception) -> RxTasksError | None:
        if isinstance(error, TaskNotFound | AgentNotFound):
            new = self._limits.now() - self._started_at < _NEW_TASK
            return None if new else error
        if isinstance(error, AuthenticationError):
            self._refused += 1
            renewable = self._platform.capabilities.credentials_renew
            return None if renewable and self._refused == 1 else error
        return error if isinstance(error, _HOPELESS) else None

    def facts(self, what: str) -> Facts:
        """On what the pace of one kind of poll depends at present."""
        now, state = self._limits.now(), self.state
        return Facts(
            what="messages" if what == "messages" else "metadata",
            status=state.info.status,
            settled=state.turn.state is TurnState.SETTLED,
            since_sent=now - self._sent_at,
            since_change=now - self._changed_at,
            stream=self._platform.capabilities.stream if self._streaming else "nothing",
            since_drop=None if self._dropped_at is None else now - self._dropped_at,
            quiet=now - self._delta_at if state.ledger.live else None,
            tells=state.info.updated_at is not None,
        )

    # ------------------------------------------------------------------ the stream

    def _connect(self, cursor: str | None) -> AsyncGenerator[Batch, None]:
        return self._platform.open_stream(self.ref, cursor)

    def stream_opened(self) -> None:
        """A connection stands: polls can slow down."""
        self._streaming = True
        self._dropped_at = None
        self._watch()
        self._poller.repace()

    def stream_batch(self, batch: Batch) -> bool:
        """Take what the stream brought; False asks to go back to where it skipped something."""
        self._apply(self.state.batch(batch, self._limits.now()))
        hole, self.state.ledger.hole = self.state.ledger.hole, None
        return hole is None

    def stream_lost(self, error: Exception | None, attempt: int, retry_in: float) -> None:
        """The connection is gone and will be opened anew."""
        self._streaming = False
        if error is None and self.state.turn.state is TurnState.SETTLED:
            self._drop_stream()
            self._watch()
            return
        if self._dropped_at is None:
            self._dropped_at = self._limits.now()
        cause = error or TransportError("the server ended the stream before the task had ended")
        self.fault(TransportFault(source="stream", attempt=attempt, retry_in=retry_in, cause=cause))
        self._poller.repace()
        # A clean end and a cut look the same: only the task's status tells them apart, so ask.
        self._poller.poke(metadata=True, delay=self._limits.cadence.fastest)

    def stream_over(self) -> None:
        """There will be no stream any more: polls go on alone."""
        self._stream_over = True
        self._watch()
        self._poller.repace()

    def stream_place_free(self) -> None:
        """A place for a stream is free: take it, if it is still wanted."""
        self._watch()

    def _drop_stream(self) -> None:
        self._pump.stop()
        self._streaming = False
        self._dropped_at = None
        self._limits.release_stream(self)

    def _wants_stream(self) -> bool:
        can = self._platform.capabilities
        if self._stream_over or can.stream == "nothing":
            return False
        if self._first and can.resume != "none":
            return False  # the first poll says what is history, and where the stream begins
        if self.state.turn.state is TurnState.SETTLED:
            # Held a little longer for a follow-up, but not opened for one.
            lasts = self._limits.now() < self._settled_at + self._limits.cadence.linger - TICK
            return lasts and self._pump.running
        return self.state.turn.state is not TurnState.UNKNOWN

    # ------------------------------------------------------------------ what follows

    def _apply(self, outcome: Outcome) -> None:
        """Append what is new to the log, and do what follows from it."""
        now = self._limits.now()
        if outcome.began:
            self.log.reopen()
        if outcome.history:
            self.log.append(outcome.history, history=True)
        if outcome.values:
            self._changed_at = now
            newest = outcome.values[-1]
            if isinstance(newest, list):
                self._deltas_came(now)
            self.log.append(outcome.values)
        if outcome.settled:
            self._settled_at = now
            self.log.settle()
            self._wake()
            self._poller.repace()
        if outcome.poll or outcome.reconcile:
            self.poke()
        elif outcome.switched and self._carries_deltas_only():
            self._poller.poke(messages=True)
        if not (outcome.values and isinstance(outcome.values[-1], list)):
            self._watch()

    def _deltas_came(self, now: float) -> None:
        """Note the time; when a text has gone quiet, its final form is looked for."""
        self._delta_at = now
        if self._carries_deltas_only() and "quiet" not in self._timers:
            self._timer("quiet", now + self._limits.cadence.quiet, self._gone_quiet)

    def _carries_deltas_only(self) -> bool:
        return self._platform.capabilities.stream == "deltas"

    def _gone_quiet(self) -> None:
        due = self._delta_at + self._limits.cadence.quiet
        if self._limits.now() < due - TICK:
            self._timer("quiet", due, self._gone_quiet)
        elif self.state.ledger.live:
            self._poller.poke(messages=True)

    def fault(self, fault: TransportFault) -> None:
        """Tell a fault that will be made up for."""
        self.last_fault = fault
        self.log.append([fault])
        self._watch()

    def _watch(self) -> None:
        """Bring the stream, the timers and the connection in line with the state."""
        if not self.active:
            return
        if self._wants_stream():
            if not self._pump.running and self._limits.acquire_stream(self):
                self._pump.start()
        elif self._pump.running or self._streaming:
            self._drop_stream()
        else:
            self._limits.release_stream(self)
        self._arm_deadline()
        connection = self._connection()
        if connection != self.state.connection:
            self.state.connection = connection
            self._apply(self.state.advance(self._limits.now()))

    def _connection(self) -> Connection:
        if self._streaming:
            return "live"
        if self._dropped_at is not None or self._poller.failing:
            return "reconnecting"
        settled = self.state.turn.state is TurnState.SETTLED
        return "idle" if settled else "polling"

    def _arm_deadline(self) -> None:
        deadline = self.state.turn.deadline()
        if deadline is not None:
            self._timer("deadline", deadline, self._deadline_passed)
        if self._pump.running and self.state.turn.state is TurnState.SETTLED:
            self._timer("linger", self._settled_at + self._limits.cadence.linger, self._watch)

    def _deadline_passed(self) -> None:
        self._apply(self.state.advance(self._limits.now()))

    def _timer(self, name: str, when: float, callback: Callable[[], None]) -> None:
        if name in self._timers:
            self._timers.pop(name).cancel()

        def fire() -> None:
            self._timers.pop(name, None)
            callback()

        self._timers[name] = self._limits.at(when, fire)
