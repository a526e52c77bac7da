"""Runs the turns of all tasks: one at a time in each task, as asyncio tasks of this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial

from rxtasks.arguments import check_seconds
from rxtasks.local.agents import Agent
from rxtasks.local.limits import Allowance, Limits, Slots
from rxtasks.local.state import TaskState
from rxtasks.local.turn import Turn, no_request

__all__ = ["Runner"]

_GRACE = 5.0  # seconds that a cancelled agent may take; then its task goes on without it


class Runner:
    """Holds what runs; what came of it is in the `TaskState`."""

    def __init__(self, agents: Mapping[str, Agent], limits: Limits) -> None:
        self._agents = agents
        self._limits = limits
        self._is_limited = limits != Limits()
        self._slots = Slots(limits.max_running)
        self._turns: dict[str, Turn] = {}
        self._running: dict[Turn, asyncio.Task[None]] = {}
        self._timers: dict[Turn, asyncio.TimerHandle] = {}

    def wake(self, state: TaskState) -> None:
        """Begin the next turn of a task, if one waits and none runs."""
        if state.id in self._turns or state.ended >= state.accepted:
            return
        turn = Turn(state, self._agents[state.agent_id])
        self._turns[state.id] = turn
        if self._is_limited:
            expire = partial(self._expire, turn)
            turn.allowance = Allowance(self._slots, self._limits.time_limit, expire)
        # Not the loop's task factory: an eager one would run the agent before this returns.
        running = asyncio.Task(turn.run(), name=f"rxtasks.local {state.id} turn {turn.number}")
        self._running[turn] = running
        running.add_done_callback(partial(self._done, turn))

    async def cancel(self, state: TaskState) -> None:
        """Cancel the running turn of a task and those that wait, and wait until that is written.

        It takes 5 seconds at most. An agent that has not ended by then is left alone:
        nothing that it yields is taken any more. Giving up waiting changes nothing of that.
        """
        turn = self._turns.get(state.id)
        if turn is not None:
            self._cancel(turn)
            await turn.ended.wait()

    async def end(self, state: TaskState) -> None:
        """Cancel all turns of a task that was removed; its log closes when that is written."""
        if state.id in self._turns:
            await self.cancel(state)
        else:
            state.log.close()

    def respond(self, state: TaskState, request_id: str, answer: str) -> None:
        """Answer a question of a running agent.

        Raises:
            ConfigurationError: There is no such question, or it does not take this answer.
        """
        turn = self._turns.get(state.id)
        if turn is None:
            raise no_request(state, request_id)
        turn.respond(request_id, answer)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing runs, for so many seconds at most; nothing is cancelled.

        Raises:
            ConfigurationError: That is no number of seconds.
        """
        check_seconds("the time to drain", seconds, zero=True, endless=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._running:
                    await asyncio.wait(tuple(self._running.values()))

    def forsake(self, state: TaskState) -> None:
        """Stop the turn of a task that belongs to somebody else now; nothing is written of it."""
        turn = self._turns.pop(state.id, None)
        if turn is not None:
            turn.forsake()
            self._running[turn].cancel()

    async def aclose(self) -> None:
        """Cancel all turns and wait until they have ended, for 5 seconds at most."""
        turns = tuple(self._running)
        for turn in turns:
            if turn.ended.is_set():  # an agent that was left alone gets one more chance to hear
                self._running[turn].cancel()
            else:
                self._cancel(turn)
        for turn in turns:
            await turn.ended.wait()

    def _cancel(self, turn: Turn) -> None:
        if turn.ended.is_set():
            return
        turn.mark_cancelled()
        self._stop(turn)

    def _expire(self, turn: Turn) -> None:
        turn.mark_overdue(self._limits.time_limit or 0.0)
        self._stop(turn)

    def _stop(self, turn: Turn) -> None:
        if turn in self._timers:
            return
        loop = asyncio.get_running_loop()
        self._timers[turn] = loop.call_later(_GRACE, partial(self._abandon, turn))
        self._running[turn].cancel()

    def _abandon(self, turn: Turn) -> None:
        self._finish(turn, None)
        self._running[turn].cancel()

    def _done(self, turn: Turn, running: asyncio.Task[None]) -> None:
        del self._running[turn]
        error = asyncio.CancelledError() if running.cancelled() else running.exception()
        self._finish(turn, error)

    def _finish(self, turn: Turn, error: BaseException | None) -> None:
        timer = self._timers.pop(turn, None)
        if timer is not None:
            timer.cancel()
        if turn.ended.is_set():
            return
        turn.close(error)
        del self._turns[turn.state.id]
        if turn.state.removed:
            turn.state.log.close()
        else:
            self.wake(turn.state)
