"""The platform: what is asked of it becomes requests, and the answers become facts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from rxtasks.errors import (
    ConfigurationError,
    DecodeError,
    PlatformError,
    UnsupportedOperation,
)
from rxtasks.models import Attachment, TaskStatus
from rxtasks.platforms.a2a import listing
from rxtasks.platforms.a2a.account import Account
from rxtasks.platforms.a2a.card import NAME
from rxtasks.platforms.a2a.messages import metadata_of
from rxtasks.platforms.a2a.refusals import NOT_CANCELABLE, UNSUPPORTED, reason_of, refused
from rxtasks.platforms.a2a.sending import (
    REPLY,
    check_agent,
    check_options,
    ended,
    message,
    no_answer,
    question,
    reply,
    send,
)
from rxtasks.platforms.a2a.states import is_terminal
from rxtasks.platforms.a2a.stream import Reading, of_stream
from rxtasks.platforms.a2a.told import Told
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
from rxtasks.platforms.facts import StreamItem
from rxtasks.platforms.values import text_of
from rxtasks.wire.foreign import legible
from rxtasks.wire.sse import RawEvent

__all__ = ["A2A"]

_SENTENCE = 300


class A2A(Account):
    """Reaches the agent behind a server of the Agent2Agent protocol, version 1.0.

    A server has one agent, whose id is the name on its card. A task of the protocol ends once:
    then it takes no message any more, and `send` raises `UnsupportedOperation`.
    """

    @property
    def name(self) -> str:
        """What the platform is called."""
        return NAME

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; `UnsupportedOperation` says what this one server cannot."""
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
        """Start a task with a first message.

        The options: `context_id` (the conversation, see `context_id`), `reference_task_ids`,
        `metadata` (of the message) and `webhook_token` (what the webhook is shown).

        Raises:
            AgentNotFound: The server has another agent, or none.
            ConfigurationError: An option is unknown, an attachment cannot be read, or the webhook
                is no URL.
            UnsupportedOperation: A webhook is asked for, and the server knows none.
        """
        del idempotency_key  # the protocol knows none
        given = check_options(options)
        info, calls = await self._server.agent()
        check_agent(agent, info)
        if webhook is not None and not info.webhooks:
            raise UnsupportedOperation(f"{NAME}: this agent's server sends no webhooks")
        request = await message(text, attachments, webhook=webhook, options=given)
        answer = await calls.send(request)
        id = request["message"]["messageId"]
        if answer.task is not None:
            known = metadata_of(answer.task.id, answer.task.status)
            self._told_of(TaskRef(answer.task.id)).context = text_of(answer.task.context_id)
            return Accepted(id=answer.task.id, message_id=id, turn=1, info=known)
        if answer.message is None:
            raise no_answer()
        made = reply(request, answer.message, self._translator)
        self._replies.put(f"{REPLY}{id}", made)
        return Accepted(id=f"{REPLY}{id}", message_id=id, turn=1, info=made.info)

    async def send(
        self,
        ref: TaskRef,
        text: str,
        *,
        attachments: Sequence[Attachment] = (),
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Send a message to a task that has not ended.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: An attachment cannot be read.
            UnsupportedOperation: The task has ended.
        """
        del idempotency_key
        if self._reply(ref) is not None:
            raise ended(ref.id)
        _, calls = await self._server.agent()
        told = self._told_of(ref)
        async with told.sending:
            if told.context is None:
                await self._task(ref, history=False)
            # A server that is not told makes a new conversation up, and its agent forgets this one.
            options = {"context_id": told.context}
            request = await message(text, attachments, task=ref.id, options=options)
            accepted, said = await send(calls, request, ref)
            if said is not None:
                told.said += reply(request, said, self._translator).messages
            told.asked(question(request, self._translator))
        return accepted

    # ------------------------------------------------------------------ watching

    async def snapshot(self, ref: TaskRef, cursor: str | None, want: Want) -> Snapshot:
        """Poll once: one request tells everything.

        Raises:
            TaskNotFound: There is no such task.
        """
        del cursor
        if (made := self._reply(ref)) is not None:
            return Snapshot(info=made.info, facts=made.messages)
        told = self._told_of(ref)
        finished = frozenset(told.finished)  # what a stream finishes meanwhile may not be there
        task = await self._task(ref, history=want.messages)
        info = metadata_of(ref.id, task.status)
        if not want.messages:
            return Snapshot(info=info)
        facts = self._translator.task(task, finished=finished, reason=told.reason)
        told.failed(facts)
        return Snapshot(info=info if want.info else None, facts=[*told.said, *facts])

    async def open_stream(
        self, ref: TaskRef | None, cursor: str | None
    ) -> AsyncGenerator[Batch, None]:
        """Open a task's stream, which begins with the task as it is, and ends with it.

        Raises:
            TaskNotFound: There is no such task.
            UnsupportedOperation: The server has no streams, or no task is named.
        """
        del cursor  # nothing is numbered
        if ref is None:
            raise UnsupportedOperation(f"{NAME} has one stream for each task")
        if self._reply(ref) is not None:
            yield Batch(final=True)
            return
        info, calls = await self._server.agent()
        if not info.streaming:
            raise UnsupportedOperation(f"{NAME}: this agent's server has no streams")
        told = self._told_of(ref)
        reading = Reading(ref.id, told, self._translator, self._unknown, calls.event)
        why: PlatformError | DecodeError | None = None
        try:
            await told.take_asked()  # the task as it is has that
            async with calls.stream(ref.id) as connection:
                yield Batch()
                async for events in connection.batches():
                    yield Batch(items=await self._read(ref, told, reading, events))
                    if reading.over:
                        break
                if connection.ended_for_good or reading.ended:
                    yield Batch(final=True)
        except (PlatformError, DecodeError) as error:
            if isinstance(error, PlatformError) and reason_of(error) != UNSUPPORTED:
                raise
            why = error
        if (why := self._failure(told, reading) or why) is not None:
            # Of a task that has ended there is no stream, either: only another call tells.
            yield await self._last(ref, why)
            yield Batch(final=True)

    async def _read(
        self, ref: TaskRef, told: Told, reading: Reading, events: Sequence[RawEvent]
    ) -> list[StreamItem]:
        asked = await told.take_asked()
        items = reading.items(events)
        if reading.doubts:
            items = reading.settled(items, await self._task(ref))
        return [*asked, *items]

    def _failure(self, told: Told, reading: Reading) -> PlatformError | None:
        """Make the error that a stream has told, and remember it as the reason of a failure."""
        failed = reading.error
        if failed is None:
            return None
        said = self._server.hiding(text_of(failed.message) or "")
        told.reason = told.reason or legible(said, _SENTENCE)
        return refused(f"{NAME}: the stream", failed.code, said, self._server.hiding)

    async def _last(self, ref: TaskRef, why: PlatformError | DecodeError) -> Batch:
        """Tell a task that has ended; of another one, raise why it has no stream."""
        task = await self._task(ref)
        if task.status is None or not is_terminal(task.status.state):
            if isinstance(why, PlatformError) and reason_of(why) == UNSUPPORTED:
                raise UnsupportedOperation(f"{NAME}: there is no stream of the task {ref.id}")
            raise why
        facts = self._translator.task(task, reason=self._told_of(ref).reason)
        return Batch(items=[*of_stream(facts), metadata_of(ref.id, task.status)])

    # ------------------------------------------------------------------ everything else

    async def cancel(self, ref: TaskRef) -> None:
        """Cancel the task; one that has ended stays as it is.

        Raises:
            TaskNotFound: There is no such task.
            UnsupportedOperation: The agent does not let itself be cancelled.
        """
        if self._reply(ref) is not None:
            return
        _, calls = await self._server.agent()
        try:
            await calls.cancel(ref.id)
        except PlatformError as error:
            if reason_of(error) not in (NOT_CANCELABLE, UNSUPPORTED):
                raise
            task = await self._task(ref, history=False)
            if task.status is None or not is_terminal(task.status.state):
                raise UnsupportedOperation(
                    f"{NAME}: the agent does not let the task {ref.id} be cancelled"
                ) from None

    async def respond(self, ref: TaskRef, request_id: str, answer: str) -> None:
        """Answer what the agent waits for, with any text.

        Raises:
            TaskNotFound: There is no such task.
            ConfigurationError: There is no such request (any more).
        """
        asked = () if self._reply(ref) is not None else await self._requests(ref)
        if request_id not in asked:
            raise ConfigurationError(
                f"the task {ref.id} does not wait for {request_id!r} (any more)"
            )
        await self.send(ref, answer)

    async def _requests(self, ref: TaskRef) -> Sequence[str]:
        task = await self._task(ref, history=False)
        return [each.id for each in metadata_of(ref.id, task.status).requests or ()]

    async def end(self, ref: TaskRef) -> None:
        """Refuse: the protocol has no call for it.

        Raises:
            UnsupportedOperation: Always.
        """
        raise UnsupportedOperation(f"{NAME} has no call to delete the task {ref.id}")

    async def list_tasks(
        self,
        agent: AgentRef,
        *,
        status: TaskStatus | None = None,
        search: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[Sequence[Listed], None]:
        """List the tasks that the credentials may see, those that changed last first.

        Raises:
            AgentNotFound: The server has another agent, or none.
            ConfigurationError: There is no such order.
            UnsupportedOperation: Tasks are to be searched for or sorted otherwise, or the server
                has no list.
        """
        listing.check_wishes(search, sort)
        info, calls = await self._server.agent()
        check_agent(agent, info)
        async for page in listing.tasks(calls, status=status, limit=limit):
            yield page
