"""Tells by webhook how a task has ended: no server does it for tasks of this process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from rxtasks.errors import ConfigurationError, RxTasksError, UnsupportedOperation
from rxtasks.local.inputs import report_id
from rxtasks.local.state import TaskState
from rxtasks.models import AgentErrorMessage, AgentMessage, TaskStatus, Usage
from rxtasks.platforms.facts import AgentRef, Batch, Metadata, StreamItem, TaskRef
from rxtasks.platforms.known import metadata_of
from rxtasks.platforms.local.facts import item

if TYPE_CHECKING:
    from rxtasks.local.disk.outbox import Report
    from rxtasks.webhooks import WebhookSender

__all__ = ["Reports", "SettledBody", "SettledTask"]

_logger = logging.getLogger("rxtasks.webhooks")

_LONGEST = 100_000  # characters of a text: receivers bound what they take
_CLOSING = 1.0  # seconds: what has ended is told by then


class SettledTask(Struct, frozen=True, kw_only=True):
    """A task as a webhook tells it.

    Attributes:
        task_id: Its id.
        ref: What `client.task` takes.
        status: "completed", "cancelled" or "error".
        text: What the agent said last in the latest turn, at most 100,000 characters of it.
        truncated: Whether the text was longer.
        error: What went wrong, if anything did.
        agent_id: The agent.
        name: What the task is called.
        turn: How many turns have ended.
        usage: Tokens of the latest turn.
        cost: What it has cost, in USD.
        created_at: When the task was started.
        updated_at: When it has ended.
    """

    task_id: str
    ref: str
    status: TaskStatus
    text: str
    truncated: bool
    error: str
    agent_id: str | None
    name: str | None
    turn: int | None
    usage: Usage | None
    cost: float | None
    created_at: datetime | None
    updated_at: datetime | None


class SettledBody(Struct, frozen=True, kw_only=True):
    """The body of a delivery, in the form that Standard Webhooks recommends.

    Attributes:
        type: "task.completed", "task.cancelled" or "task.error".
        timestamp: When the task has ended: so a report that is made twice is the same.
        data: The task.
    """

    type: str
    timestamp: datetime
    data: SettledTask


class Reports:
    """Watches tasks until they have settled, and hands what came of them to a sender.

    Of tasks in a file it only writes and delivers what it is asked to: the file knows when.
    """

    def __init__(self, sender: WebhookSender | None) -> None:
        """Make it; without a sender, nothing can be reported.

        Raises:
            ConfigurationError: It is no sender.
        """
        if sender is not None and not callable(getattr(sender, "deliver", None)):
            raise ConfigurationError(
                f"webhooks are delivered by a WebhookSender(secret), not a {type(sender).__name__}"
            )
        self._sender = sender
        self._watched: dict[str, asyncio.Task[None]] = {}

    @property
    def possible(self) -> bool:
        """Whether anything can be reported."""
        return self._sender is not None

    def check(self, url: str | None) -> None:
        """Refuse a webhook that nothing can be delivered to.

        Raises:
            UnsupportedOperation: There is no sender.
            ConfigurationError: It is no URL, or none that the sender delivers to.
        """
        if url is not None:
            self._sending().check(url)

    def begin(self, ref: TaskRef, turn: int, url: str, stream: AsyncGenerator[Batch]) -> None:
        """Report a task as soon as a turn of it has ended and none waits.

        Args:
            ref: The task.
            turn: The turn, from 1.
            url: Where the report goes.
            stream: The task's log from its beginning.
        """
        name = report_id(ref.id, turn, url)
        if name in self._watched:
            return  # the start was repeated under its key
        report = self._report(ref, turn, url, stream)
        task = asyncio.Task(report, name=f"rxtasks report {ref.id}")
        self._watched[name] = task
        task.add_done_callback(lambda _: self._watched.pop(name))

    def written(self, state: TaskState) -> bytes:
        """Write what is delivered of a task that has settled."""
        outcome = _Outcome()
        outcome.take(map(item, state.log.after(0)[1]))
        ref = TaskRef(state.id, AgentRef(state.agent_id))
        return _written(ref, metadata_of(state.info), outcome)

    async def attempt(self, report: Report) -> float | None:
        """Try once to deliver; give the seconds until it is to be tried again, None: it is over."""
        return await self._sending().attempt(
            report.url,
            report.body,
            id=report.id,
            attempts=report.attempts,
            age=max(time.time() - report.begun, 0.0) if report.attempts else 0.0,
        )

    async def aclose(self) -> None:
        """Report what has settled, and let the sender try for a few seconds."""
        try:
            if self._watched:
                await asyncio.wait(tuple(self._watched.values()), timeout=_CLOSING)
        finally:
            left = tuple(self._watched.values())
            for task in left:
                task.cancel()
            try:
                if left:
                    await asyncio.wait(left)
            finally:
                if self._sender is not None:
                    await self._sender.aclose()

    def _sending(self) -> WebhookSender:
        if self._sender is None:
            raise UnsupportedOperation(
                "the embedded platform has no sender of webhooks: give it one, as in "
                'Local(agents, webhooks=WebhookSender("whsec_..."))'
            )
        return self._sender

    async def _report(
        self, ref: TaskRef, turn: int, url: str, stream: AsyncGenerator[Batch]
    ) -> None:
        outcome = _Outcome()
        try:
            async with aclosing(stream) as batches:
                async for batch in batches:
                    outcome.take(batch.items)
                    info = outcome.info
                    if info is not None and _has_settled(info, turn):
                        body = _written(ref, info, outcome)
                        self._sending().deliver(url, body, id=report_id(ref.id, turn, url))
                        return
        except RxTasksError as error:
            _logger.warning("task %s cannot be reported to its webhook: %s", ref.id, error)


class _Outcome:
    """What the latest turn has come to so far."""

    def __init__(self) -> None:
        self.info: Metadata | None = None
        self.text = ""
        self.error = ""

    def take(self, items: Iterable[StreamItem]) -> None:
        for each in items:
            if isinstance(each, AgentMessage):
                self.text = each.text
            elif isinstance(each, AgentErrorMessage):
                self.error = each.last_error
            elif isinstance(each, Metadata):
                self.info = each
                if each.status is TaskStatus.QUEUED:  # another turn follows
                    self.text = self.error = ""


def _has_settled(info: Metadata, turn: int) -> bool:
    return info.status is not None and info.status.is_final and (info.turn or 0) >= turn


def _written(ref: TaskRef, info: Metadata, outcome: _Outcome) -> bytes:
    status = info.status or TaskStatus.COMPLETED
    text = outcome.text or outcome.error
    return msgspec.json.encode(
        SettledBody(
            type=f"task.{status}",
            timestamp=info.updated_at or datetime.now(UTC),
            data=SettledTask(
                task_id=ref.id,
                ref=str(ref),
                status=status,
                text=text[:_LONGEST],
                truncated=len(text) > _LONGEST,
                error=outcome.error[:_LONGEST],
                agent_id=info.agent_id,
                name=info.name,
                turn=info.turn,
                usage=info.usage,
                cost=info.cost,
                created_at=info.created_at,
                updated_at=info.updated_at,
            ),
        )
    )
