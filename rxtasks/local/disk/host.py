"""The embedded platform whose tasks are in a file, which it may share with other processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from rxtasks.errors import RxTasksError
from rxtasks.local.agents import Agent
from rxtasks.local.disk.answering import Answering
from rxtasks.local.disk.inbox import AGAIN, Body, Cancel, End, Outcome, Respond, Send
from rxtasks.local.disk.journal import Journal
from rxtasks.local.disk.link import Link
from rxtasks.local.disk.neighbours import Neighbours
from rxtasks.local.disk.news import Loop
from rxtasks.local.disk.outbox import Report
from rxtasks.local.disk.posting import Posting, Reporter
from rxtasks.local.disk.rows import micros
from rxtasks.local.host import Host
from rxtasks.local.inputs import Said, report_id
from rxtasks.local.limits import Limits
from rxtasks.local.state import TaskState
from rxtasks.local.store import KeyUse, Query, check_use
from rxtasks.local.turn import no_request
from rxtasks.models import TaskInfo

__all__ = ["DurableHost"]

T = TypeVar("T")

_log = logging.getLogger("rxtasks.local")


class DurableHost(Host):
    """What `Host` does, with tasks that outlive the process.

    Attributes:
        journal: What is ours, and how it is written.
    """

    lasts = True

    def __init__(
        self,
        agents: Mapping[str, Agent],
        clock: Callable[[], datetime],
        limits: Limits,
        *,
        path: Path,
        owner_timeout: float,
        reporter: Reporter,
    ) -> None:
        super().__init__(agents, clock, limits)
        self._reporter = reporter
        self._path = path
        self._timeout = owner_timeout
        self._gate = asyncio.Lock()
        self._is_open = False
        self._link: Link
        self._posting: Posting
        self.journal: Journal
        self._answering = Answering(self)
        self._others = Neighbours(self.store, self._answering.perform)
        self._pending: dict[str, KeyUse] = {}

    # ------------------------------------------------------------------ clients

    async def enter(self) -> None:
        """Let one more client in; the first one opens the file.

        Raises:
            ConfigurationError: A client on another loop is in, or the file cannot be used.
        """
        if self._loop is not asyncio.get_running_loop() and not self._clients:
            self._gate = asyncio.Lock()  # of this loop, and not of another one before
        await super().enter()
        try:
            async with self._gate:
                if not self._is_open:
                    await self._open()
        except BaseException:
            self._clients -= 1
            raise

    async def leave(self) -> None:
        """Let one client out; the last one ends what runs, and closes the file."""
        try:
            await super().leave()
        finally:
            async with self._gate:
                if self._is_open and not self._clients:
                    self._is_open = False
                    await self._close()

    async def _open(self) -> None:
        loop = Loop(
            now=self.store.now,
            write=self._reporter.written,
            learn=self._others.learn,
            doubt=self._doubt,
            deliver=self._deliver if self._reporter.possible else None,
        )
        self._link = Link(self._path, timeout=self._timeout, loop=loop)
        self._others.link = self._link
        self._posting = Posting(self._link, self._reporter)
        self.journal = Journal(self._link, self._lose)
        await self._link.open()
        self._is_open = True

    async def _close(self) -> None:
        await self._answering.aclose()
        try:
            try:
                await self.journal.aclose()
                await self._posting.aclose()
            finally:
                await self._link.aclose()
        except RxTasksError as error:
            _log.warning("%s", error)  # a client is leaving: it has nothing to decide any more
        finally:
            self._others.clear()
            self._pending.clear()

    # ------------------------------------------------------------------ reading

    async def list(self, query: Query) -> Sequence[TaskInfo]:
        """List tasks, also those of other processes."""
        await self.journal.commit()
        return await self._link.call(self._link.file.listed, query)

    def following(self, state: TaskState) -> AbstractContextManager[None]:
        """Keep the log of a task as new as the file is while the block runs."""
        return self._others.following(state)

    async def _get(self, task_id: str) -> TaskState:
        return await self._others.fresh(task_id)

    # ------------------------------------------------------------------ starting and sending

    def accept(self, state: TaskState, said: Said) -> KeyUse:
        """Take a message, to be written along with its key."""
        use = KeyUse(said.digest, state.id, state.accept(said.text, said.files))
        if said.key is not None:
            self._pending[said.key] = use
        self.journal.take(said.key, use)
        return use

    async def _start(self, agent_id: str, options: Mapping[str, Any], said: Said) -> KeyUse:
        known = await self.known(said)
        if known is not None:
            return await self._reported(known, said.webhook)
        state = self.store.make(agent_id, options)
        begun = self.journal.begin(state, _report(state.id, said.webhook))
        use = self.accept(state, said)

        def go_on(other: KeyUse | None) -> None:
            self._pending.pop(said.key or "", None)
            if other is None:
                self.store.add(state)
                self.runner.wake(state)
            else:
                self.journal.disown(state)

        other = await self._committed(begun, go_on)
        if other is None:
            return use
        return await self._reported(check_use(said.key, said.digest, other), said.webhook)

    async def _reported(self, use: KeyUse, webhook: str | None) -> KeyUse:
        """Have the end of a task delivered whose start was repeated under its key."""
        report = _report(use.task_id, webhook)
        if report is not None:
            await self._link.call(self._link.file.report, use.task_id, report)
            self._link.worker.nudge()
        return use

    async def _send(self, state: TaskState, said: Said) -> KeyUse:
        while True:
            with self.journal.holding(state):
                if state.owned or await self._claim(state):
                    use = await self.known(said)
                    if use is not None:
                        return use
                    if state.owned:
                        return await self.accepted(state, said)
                    continue
            outcome = await self._ask(state, Send(said))
            if outcome is not None:
                return KeyUse(said.digest, state.id, outcome.turn)

    async def accepted(
        self, state: TaskState, said: Said, then: Callable[[KeyUse], None] = lambda _: None
    ) -> KeyUse:
        """Take a message in a task that is ours, and wait until it is written.

        Args:
            state: The task.
            said: The message.
            then: Called at once: what it notes is written along.
        """
        use = self.accept(state, said)
        then(use)

        def go_on(_: None) -> None:
            self._pending.pop(said.key or "", None)
            self.runner.wake(state)

        await self._committed(self.journal.committed(state), go_on)
        return use

    async def _committed(self, done: asyncio.Future[T], go_on: Callable[[T], None]) -> T:
        """Go on as soon as something is written, also if nobody waits for it any more."""
        try:
            result = await self.journal.patiently(done)
        except BaseException:
            done.add_done_callback(_if_done(go_on))
            raise
        # Here, so that whoever waits is told before anything else happens.
        go_on(result)
        return result

    async def _claim(self, state: TaskState) -> bool:
        self.check_agent(state.agent_id)
        return await self._others.claim(state, self.journal.own)

    async def known(self, said: Said) -> KeyUse | None:
        """Look up what the key was used for, also by somebody who has not written it yet."""
        if said.key is None:
            return None
        while True:
            use = await self._link.call(self._link.file.use_of, said.key)
            if use is not None:
                return check_use(said.key, said.digest, use)
            if said.key not in self._pending:
                return None
            await self.journal.commit()

    # ------------------------------------------------------------------ everything else

    async def cancel(self, state: TaskState) -> None:
        """Cancel the running turn of a task, wherever it runs, and those that wait."""
        if state.owned or await self._ask(state, Cancel()) is None:
            await super().cancel(state)

    async def respond(self, state: TaskState, request_id: str, answer: str) -> None:
        """Answer a question of a running agent, wherever it runs."""
        if state.owned:
            await super().respond(state, request_id, answer)
        elif await self._ask(state, Respond(request_id, answer)) is None:
            raise no_request(await self.find(state.id), request_id)

    async def end(self, state: TaskState) -> None:
        """Delete a task, wherever it runs."""
        while not state.owned:
            if await self._link.call(self._link.file.delete, state.id):
                self._others.gone(state)
                return
            if await self._ask(state, End()) is not None:
                return
        self.store.remove(state.id)
        self.journal.disown(state)
        deleted = asyncio.ensure_future(self._link.call(self._link.file.delete, state.id))
        await self.runner.end(state)
        await deleted

    async def prune(self, before: datetime) -> int:
        """Delete the tasks at rest that have not changed since a moment; say how many."""
        await self.journal.commit()
        gone = await self._link.call(self._link.file.prune, micros(before))
        for state in filter(None, map(self.store.peek, gone)):
            self._others.gone(state)
        return len(gone)

    # ------------------------------------------------------------------ other processes

    async def _ask(self, state: TaskState, body: Body) -> Outcome | None:
        """Ask the owner of a task for something; None: it has none, or is another one by now."""
        outcome = await self._others.ask(state.id, body)
        if outcome is None or outcome == AGAIN:
            return None
        outcome.check()
        return outcome

    def _doubt(self) -> None:
        self.journal.affirm()

    def _deliver(self, due: Sequence[Report]) -> None:
        self._posting.take(due)

    def _lose(self, task: str, why: str) -> None:
        self._pending = {key: use for key, use in self._pending.items() if use.task_id != task}
        state = self.store.peek(task)
        if state is None:
            return
        _log.warning("task %s %s", task, why)
        self.journal.disown(state)
        self.runner.forsake(state)
        self._others.gone(state)


def _report(task: str, webhook: str | None) -> tuple[str, str] | None:
    return None if webhook is None else (report_id(task, 1, webhook), webhook)


def _if_done(go_on: Callable[[T], None]) -> Callable[[asyncio.Future[T]], None]:
    def settle(done: asyncio.Future[T]) -> None:
        if done.exception() is None:
            go_on(done.result())

    return settle
