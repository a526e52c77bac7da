"""One turn: an agent is run, and what it yields becomes what happened in its task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import cast

from msgspec.structs import replace

from rxtasks.errors import ConfigurationError
from rxtasks.local.agents import Agent
from rxtasks.local.context import Context, check_answer
from rxtasks.local.limits import Allowance
from rxtasks.local.state import TaskState
from rxtasks.local.yields import Said, Spending, Thinking, ToolRun, Typing, Yield, new_id, plain
from rxtasks.models import (
    InputRequest,
    TaskStatus,
    ToolMessage,
    ToolStatus,
)

__all__ = ["Turn", "no_request"]

_log = logging.getLogger("rxtasks.local")

_BREATH = 64
"""An agent that never waits lets the loop run after so many things that it yielded."""

_RANK = {
    ToolStatus.PENDING: 0,
    ToolStatus.RUNNING: 1,
    ToolStatus.COMPLETED: 2,
    ToolStatus.ERROR: 2,
    ToolStatus.CANCELLED: 2,
}

_MAY_YIELD = (
    "an agent may yield what these return: thinking(), typing(), message(), tool_pending(), "
    "tool_started(), tool_finished(), tool_failed() and usage()"
)


class Turn:
    """One run of an agent, from when it may begin until it has ended, been cancelled or failed.

    Attributes:
        state: The task.
        number: Which turn of the task this is, from 1.
        ended: Set when everything of this turn is in the log.
        allowance: Its slot and its time, if they are limited.
    """

    def __init__(self, state: TaskState, agent: Agent) -> None:
        self.state = state
        self.number: int = state.ended + 1
        self.ended: asyncio.Event = asyncio.Event()
        self.allowance: Allowance | None = None
        self._overdue: TimeoutError | None = None
        self._agent = agent
        self._cancelled_through = 0
        self._answers: dict[str, asyncio.Future[str]] = {}
        said = state.input(self.number)
        self._context = Context(
            said.text,
            history=state.history(self.number),
            attachments=said.attachments,
            task_id=state.id,
            agent_id=state.agent_id,
            options=state.options,
            ask=self._ask,
            is_cancelled=lambda: self.cancelled or self._overdue is not None,
        )

    @property
    def cancelled(self) -> bool:
        """Whether this turn was cancelled, be it that it goes on for the moment."""
        return self._cancelled_through > 0

    async def run(self) -> None:
        """Run the agent to its end, as soon as its allowance lets it begin."""
        if self.allowance is not None:
            await self.allowance.begin()
        self.state.begin_turn()
        # An agent is an async generator function: that was checked when the platform was made.
        source = cast("AsyncGenerator[Yield, None]", self._agent(self._context))
        count = 0
        try:
            async for item in source:
                if self.ended.is_set():
                    return
                self._take(item)
                count += 1
                if count % _BREATH == 0:
                    await asyncio.sleep(0)
        except SystemExit as error:  # it would end the process, and everybody's tasks with it
            raise RuntimeError(f"the agent called sys.exit({error.code!r})") from error
        finally:
            await source.aclose()

    def mark_cancelled(self) -> None:
        """Count this turn, and all that wait at this moment, as cancelled."""
        self._cancelled_through = self.state.accepted

    def mark_overdue(self, seconds: float) -> None:
        """Count this turn as failed, since it has taken longer than it may."""
        self._overdue = TimeoutError(f"the turn has taken longer than its {seconds:g} seconds")

    def forsake(self) -> None:
        """Write nothing any more: the task belongs to somebody else."""
        self.ended.set()
        self._let_go()

    # ------------------------------------------------------------------ what was yielded

    def _take(self, item: object) -> None:
        state = self.state
        match item:
            case Typing(text):
                if text:
                    state.type(text)
            case Thinking(text):
                if text:
                    state.think(text)
            case ToolRun():
                self._take_tool(item)
            case Said(text):
                state.say(text)
            case Spending(used, cost):
                state.spend(used, cost)
            case _:
                kind = type(item).__name__
                raise TypeError(
                    f"agent {state.agent_id!r} yielded something of type {kind}; {_MAY_YIELD}"
                )

    def _take_tool(self, run: ToolRun) -> None:
        old = self.state.find(run.id)
        new = ToolMessage(
            id=run.id,
            name=run.name,
            tool_id=run.tool_id,
            status=run.status,
            params=run.params,
            output=run.output,
            errors=run.errors,
            sub_agent_id=run.sub_agent_id,
            sub_task_id=run.sub_task_id,
        )
        if isinstance(old, ToolMessage):
            if replace(new, created_at=old.created_at, revision=old.revision) == old:
                return
            if old.status.is_final or _RANK[run.status] < _RANK[old.status]:
                raise ValueError(
                    f"the run of tool {run.name!r} is {old.status.value}, "
                    f"it cannot be {run.status.value} after that"
                )
        self.state.put(new)

    # ------------------------------------------------------------------ questions

    async def _ask(self, prompt: str, options: tuple[str, ...], kind: str) -> str:
        if self.ended.is_set():
            raise ConfigurationError("nobody can be asked: the turn has ended")
        plain([prompt, *options], "a question")
        request = InputRequest(new_id("req"), kind, prompt, options)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = answer
        requests = (*self.state.info.requests, request)
        self.state.update(status=TaskStatus.ACTION, requests=requests)
        if self.allowance is not None:
            self.allowance.pause()
        try:
            return await answer
        finally:
            self._withdraw(request.id)

    def respond(self, request_id: str, answer: str) -> None:
        """Answer a question of the agent.

        Raises:
            ConfigurationError: There is no such question, or it does not take this answer.
        """
        open_requests = self.state.info.requests
        request = next((each for each in open_requests if each.id == request_id), None)
        if request is None:
            raise no_request(self.state, request_id)
        check_answer(request, answer)
        waiting = self._answers[request_id]
        self._withdraw(request_id)
        if not waiting.done():
            waiting.set_result(answer)

    def _withdraw(self, request_id: str) -> None:
        if self._answers.pop(request_id, None) is None or self.ended.is_set():
            return
        left = tuple(each for each in self.state.info.requests if each.id != request_id)
        status = TaskStatus.ACTION if left else TaskStatus.RUNNING
        self.state.update(status=status, requests=left)
        if self.allowance is not None and not left:
            self.allowance.resume()

    # ------------------------------------------------------------------ the end

    def close(self, error: BaseException | None = None) -> None:
        """Write down how this turn ended; only the first call does anything.

        Args:
            error: What the agent raised.
        """
        if self.ended.is_set():
            return
        self.ended.set()
        self._let_go()
        if self._overdue is not None:
            error = self._overdue
        elif isinstance(error, asyncio.CancelledError):
            if not self.cancelled:  # not by us, but by the end of the loop, say
                self.mark_cancelled()
        elif error is not None:
            _log.warning(
                "agent %r failed in task %s", self.state.agent_id, self.state.id, exc_info=error
            )
        if self.cancelled:
            self.state.end_turns(self._cancelled_through, TaskStatus.CANCELLED)
        elif error is not None:
            self.state.end_turns(self.number, TaskStatus.ERROR, (_reason(error),))
        else:
            self.state.end_turns(self.number, TaskStatus.COMPLETED)

    def _let_go(self) -> None:
        for answer in self._answers.values():
            answer.cancel()
        self._answers.clear()
        if self.allowance is not None:
            self.allowance.end()


def no_request(state: TaskState, request_id: str) -> ConfigurationError:
    """Make the error for a request that is not open (any more)."""
    known = ", ".join(repr(each.id) for each in state.info.requests) or "none"
    return ConfigurationError(
        f"task {state.id} has no open request {request_id!r} (any more); open: {known}"
    )


def _reason(error: BaseException) -> str:
    text = str(error).encode(errors="replace").decode()
    name = type(error).__name__
    return f"{name}: {text}" if text else name
