"""The platform: what is asked of it is done by `rxtasks.local`, and its logs become facts."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rxtasks.arguments import check_is, check_path, check_seconds
from rxtasks.errors import UnsupportedOperation
from rxtasks.local.agents import Agent, AgentInfo, checked, described
from rxtasks.local.host import Host
from rxtasks.local.limits import Limits
from rxtasks.local.state import TaskState
from rxtasks.local.store import Query, utc_now
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.base import (
    Accepted,
    AgentRef,
    Batch,
    Capabilities,
    Listed,
    Snapshot,
    TaskRef,
    Want,
)
from rxtasks.platforms.known import metadata_of
from rxtasks.platforms.local.facts import accepted, check_kind, facts_since, item, position_of
from rxtasks.platforms.local.reports import Reports

if TYPE_CHECKING:
    from rxtasks.webhooks import WebhookSender
    from rxtasks.wire.http import HttpOptions

__all__ = ["Local"]

_PAGE = 50
_SIGN_OF_LIFE = 15.0  # seconds: a stream that is silent for longer counts as lost some time


class Local:
    """Runs agents that are async generator functions, in this process.

    Several clients may share one `Local`: its tasks belong to it, not to the client that started
    them. When the last client leaves, what still runs is cancelled; the tasks stay, so a client
    that comes later finds them.

    With a `path`, tasks are in a file and outlive the process. What `run` and `send` have returned
    for is in it; what was typed, a moment later. Several processes of one machine may use the same
    file: each of them finds, follows and steers the tasks of the others. A turn whose process is
    gone ends with the status `error`, "interrupted".
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        *,
        path: str | os.PathLike[str] | None = None,
        owner_timeout: float = 10.0,
        max_running: int | None = None,
        time_limit: float | None = None,
        clock: Callable[[], datetime] = utc_now,
        webhooks: WebhookSender | None = None,
    ) -> None:
        """Make the platform; nothing runs and no file is opened before a client enters.

        Args:
            agents: Async generator functions by the names that they go by.
            path: The file that holds the tasks, made if there is none; None: they are in memory.
            owner_timeout: Seconds without a sign of life after which a process that shares the file
                counts as gone.
            max_running: How many turns run at once; the others wait with the status `queued`. One
                that waits for an answer does not count.
            time_limit: Seconds that a turn may take before it ends with the status `error`; waiting
                for a slot or an answer does not count.
            clock: Gives the present as an aware datetime.
            webhooks: Delivers what `run(..., webhook=url)` asks for, and is closed with the client.

        Raises:
            ConfigurationError: Something in `agents` is no agent, or an argument is no such thing.
        """
        self._agents = checked(agents)
        self._reports = Reports(webhooks)
        self._capabilities = Capabilities(
            stream="everything", resume="full", idempotency=True, webhooks=webhooks is not None
        )
        limits = Limits(max_running=max_running, time_limit=time_limit)
        check_seconds("owner_timeout", owner_timeout)
        self._host = Host(self._agents, clock, limits)
        if path is None:
            return
        from rxtasks.local.disk.host import DurableHost  # noqa: PLC0415 - who needs no SQLite

        self._host = DurableHost(
            self._agents,
            clock,
            limits,
            path=check_path("path", path),
            owner_timeout=owner_timeout,
            reporter=self._reports,
        )

    @property
    def name(self) -> str:
        """What the platform is called."""
        return "local"

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: everything but workforces, and webhooks where it has a sender."""
        return self._capabilities  # asked for with every fact, so it is made once

    @property
    def agents(self) -> tuple[AgentInfo, ...]:
        """Which agents there are, with the first lines of their docstrings."""
        return described(self._agents)

    async def open(self, options: HttpOptions) -> None:  # noqa: ARG002 - there is no HTTP
        """Let one more client use it, on the running loop; the first one opens the file.

        Raises:
            ConfigurationError: A client on another loop uses it. Or the file cannot be opened, is
                damaged, or was written by a newer version: then it is left as it is.
        """
        await self._host.enter()

    async def aclose(self) -> None:
        """Let one client leave; the last one cancels what runs (5 seconds at most), ends streams.

        To be called once for each `open`.
        """
        try:
            await self._host.leave()
        finally:  # whoever leaves may be cancelled meanwhile
            if not self._host.is_open:
                await self._reports.aclose()

    async def drain(self, seconds: float, *, cancel: bool = False) -> None:
        """Wait so many seconds at most until nothing runs; with `cancel`, then cancel the rest."""
        await self._host.runner.drain(seconds)
        if cancel:
            await self._host.runner.aclose()

    async def start(
        self,
        agent: AgentRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
        webhook: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Start a task; `options` become the agent's `ctx.options`.

        Raises:
            AgentNotFound: There is no such agent; the text lists those that there are.
            ConfigurationError: The options cannot be written as JSON, an attachment cannot be
                read, the key was used with other content, or the webhook is none.
            UnsupportedOperation: A workforce is asked for, or a webhook, and there is no sender.
        """
        check_kind(agent)
        self._reports.check(webhook)
        use = await self._host.start(
            agent.id, text, attachments, idempotency_key, options or {}, webhook=webhook
        )
        if webhook is not None and not self._host.lasts:
            log = self.open_stream(TaskRef(use.task_id), None)
            self._reports.begin(TaskRef(use.task_id, agent), use.turn, webhook, log)
        return accepted(await self._host.find(use.task_id), use.turn)

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a follow-up message, which begins a turn as soon as those before it have ended.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: An attachment cannot be read, or the key was used with other
                content.
        """
        state = await self._state(ref)
        use = await self._host.send(state, text, attachments, idempotency_key)
        return accepted(await self._host.find(use.task_id), use.turn)

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Poll once: what changed since the cursor, in the newest revision, oldest first.

        Raises:
            TaskNotFound: There is no such task.
        """
        state = await self._state(ref)
        info = metadata_of(state.info) if want.info else None
        if not want.messages:
            return Snapshot(info=info)
        facts = facts_since(state, position_of(state, cursor) or 0)
        here = str(state.log.last)
        # Without the metadata a stream from here would leave out the status that stands now.
        return Snapshot(
            info=info, facts=facts, cursor=here, stream_cursor=here if want.info else None
        )

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        """Give what stands in the task's log after the cursor, then what comes, as it comes.

        It ends when the task is deleted, and when the last client leaves.

        Raises:
            TaskNotFound: There is no such task.
            UnsupportedOperation: No task is named.
        """
        if ref is None:
            raise UnsupportedOperation("the embedded platform has one stream for each task")
        state = await self._state(ref)
        known = position_of(state, cursor)
        position = known or 0
        reset = cursor is not None and known is None
        log = state.log
        with self._host.following(state), log.waking(_SIGN_OF_LIFE):
            while True:
                seqs, items = log.after(position)
                position = log.last
                yield Batch(
                    items=[item(each) for each in items],
                    seqs=seqs,
                    cursor=str(position),
                    reset=reset,
                )
                reset = False
                await log.changed(position)
                if log.closed and log.last <= position:
                    return

    async def cancel(self, ref: TaskRef) -> None:
        """Cancel the running turn and those that wait; it takes 5 seconds at most.

        Raises:
            TaskNotFound: There is no such task.
        """
        await self._host.cancel(await self._state(ref))

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Answer a question of the agent (`ctx.ask`).

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: There is no such question, or it does not take this answer; then
                it stays open.
        """
        await self._host.respond(await self._state(ref), request_id, answer)

    async def end(self, ref: TaskRef) -> None:
        """Delete the task, after cancelling it; its streams end.

        Raises:
            TaskNotFound: There is no such task.
        """
        await self._host.end(await self._state(ref))

    async def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List an agent's tasks in pages of 50, newest first.

        Args:
            agent: The agent.
            status: Only those with this status.
            search: Only those whose name or first text contains this, whatever its case.
            sort: "created_at", "-created_at", "updated_at" or "-updated_at".
            limit: How many at most.

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: There is no such order, or the limit is negative.
        """
        self._host.check_open()
        check_kind(agent)
        self._host.check_agent(agent.id)
        query = Query(agent_id=agent.id, status=status, search=search, sort=sort, limit=limit)
        found = await self._host.list(query)
        for start in range(0, len(found), _PAGE):
            page = found[start : start + _PAGE]
            yield [Listed(id=each.id, info=metadata_of(each)) for each in page]

    async def prune(self, *, older_than: timedelta) -> int:
        """Delete the tasks at rest that have not changed for so long; say how many there were.

        What runs or waits stays, whatever its age. Where there is a file, its space is given back.

        Raises:
            ClientClosed: No client has entered.
            ConfigurationError: `older_than` is no time, or a negative one.
        """
        self._host.check_open()
        check_is("older_than", older_than, timedelta, "a timedelta")
        check_seconds("older_than", older_than.total_seconds(), zero=True)
        return await self._host.prune(self._host.store.now() - older_than)

    async def _state(self, ref: TaskRef) -> TaskState:
        if ref.agent is not None:
            check_kind(ref.agent)
        return await self._host.find(ref.id, None if ref.agent is None else ref.agent.id)
