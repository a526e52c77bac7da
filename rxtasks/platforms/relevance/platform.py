"""The platform: what is asked of it becomes requests, and the answers become facts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from rxtasks.errors import ConfigurationError, UnsupportedOperation
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
from rxtasks.platforms.files import Progress
from rxtasks.platforms.relevance.account import NAME, Account
from rxtasks.platforms.relevance.files import uploaded
from rxtasks.platforms.relevance.stream import deltas, lifetime

__all__ = ["Relevance"]


class Relevance(Account):
    """Reaches agents and workforces of Relevance AI.

    The platform offers no public call to cancel, answer or delete a task, nor to be told of its
    end by a webhook: those raise `UnsupportedOperation`.
    """

    @property
    def name(self) -> str:
        """What the platform is called."""
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    # ------------------------------------------------------------------ starts and sends

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
        """Start a task; the one option is `on_upload`, as in `Relevance`.

        Raises:
            AgentNotFound: There is no such agent or workforce.
            ConfigurationError: An option is unknown, an attachment cannot be read, or the embed
                key is another agent's.
            UnsupportedOperation: A webhook is asked for, or a workforce is to take attachments.
        """
        del idempotency_key  # the platform knows none
        if webhook is not None:
            raise UnsupportedOperation(f"{NAME} has no public call for webhooks")
        given = dict(options or {})
        progress: Progress | None = given.pop("on_upload", self._on_upload)
        if given:
            raise ConfigurationError(f"{NAME} knows no option {', '.join(given)}: use on_upload")
        task_id = None
        if self._embed_key is not None:
            task_id = self._embed_key.new_task_id()
        files = await self._files(agent, attachments, progress)
        return await self._calls_of(agent).trigger(agent.id, task_id, text, files, started=False)

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a follow-up message to a task.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: An attachment cannot be read.
            UnsupportedOperation: A workforce is to take attachments.
        """
        del idempotency_key
        agent = _agent_of(ref)
        files = await self._files(agent, attachments, self._on_upload)
        return await self._calls_of(agent).trigger(agent.id, ref.id, text, files, started=True)

    async def _files(
        self, agent: AgentRef, attachments: Sequence[Attachment], progress: Progress | None
    ) -> list[Attachment]:
        if attachments and agent.kind == "workforce":
            raise UnsupportedOperation(f"the workforces of {NAME} take no attachments")
        self._calls_of(agent)  # before anything is sent
        return [await uploaded(self._in_use.get().api, each, progress) for each in attachments]

    # ------------------------------------------------------------------ watching

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Poll once.

        Raises:
            TaskNotFound: There is no such task.
        """
        agent = _agent_of(ref)
        calls = self._calls_of(agent)
        info = await calls.metadata(agent.id, ref.id) if want.info else None
        if not want.messages:
            return Snapshot(info=info)
        facts, behind = await calls.messages(agent.id, ref.id, cursor, want.margin)
        return Snapshot(info=info, facts=facts, cursor=behind)

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        """Open a task's stream, with a token that is fetched for it.

        It carries deltas from now on, and cannot go on from a cursor.

        Raises:
            UnsupportedOperation: The platform gives no token, so the task has no stream.
            AuthenticationError: The token was refused; the next one may not be.
            TaskNotFound: There is no such task.
        """
        del cursor
        if ref is None:
            raise UnsupportedOperation(f"{NAME} has one stream for each task")
        agent = _agent_of(ref)
        token = await self._calls_of(agent).token(agent.id, ref.id)
        if token is None or not token.token:
            raise UnsupportedOperation(f"{NAME} gives no token for a stream of this task")
        async with self._in_use.get().streams.stream(
            "GET", "/stream", params={"authorization": f"Bearer {token.token}"}
        ) as connection:
            if connection.ended_for_good:
                yield Batch(final=True)
                return
            yield Batch(expires_in=lifetime(token))
            async for events in connection.batches():
                yield Batch(items=deltas(events, self._unknown))

    # ------------------------------------------------------------------ what cannot be done

    async def cancel(self, ref: TaskRef) -> None:
        """Refuse: there is no public call for it.

        Raises:
            UnsupportedOperation: Always.
        """
        raise UnsupportedOperation(f"{NAME} has no public call to cancel the task {ref.id}")

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Refuse: there is no public call for it.

        Raises:
            UnsupportedOperation: Always.
        """
        del request_id, answer
        raise UnsupportedOperation(
            f"{NAME} has no public call to answer a request of the task {ref.id}"
        )

    async def end(self, ref: TaskRef) -> None:
        """Refuse: there is no public call for it.

        Raises:
            UnsupportedOperation: Always.
        """
        raise UnsupportedOperation(f"{NAME} has no public call to delete the task {ref.id}")

    def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List tasks in pages of 100, those of an agent the newest first unless sorted.

        Raises:
            AgentNotFound: There is no such agent.
            ConfigurationError: There is no such order, or the limit is negative.
            UnsupportedOperation: A workforce's tasks are to be sorted.
        """
        return self._calls_of(agent).tasks(
            agent.id, status=status, search=search, sort=sort, limit=limit
        )


def _agent_of(ref: TaskRef) -> AgentRef:
    if ref.agent is None:
        raise ConfigurationError(f"{NAME} needs the agent of the task {ref.id} as well")
    return ref.agent
