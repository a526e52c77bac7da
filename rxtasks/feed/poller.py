"""The poll loop of one task: a timer while it waits, an asyncio task only while it polls."""

from __future__ import annotations

import asyncio
from typing import Protocol

from rxtasks.errors import PlatformError, RateLimited, TransportError
from rxtasks.feed.cadence import TICK, Facts, What
from rxtasks.feed.faults import longest_wait
from rxtasks.feed.limits import Limits
from rxtasks.platforms.base import Want
from rxtasks.wire.backoff import Backoff

__all__ = ["Polled", "Poller"]

_TOGETHER = 0.1  # seconds: polls that are due so close to each other are made as one
_BACKOFF = Backoff(base=0.5, cap=30.0)
_WORTH_IT = 0.25  # share of its delay by which a poll is made earlier, to go with another
_LONGEST_POLL = 120.0  # seconds: a poll of many pages may take more than one request's time-out


class Polled(Protocol):
    """What a poller polls for. All but `poll` are synchronous."""

    async def poll(self, want: Want) -> None:
        """Poll once, and merge what was found."""
        ...

    def facts(self, what: What) -> Facts:
        """On what the pace of one kind of poll depends."""
        ...

    def poll_failed(self, error: Exception, attempt: int, retry_in: float) -> bool:
        """Take note that a poll failed; False ends the polling."""
        ...


