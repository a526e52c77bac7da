"""One task of an agent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any, Literal

import msgspec

from rxtasks.arguments import check_is, check_text
from rxtasks.errors import ConfigurationError, TaskTimeout, UnsupportedOperation
from rxtasks.feed.feed import Feed
from rxtasks.feed.reading import read
from rxtasks.feed.sending import deliver
from rxtasks.feed.turn import TurnState
from rxtasks.models import Attachment, Message, TaskResult, TaskStatus
from rxtasks.platforms.base import Accepted, AgentRef, Metadata, TaskRef, Want
from rxtasks.platforms.checks import polled
from rxtasks.task.checks import check_message, seconds
from rxtasks.task.owner import Owner
from rxtasks.task.view import TaskView

__all__ = ["Task"]


class Task(TaskView):
    """One task of an agent; get it from a client, an agent or another task.

    Nothing is requested before somebody observes one of its streams, or awaits something. While
    somebody does, one poll loop and at most one stream connection serve them all.
    """

    __slots__ = ("_agent", "_owner", "_starting")

    def __init__(self, owner: Owner, feed: Feed, agent: AgentRef | None) -> None:
        super().__init__(feed)
        self._owner = owner
        self._agent = agent
        self._starting: asyncio.Lock | None = None

    # ------------------------------------------------------------------ requests

    async def poll(self) -> TaskStatus:
        """Ask the platform where the task stands, once, and return it.

        Raises:
            PlatformError: The platform refused to say.
            TransportError: It could not be reached.
        """
        self._open_ref()
        turn, ledger = self._feed.state.turn, self._feed.state.ledger
        # After a send messages may be the only evidence of the turn; and one may be unfinished.
        unproved = turn.state is TurnState.WAITING or ledger.unfinished
        await self._feed.poll(Want(info=True, messages=unproved))
        if self._owner.platform.capabilities.idle_is_completed and self._is_unknown:
            await self._feed.poll(Want())  # only messages tell whether a turn has ended
        return self.status

    async def result(self, *, timeout: float | None = 600.0) -> TaskResult:
        """Wait until the latest turn has ended, and return how.

        A failed task is a result with `status="error"`, not an exception. `action` and `paused`
        are waited out. Timing out and being cancelled leave the task running.

        Args:
            timeout: Seconds to wait; None: any time.

        Raises:
            TaskTimeout: The turn has not ended in time; it names a fault that stands.
            ConfigurationError: The task has not been started, or `timeout` is no number.
            TaskNotFound: It is gone.
            AuthenticationError: The credentials are refused for good.
        """
        self._open_ref()
        feed = self._feed
        limit = asyncio.timeout(seconds(timeout))
        feed.retain()
        try:
            async with limit:
                await feed.wait_settled()
                return await self._result()
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._timeout(timeout) from None
        finally:
            feed.release()

    def _timeout(self, seconds: float | None) -> TaskTimeout:
        fault = self._feed.standing_fault
        because = f"; this fault stands: {fault}" if fault is not None else ""
        unread = self.status.is_final or self._is_unknown  # whatever a poll may have said
        stood = f"task {self.id} {'had not been read' if unread else f'was still {self.status}'}"
        return TaskTimeout(f"{stood} after {seconds} s{because}", status=self.status, fault=fault)

    async def _result(self) -> TaskResult:
        feed, info = self._feed, self.info
        ledger = feed.seen.ledger
        status: Literal["completed", "error", "cancelled"] = "completed"
        if info.status is TaskStatus.ERROR:
            status = "error"
        elif info.status is TaskStatus.CANCELLED:
            status = "cancelled"
        # Read before anything is waited for: somebody may send the next message meanwhile.
        text, error = ledger.last_text, ledger.last_error
        messages = self._conversation.messages()
        if feed.log.trimmed:  # what the log has no more, the platform has
            messages = tuple(await read(self.get_messages, feed.fault))
        return TaskResult(
            task_id=self.id,
            status=status,
            text=text or (error if status == "error" else ""),
            error=error,
            messages=messages,
            usage=info.usage,
            cost=info.cost,
            degraded=info.degraded,
        )

    async def get_messages(self, *, after: datetime | None = None) -> list[Message]:
        """Fetch the whole history, or what is later than a time.

        Args:
            after: An aware datetime.

        Raises:
            ConfigurationError: `after` is no datetime or has no time zone, or the task has not
                been started.
        """
        check_is("after", after, (datetime, NoneType), "a datetime, or None")
        if after is not None and after.tzinfo is None:
            raise ConfigurationError("`after` needs a time zone, as in datetime.now(UTC)")
        ref, platform = self._open_ref(), self._owner.platform
        found = await platform.snapshot(ref, None, Want(info=False, messages=True))
        ledger = self._feed.state.ledger
        messages: list[Message] = []
        for fact in polled(found, platform).facts or ():
            if not isinstance(fact, Message):
                continue
            if after is not None and fact.created_at is not None and fact.created_at <= after:
                continue
            revision = max(1, ledger.revision(fact.id))
            messages.append(msgspec.structs.replace(fact, revision=revision))
        return messages

    async def send(
        self,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a message in the same conversation; the first one starts a new task.

        Args:
            text: The message.
            attachments: Files that go with it.
            idempotency_key: A key of yours: the same one sends one message, where the platform
                knows keys.

        Returns:
            What the platform said when it took the message.

        Raises:
            TransportError: It may or may not have been accepted (`maybe_accepted`).
            UnsupportedOperation: There are attachments or a key, and the platform takes none.
        """
        platform = self._owner.platform
        self._owner.limits.check_open()
        check_message(platform, text, attachments, idempotency_key)
        if self._feed.ref is None:
            # Of several first messages at once, one starts the task, and the others follow it.
            self._starting = self._starting or asyncio.Lock()
            async with self._starting:
                if self._feed.ref is None:
                    return await self.start(
                        text, attachments=attachments, idempotency_key=idempotency_key
                    )
        ref = self._ref()

        def call(key: str | None) -> Awaitable[Accepted]:
            return platform.send(ref, text, attachments=attachments, idempotency_key=key)

        accepted = await deliver(
            platform, call, name="send", key=idempotency_key, on_fault=self._feed.fault
        )
        self._feed.sent(text, accepted)
        return accepted

    async def start(
        self,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        webhook: str | None = None,
        idempotency_key: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Start a new task with its first message.

        Returns:
            What the platform said when it took the message.

        Raises:
            ConfigurationError: It has been started already.
        """
        agent, platform = self._agent, self._owner.platform
        if self._feed.ref is not None or agent is None:
            raise ConfigurationError(f"the task {self.id} has been started already: use send()")
        if webhook is not None:
            check_text("webhook", webhook, "leave it out")
        if webhook is not None and not platform.capabilities.webhooks:
            raise UnsupportedOperation(f"{platform.name} sends no webhooks: leave `webhook` out")
        self._owner.limits.check_open()
        check_message(platform, text, attachments, idempotency_key)

        def call(key: str | None) -> Awaitable[Accepted]:
            return platform.start(
                agent,
                text,
                attachments=attachments,
                idempotency_key=key,
                webhook=webhook,
                options=options,
            )

        accepted = await deliver(
            platform, call, name="start", key=idempotency_key, on_fault=self._feed.fault
        )
        feed = self._owner.feed_of(accepted.id)
        if feed is not None and not self._bound:
            self._feed = feed  # the user's key was used before: one task, one feed
            return accepted
        self._feed.sent(text, accepted, started=TaskRef(accepted.id, agent))
        if feed is None:
            self._owner.register(self, self._feed)
        return accepted

    def listed(self, info: Metadata) -> None:
        """Take what a listing said of the task."""
        self._feed.listed(info)

    async def cancel(self) -> None:
        """Abort the running turn; cancelling one that has ended is no error.

        Raises:
            UnsupportedOperation: The platform cannot do that.
        """
        ref = self._open_ref()
        self._require("cancel", "cancel tasks")
        await self._owner.platform.cancel(ref)
        self._feed.cancelled()

    async def respond(self, request_id: str, answer: str) -> None:
        """Answer a request for input or approval; see `requests`.

        Raises:
            ConfigurationError: The answer is not one of the request's options, or there is no
                such request.
            UnsupportedOperation: The platform cannot do that.
        """
        ref = self._open_ref()
        check_text("request_id", request_id, "it is the `id` of one of `task.requests`")
        check_is("answer", answer, str, "a str")
        self._require("respond", "answer requests")
        await self._owner.platform.respond(ref, request_id, answer)
        self._feed.poke()

    async def end(self) -> None:
        """Clean up: cancel a running turn, then delete the task on the platform.

        Its streams complete, a pending `result` raises TaskNotFound, and later observers get the
        log, then the end. What was known of it stays known; the status of a turn that had not
        ended is `cancelled`.

        Raises:
            UnsupportedOperation: The platform cannot do that; nothing was changed.
        """
        ref, platform = self._open_ref(), self._owner.platform
        self._require("delete", "delete tasks")
        with self._feed.ending():
            if platform.capabilities.cancel and not self.status.is_final:
                # What stands behind a gateway may be unable to cancel, and able to delete.
                with contextlib.suppress(UnsupportedOperation):
                    await platform.cancel(ref)
            await platform.end(ref)
            self._feed.end()

    def sub_task(self, message: Message) -> Task:
        """Open the task of a sub-agent.

        Args:
            message: The `ToolMessage` of a tool that is an agent, or an `AgentRunMessage`.

        Raises:
            ConfigurationError: The message names no task, or is none.
        """
        check_is("message", message, Message, "a ToolMessage or an AgentRunMessage")
        task_id = getattr(message, "sub_task_id", None) or getattr(message, "task_id", None)
        agent_id = getattr(message, "sub_agent_id", None) or getattr(message, "agent_id", None)
        if not task_id:
            raise ConfigurationError(f"the message {message.id} names no task of a sub-agent")
        agent = AgentRef(agent_id) if agent_id else None
        return self._owner.task_for(TaskRef(task_id, agent))

    def _require(self, capability: str, what: str) -> None:
        platform = self._owner.platform
        if not getattr(platform.capabilities, capability):
            raise UnsupportedOperation(f"{platform.name} cannot {what}")

    def _open_ref(self) -> TaskRef:
        """Name the task for a request, which needs a client that is open."""
        ref = self._ref()
        self._owner.limits.check_open()
        return ref
