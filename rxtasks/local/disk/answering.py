"""Does what other processes ask of the owner of a task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rxtasks.errors import RxTasksError
from rxtasks.local.disk.inbox import AGAIN, Cancel, Command, End, Outcome, Respond, Send
from rxtasks.local.inputs import Said
from rxtasks.local.state import TaskState

__all__ = ["Answering"]

if TYPE_CHECKING:
    from rxtasks.local.disk.host import DurableHost


class Answering:
    """Runs one asyncio task for each command that is under way."""

    def __init__(self, host: DurableHost) -> None:
        self._host = host
        self._running: set[asyncio.Task[None]] = set()

    def perform(self, command: Command) -> None:
        """Do what is asked; what comes of it is written."""
        # Not the loop's task factory: an eager one would run this in the middle of the news.
        running = asyncio.Task(self._answer(command), name=f"rxtasks.local {command.id}")
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def aclose(self) -> None:
        """Give up what is under way: who has asked finds nobody, and asks somebody else."""
        for running in self._running:
            running.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _answer(self, command: Command) -> None:
        try:
            outcome = await self._performed(command)
        except RxTasksError as error:
            outcome = Outcome.failed(error)
        if outcome is not None:
            self._host.journal.answer(command.id, outcome)

    async def _performed(self, command: Command) -> Outcome | None:
        """Do it, and say what came of it; None: that is written already."""
        host = self._host
        state = host.store.peek(command.task)
        if state is None or state not in host.journal:
            return AGAIN
        match command.body:
            case Send(said):
                return await self._accepted(state, said, command.id)
            case Cancel():
                await host.runner.cancel(state)
            case Respond(request_id, answer):
                host.runner.respond(state, request_id, answer)
            case End():
                await host.end(state)
        return Outcome("done")

    async def _accepted(self, state: TaskState, said: Said, command: str) -> Outcome | None:
        host = self._host
        known = await host.known(said)
        if known is not None:
            return Outcome("done", turn=known.turn)
        if state not in host.journal:
            return AGAIN
        # The outcome is noted without a wait in between: either both are written, or none.
        await host.accepted(
            state,
            said,
            lambda use: host.journal.answer(command, Outcome("done", turn=use.turn)),
        )
        return None