class Poller:
    """Polls metadata and messages, each at its own pace."""

    __slots__ = (
        "_armed_for",
        "_attempt",
        "_limits",
        "_messages_asked",
        "_messages_at",
        "_metadata_asked",
        "_metadata_at",
        "_polled",
        "_running",
        "_task",
        "_timer",
        "_waiting",
    )

    def __init__(self, limits: Limits, polled: Polled) -> None:
        self._limits = limits
        self._polled = polled
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0
        self._task: asyncio.Task[None] | None = None
        self._running = False
        self._waiting = False  # for a place
        self._attempt = 0
        self._metadata_at = self._messages_at = float("inf")
        # What was asked for does not wait longer because the pace has changed meanwhile.
        self._metadata_asked = self._messages_asked = False

    @property
    def failing(self) -> bool:
        """Whether the last poll failed."""
        return self._attempt > 0

    def start(self, delay: float) -> None:
        """Begin to poll, both kinds after a delay in seconds."""
        self._running = True
        self._attempt = 0
        self._metadata_at = self._messages_at = self._limits.now() + delay
        self._metadata_asked = self._messages_asked = delay <= 0.0
        self._arm()

    def stop(self) -> None:
        """Stop: one loop turn later nothing of it is left."""
        self._running = self._waiting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def poke(self, *, metadata: bool = False, messages: bool = False, delay: float = 0.0) -> None:
        """Make polls due at once (or after a delay), unless they are due sooner."""
        if not self._running:
            return
        due = max(self._limits.now() + delay, self._limits.budget.not_before)
        if metadata:
            self._metadata_at = min(self._metadata_at, due)
            self._metadata_asked = True
        if messages:
            self._messages_at = min(self._messages_at, due)
            self._messages_asked = True
        self._arm()

    def afresh(self) -> None:
        """Poll now; a poll that is under way is given up, since it began too early."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self.poke(metadata=True, messages=True)

    def repace(self) -> None:
        """Work out anew when polls are due: something changed on which the pace depends.

        A poll that somebody has asked for and that has not begun stays due, or gets due sooner.
        """
        if self._running and self._attempt == 0:
            metadata_at, messages_at = self._due("metadata"), self._due("messages")
            if not self._metadata_asked or metadata_at < self._metadata_at:
                self._metadata_at = metadata_at
            if not self._messages_asked or messages_at < self._messages_at:
                self._messages_at = messages_at
            self._arm()

    def hasten(self) -> None:
        """Something changed: polls may be due sooner, and none gets due later."""
        if self._running and self._attempt == 0:
            self._metadata_at = min(self._metadata_at, self._due("metadata"))
            self._messages_at = min(self._messages_at, self._due("messages"))
            self._arm()

    def _due(self, what: What) -> float:
        return self._limits.budget.when(
            self._limits.now(), self._limits.cadence.next_delay(self._polled.facts(what))
        )

    def _arm(self) -> None:
        due = self._due_together()
        if self._timer is not None:
            if self._armed_for == due:
                return  # a loop keeps cancelled timers for a while
            self._timer.cancel()
            self._timer = None
        if due < float("inf"):
            self._timer, self._armed_for = self._limits.at(due, self._fire), due

    def _due_together(self) -> float:
        """Say when the next poll is due, and let the other one join it if it is due soon after."""
        if not self._running or self._waiting or self._task is not None:
            return float("inf")
        due, later = sorted((self._metadata_at, self._messages_at))
        if due < float("inf") and later - due <= _WORTH_IT * (due - self._limits.now()):
            self._metadata_at = self._messages_at = due
        return due

    def _fire(self) -> None:
        self._timer = None
        if self._held_back():
            return
        self._waiting = True
        self._limits.submit(self._launch)

    def _held_back(self) -> bool:
        """Whether another task was told to wait meanwhile; then this one waits as long."""
        not_before = self._limits.budget.not_before
        if self._limits.now() >= not_before - TICK:
            return False
        self._timer, self._armed_for = self._limits.at(not_before, self._fire), not_before
        return True

    def _launch(self) -> bool:
        if not (self._running and self._waiting):
            return False
        self._waiting = False
        if self._held_back():  # while it waited for a place
            return False
        together = self._limits.now() + _TOGETHER
        want = Want(
            info=self._metadata_at <= together,
            messages=self._messages_at <= together,
        )
        if not (want.info or want.messages):  # put off while it waited for the place
            self._arm()
            return False
        self._task = self._limits.spawn(self._poll(want))
        # Not in a `finally` of the poll: one that is cancelled before its first step has none.
        self._task.add_done_callback(lambda _: self._limits.polled())
        return True

    async def _poll(self, want: Want) -> None:
        me = asyncio.current_task()
        if want.info:
            self._metadata_at, self._metadata_asked = float("inf"), False
        if want.messages:
            self._messages_at, self._messages_asked = float("inf"), False
        error = await self._attempt_poll(want)
        if self._task is not me:
            return  # stopped meanwhile
        self._task = None
        if error is None:
            self._answered(want)
        elif not self._failed(error, want):
            return
        self._arm()

    async def _attempt_poll(self, want: Want) -> Exception | None:
        limit = asyncio.timeout(_LONGEST_POLL)
        try:
            async with limit:
                await self._polled.poll(want)
        except TimeoutError as error:
            if limit.expired():
                return TransportError(f"the poll took longer than {_LONGEST_POLL:.0f} s")
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and tried again
            return error
        return None

    def _answered(self, want: Want) -> None:
        self._attempt = 0
        self._limits.budget.answered()
        # What became due while this poll was under way stays due.
        if want.info:
            self._metadata_at = min(self._metadata_at, self._due("metadata"))
        if want.messages:
            self._messages_at = min(self._messages_at, self._due("messages"))

    def _failed(self, error: Exception, want: Want) -> bool:
        now = self._limits.now()
        self._attempt += 1
        retry_after = error.retry_after if isinstance(error, PlatformError) else None
        if isinstance(error, RateLimited):
            self._limits.budget.limited(now, retry_after)
        delay = _BACKOFF.delay(self._attempt, retry_after, cap=longest_wait(error))
        due = max(now + delay, self._limits.budget.not_before)
        if not self._polled.poll_failed(error, self._attempt, due - now):
            self.stop()
            return False
        # The other kind of poll would fail, too: it waits along.
        if want.info or self._metadata_at < due:
            self._metadata_at = due
        if want.messages or self._messages_at < due:
            self._messages_at = due
        return True
